#!/usr/bin/env python3
"""DuckDB's side of `spotter bench query`: runs what each API asks, over the same Parquet files.

    duck.py LAKE THREADS

One request a line on standard input, JSON: {"api", "from", "to", …}; one answer a line: {"seconds", "rows"}. Rows are taken
over whole, as the API does; the files' footers are cached, as the server's are.
"""

import json
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

PEERS = """
WITH sides AS (
  SELECT dst_ip AS peer, true AS opened, first_seen, last_seen, dst_port, src_bytes AS o, coalesce(dst_bytes, 0) AS i,
    src_packets AS po, coalesce(dst_packets, 0) AS pi FROM flow WHERE first_seen >= $a AND first_seen < $b AND src_ip = $ip
  UNION ALL
  SELECT src_ip, false, first_seen, last_seen, dst_port, coalesce(dst_bytes, 0), src_bytes, coalesce(dst_packets, 0), src_packets
    FROM flow WHERE first_seen >= $a AND first_seen < $b AND dst_ip = $ip AND src_ip <> $ip),
peers AS (
  SELECT peer, CASE WHEN bool_or(opened) AND bool_or(NOT opened) THEN 'two_way' WHEN bool_or(opened) THEN 'out' ELSE 'in' END AS way,
    count(*) AS n, sum(o) AS o, sum(i) AS i, sum(po) AS po, sum(pi) AS pi, max(o + i) AS most, max(po + pi) AS most_packets,
    count(DISTINCT dst_port) AS ports, min(first_seen) AS f, max(last_seen) AS l FROM sides GROUP BY peer)
SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY way ORDER BY n DESC, peer) AS by_n,
    row_number() OVER (PARTITION BY way ORDER BY o + i DESC, peer) AS by_bytes,
    count(*) OVER (PARTITION BY way), sum(n) OVER (PARTITION BY way), sum(o) OVER (PARTITION BY way), sum(i) OVER (PARTITION BY way)
  FROM peers) WHERE by_n <= 20 OR by_bytes <= 20
"""
SERVICE = "lower(CASE proto WHEN 6 THEN 'tcp' WHEN 17 THEN 'udp' ELSE proto::VARCHAR END) || '/' || dst_port"


def tops(table, condition, lists, extra):
    """The top lists of one table by one scan, and all rows together."""
    values = ", ".join(f"CASE WHEN {when} THEN nullif({value}, '') END AS f{at}" for at, (when, value) in enumerate(lists))
    which = " ".join(f"WHEN f{at} IS NOT NULL THEN {at}" for at in range(len(lists)))
    names = ", ".join(f"f{at}" for at in range(len(lists)))
    sets = ", ".join(f"(f{at})" for at in range(len(lists)))
    return f"""
SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY facet ORDER BY n DESC, value) AS place FROM (
  SELECT every, CASE {which} END AS facet, coalesce({names}) AS value, {extra}, count(*) AS n, min(first_seen), max(last_seen)
  FROM (SELECT *, CASE WHEN first_seen IS NOT NULL THEN 1 END AS every, {values} FROM {table}
    WHERE first_seen >= $a AND first_seen < $b AND {condition})
  GROUP BY GROUPING SETS ((every), {sets})) WHERE facet IS NOT NULL OR every IS NOT NULL) WHERE place <= 21
"""


FLOW = "(src_ip = $ip OR dst_ip = $ip)"
CLIENT = "(client_ip = $ip OR server_ip = $ip)"
INVESTIGATION = [
    PEERS,
    """SELECT qname, count(*) AS n, min(first_seen), max(last_seen) FROM dns WHERE first_seen >= $a AND first_seen < $b
       AND list_contains(list_transform(answers, lambda x: x.data), $ip) GROUP BY qname ORDER BY n DESC, qname LIMIT 21""",
    tops("flow", FLOW, [("src_ip = $ip", SERVICE), ("dst_ip = $ip", SERVICE), ("true", "conn_state"), ("src_ip = $ip", "src_mac")],
         "max(service), sum(src_bytes + coalesce(dst_bytes, 0))"),
    tops("dns", CLIENT, [("client_ip = $ip", "qname"), ("server_ip = $ip", "client_ip")], "count(*) FILTER (WHERE rcode = 3)"),
    tops("proxy", CLIENT, [("client_ip = $ip", "host"), ("server_ip = $ip", "host"), ("client_ip = $ip", "user_agent"),
                           ("client_ip = $ip", "ja4"), ("client_ip = $ip", "username")],
         "max(method), max(tls_sni), sum(coalesce(request_bytes, 0) + coalesce(response_bytes, 0))"),
]
TIMELINE = [
    f"""SELECT record_id, first_seen, last_seen, sensor, src_ip, src_port, dst_ip, dst_port, proto, service, conn_state, src_bytes, dst_bytes,
        src_packets, dst_packets, community_id FROM flow WHERE first_seen >= $a AND first_seen < $b AND {FLOW}
        ORDER BY first_seen, record_id LIMIT 251""",
    f"""SELECT record_id, first_seen, last_seen, sensor, client_ip, client_port, server_ip, server_port, transport, qname_wire, qtype, rcode,
        query_len, response_len, answers, damage, community_id FROM dns WHERE first_seen >= $a AND first_seen < $b AND {CLIENT}
        ORDER BY first_seen, record_id LIMIT 251""",
    f"""SELECT record_id, first_seen, last_seen, sensor, client_ip, client_port, server_ip, server_port, scheme, method, full_uri, status,
        request_bytes, response_bytes, user_agent, ja4, community_id FROM proxy WHERE first_seen >= $a AND first_seen < $b AND {CLIENT}
        ORDER BY first_seen, record_id LIMIT 251""",
]
VOLUME = [
    f"""SELECT (epoch(first_seen) // 60)::BIGINT AS bucket,
        sum(CASE WHEN src_ip = $ip THEN coalesce(dst_bytes, 0) ELSE 0 END + CASE WHEN dst_ip = $ip THEN src_bytes ELSE 0 END),
        sum(CASE WHEN src_ip = $ip THEN src_bytes ELSE 0 END + CASE WHEN dst_ip = $ip THEN coalesce(dst_bytes, 0) ELSE 0 END),
        sum(CASE WHEN src_ip = $ip THEN coalesce(dst_packets, 0) ELSE 0 END + CASE WHEN dst_ip = $ip THEN src_packets ELSE 0 END),
        sum(CASE WHEN src_ip = $ip THEN src_packets ELSE 0 END + CASE WHEN dst_ip = $ip THEN coalesce(dst_packets, 0) ELSE 0 END),
        count(*) FROM flow WHERE first_seen >= $a AND first_seen < $b AND {FLOW} GROUP BY 1""",
]
DETAILS = [
    """SELECT record_id, first_seen, last_seen, src_ip, dst_ip, src_port, dst_port, proto, src_tcp_flags, dst_tcp_flags, src_tos, src_packets,
       src_bytes, dst_packets, dst_bytes, conn_state, service, exporter_ip, input_if, output_if FROM flow
       WHERE first_seen >= $a AND first_seen < $b AND ((src_ip = $ip AND dst_ip = $peer) OR (src_ip = $peer AND dst_ip = $ip))
       ORDER BY first_seen, record_id LIMIT 251""",
]
AROUND = [
    """SELECT peer, sum(sent::DOUBLE) AS o, sum(received::DOUBLE) AS i, count(*) FROM (
       SELECT dst_ip AS peer, coalesce(src_bytes, 0) AS sent, coalesce(dst_bytes, 0) AS received FROM flow
         WHERE first_seen >= $a AND first_seen < $b AND src_ip = $ip
       UNION ALL SELECT src_ip, coalesce(dst_bytes, 0), coalesce(src_bytes, 0) FROM flow
         WHERE first_seen >= $a AND first_seen < $b AND src_ip <> dst_ip AND dst_ip = $ip)
       GROUP BY peer ORDER BY o + i DESC, peer LIMIT 251""",
]
INGEST = [
    f"""SELECT sensor, (epoch(first_seen) // 60)::BIGINT AS bucket, count(*) FROM {table}
        WHERE first_seen >= $a AND first_seen < $b GROUP BY 1, 2"""
    for table in ("flow", "dns", "proxy")
]
QUERIES = {
    "investigation": INVESTIGATION, "timeline": TIMELINE, "volume": VOLUME, "details": DETAILS, "around": AROUND, "ingest": INGEST,
}


def main():
    lake, threads = Path(sys.argv[1]), int(sys.argv[2])
    db = duckdb.connect(config={"threads": threads})
    db.execute("SET parquet_metadata_cache = true; SET TimeZone = 'UTC'")
    paths = {table: sorted(lake.glob(f"{table}/**/*.parquet")) for table in ("flow", "dns", "proxy")}
    schemas = {}
    for line in sys.stdin:
        asked = json.loads(line)
        a, b = (datetime.fromisoformat(asked[key].replace("Z", "+00:00")) for key in ("from", "to"))
        # The folders say the hour: files of other hours are not opened, as the server does not.
        for table, files in paths.items():
            hours = [(datetime.fromisoformat(f"{day}T{hour}:00:00+00:00"), file) for day, hour, file in
                     ((file.parts[-4][5:], file.parts[-3][5:], file) for file in files)]
            near = [str(file) for hour, file in hours if hour < b and hour + timedelta(hours=1) > a]
            if schemas.get(table) != near:
                schemas[table] = near
                listed = ", ".join("'" + file.replace("'", "''") + "'" for file in near)
                db.execute(f"CREATE OR REPLACE VIEW {table} AS SELECT * FROM read_parquet([{listed}], hive_partitioning = false)")
        values = {"a": a, "b": b, "ip": asked.get("ip"), "peer": asked.get("peer")}
        rows = 0
        begin = time.perf_counter()
        for sql in QUERIES[asked["api"]]:
            given = {name: value for name, value in values.items() if f"${name}" in sql}
            rows += db.sql(sql, params=given).to_arrow_table().num_rows
        print(json.dumps({"seconds": time.perf_counter() - begin, "rows": rows, "version": duckdb.__version__}), flush=True)


main()
