#!/usr/bin/env python3
"""Reads a lake as plain Hive-partitioned Parquet, with DuckDB and with pyarrow, and prints what it holds as JSON.

Neither reader knows anything of Spotter: both list the folders and read the files. For each table the two
must agree, row for row count and sum for sum; where they do not, the exit status is 1. What they agree on
is printed as {table: {"rows": n, "sums": {column: n}, "by_day": {day: n}}}, so that `spotter query` can be
held against it.

    read_lake.py LAKE                the tables found, as JSON
    read_lake.py LAKE --spotter BIN  the same, compared with `BIN query` over the same lake
"""

import argparse
import json
import pathlib
import subprocess
import sys

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

# What is summed: integers that the table's owner counts.
SUMS = {
    "flow": ["src_packets", "src_bytes", "dst_packets", "dst_bytes", "segment", "proto"],
    "dns": ["qtype", "rcode", "response_frame_len", "additional_count"],
    "proxy": ["status", "request_bytes", "response_bytes"],
    "ledger": ["value"],
    "interfaces": ["if_in_octets", "if_out_octets"],
    "scores": ["rank", "group_size"],
}

# The folders of a part. `sensor` is in the files as well, with the same value, as text in both.
HOURLY = {"date": "DATE", "hour": "BIGINT", "sensor": "VARCHAR"}
SCORED = {"source": "VARCHAR", "date": "DATE"}


def by_duckdb(folder, table, columns):
    types = SCORED if table == "scores" else HOURLY
    hive = ", ".join(f"'{name}': {kind}" for name, kind in types.items())
    source = (
        f"read_parquet('{folder}/**/*.parquet', hive_partitioning = true, "
        f"hive_types = {{{hive}}}, union_by_name = true)"
    )
    db = duckdb.connect()
    sums = ", ".join(f"sum({c})::HUGEINT" for c in columns)
    row = db.execute(f"SELECT count(*){', ' + sums if sums else ''} FROM {source}").fetchone()
    days = db.execute(f"SELECT date::VARCHAR, count(*) FROM {source} GROUP BY 1 ORDER BY 1").fetchall()
    return {
        "rows": row[0],
        "sums": {c: int(v or 0) for c, v in zip(columns, row[1:])},
        "by_day": dict(days),
    }


def by_pyarrow(folder, table, columns):
    if table == "scores":
        folders = pa.schema([("source", pa.string()), ("date", pa.date32())])
    else:
        folders = pa.schema([("date", pa.date32()), ("hour", pa.int32()), ("sensor", pa.string())])
    data = ds.dataset(folder, format="parquet", partitioning=ds.partitioning(folders, flavor="hive"))
    rows = data.to_table(columns=[*columns, "date"])
    days = rows.group_by("date").aggregate([([], "count_all")]).to_pylist()
    return {
        "rows": rows.num_rows,
        "sums": {c: int(pc.sum(rows[c]).as_py() or 0) for c in columns},
        "by_day": {str(d["date"]): d["count_all"] for d in sorted(days, key=lambda d: d["date"])},
    }


def by_spotter(binary, lake, table, columns):
    sums = "".join(f", sum({c}) AS {c}" for c in columns)

    def query(sql):
        out = subprocess.run(
            [binary, "query", sql, "--lake", lake, "--format", "json"], check=True, capture_output=True, text=True
        )
        return json.loads(out.stdout)

    (row,) = query(f"SELECT count(*) AS n{sums} FROM {table}")
    days = query(f"SELECT CAST(date AS VARCHAR) AS day, count(*) AS n FROM {table} GROUP BY 1 ORDER BY 1")
    return {
        "rows": row["n"],
        "sums": {c: int(row[c] or 0) for c in columns},
        "by_day": {d["day"]: d["n"] for d in days},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake", type=pathlib.Path)
    parser.add_argument("--spotter", help="the spotter command, to compare with")
    args = parser.parse_args()
    if not args.lake.is_dir():
        sys.exit(f"{args.lake} is no folder")

    tables, wrong = {}, []
    for table, columns in SUMS.items():
        folder = args.lake / table
        if not any(folder.glob("**/*.parquet")):
            continue
        readers = {
            "duckdb": by_duckdb(str(folder), table, columns),
            "pyarrow": by_pyarrow(str(folder), table, columns),
        }
        if args.spotter:
            readers["spotter"] = by_spotter(args.spotter, str(args.lake), table, columns)
        tables[table] = readers["duckdb"]
        if any(reader != readers["duckdb"] for reader in readers.values()):
            wrong.append(f"{table}: the readers differ: {json.dumps(readers)}")
    json.dump(tables, sys.stdout, indent=1)
    print()
    if not tables:
        wrong.append(f"{args.lake} has no Parquet file of any table")
    for line in wrong:
        print(line, file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
