"""Writes records of labelled sets as parts of a lake, scores them with the `spotter` command, and reads the scores back."""

import csv
import glob
import io
import os
import subprocess
import uuid

import pyarrow as pa
import pyarrow.parquet as pq

from clock import DAY, MIDNIGHT

TS = pa.timestamp("us", "UTC")
TYPES = {
    "record_id": pa.binary(16), "first_seen": TS, "last_seen": TS, "flow_start": TS, "segment": pa.uint32(),
    "sensor": pa.string(), "origin": pa.string(), "src_ip": pa.string(), "dst_ip": pa.string(), "src_port": pa.uint16(),
    "dst_port": pa.uint16(), "proto": pa.uint8(), "src_packets": pa.uint64(), "src_bytes": pa.uint64(), "dst_packets": pa.uint64(),
    "dst_bytes": pa.uint64(), "conn_state": pa.string(), "service": pa.string(), "community_id": pa.string(),
    "client_ip": pa.string(), "client_port": pa.uint16(), "server_ip": pa.string(), "server_port": pa.uint16(), "transport": pa.string(),
    "qname": pa.string(), "qname_wire": pa.string(), "qtype": pa.uint16(), "qclass": pa.uint16(), "rcode": pa.uint16(),
    "query_len": pa.uint16(), "response_len": pa.uint16(), "scheme": pa.string(), "method": pa.string(), "host": pa.string(),
    "uri_path": pa.string(), "uri_query": pa.string(), "full_uri": pa.string(), "user_agent": pa.string(), "content_type": pa.string(),
    "status": pa.uint16(), "request_bytes": pa.uint64(), "response_bytes": pa.uint64(),
}


class Lake:
    """A lake made of one day of records. `rows` are dicts with the columns of DATA-MODEL and `label` (0, 1, or an incident's name)."""

    def __init__(self, spotter, folder):
        self.spotter, self.folder = spotter, folder
        self.labels = {}

    def run(self, *arguments):
        done = subprocess.run([self.spotter, *arguments, "--lake", self.folder, "-q"], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(arguments)}: {done.stderr[-2000:]}")
        return done.stdout

    def write(self, table, rows):
        """One part an hour."""
        hours = {}
        for number, row in enumerate(rows):
            identity = number.to_bytes(16, "big")
            self.labels[identity.hex()] = row["label"]
            row = {**row, "record_id": identity, "sensor": "eval", "origin": "zeek", "community_id": ""}
            hours.setdefault((row["first_seen"] - MIDNIGHT) // 3_600_000_000, []).append(row)
        for hour, rows in hours.items():
            folder = f"{self.folder}/{table}/date={DAY}/hour={hour:02}/sensor=eval"
            os.makedirs(folder, exist_ok=True)
            columns = [name for name in TYPES if any(name in row for row in rows[:1])]
            arrays = [pa.array([row.get(name) for row in rows], TYPES[name]) for name in columns]
            pq.write_table(pa.table(arrays, names=columns), f"{folder}/part-{uuid.uuid4()}.parquet", compression="zstd")
        # The state database is made by the first command; the parts are then registered.
        self.run("lake", "adopt")

    def fill(self, table, rows):
        """Writes the rows unless they are there; knows the labels either way."""
        if os.path.isdir(f"{self.folder}/{table}"):
            self.labels = {number.to_bytes(16, "big").hex(): row["label"] for number, row in enumerate(rows)}
        else:
            self.write(table, rows)

    def score(self, source, score="fused", seed=1, extra=()):
        """Scores the day, keeping every row; gives the rows as dicts."""
        self.run("score", "--source", source, "--date", str(DAY), "--score", score, "--limit", "1000000", "--members", "0",
                 "--seed", str(seed), *extra)
        names = ["record_id", "fused_rank", "rank", "group_id", "group_size", "score", "leo", "lift_bits", "tail_log10", "word_df", "detectors"]
        names += ["src_ip", "dst_ip", "src_word", "dst_word"] if source == "flow" else []
        rows = self.scores(source, names)
        for row in rows:
            row["id"] = row["record_id"].hex()
        return rows

    def scores(self, source, columns):
        """Rows of the last run of a source, `first_seen` in microseconds."""
        table = self.score_table(source, columns)
        return [] if table is None else table.to_pylist()

    def score_table(self, source, columns):
        """The same as a table; None without a run."""
        files = sorted(glob.glob(f"{self.folder}/scores/source={source}/**/*.parquet", recursive=True), key=os.path.getmtime)
        if not files:
            return None
        table = pq.read_table(files[-1], columns=columns)
        if "first_seen" in columns:
            at = table.schema.get_field_index("first_seen")
            table = table.set_column(at, "first_seen", table.column("first_seen").cast(pa.int64()))
        return table


def csv_rows(text):
    return list(csv.DictReader(io.StringIO(text)))
