#!/usr/bin/env bash
# Other people's readers over a lake that Spotter made: DuckDB, pyarrow and `spotter query` must count the
# same, and what went in.
#
#     tests/python/run.sh SPOTTER
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
spotter=${1:?the path of the spotter command}
python=python3
venv="${XDG_CACHE_HOME:-$HOME/.cache}/spotter/venv"
[ -x "$venv/bin/python" ] && python="$venv/bin/python"
"$python" -c 'import duckdb, pyarrow' 2>/dev/null || {
    echo "DuckDB and pyarrow are missing: pip install -r tests/python/requirements.txt" >&2
    exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" "$here/make_capture.py" "$work/lookups.pcap" >"$work/made.json"
"$spotter" import "$work/lookups.pcap" --lake "$work/lake" --sensor tap-1
"$python" "$here/read_lake.py" "$work/lake" --spotter "$spotter" >"$work/read.json"
"$python" - "$work/made.json" "$work/read.json" <<'PYTHON'
import json
import sys

made, read = (json.load(open(path)) for path in sys.argv[1:])
found = {
    "flow": read["flow"]["rows"],
    "dns": read["dns"]["rows"],
    "rcode": read["dns"]["sums"]["rcode"],
    **{c: read["flow"]["sums"][c] for c in ("src_packets", "src_bytes", "dst_packets", "dst_bytes")},
}
if found != made:
    sys.exit(f"made {made}\nread {found}")
days = {"2026-11-21": made["flow"] // 2, "2026-11-22": made["flow"] // 2}
if read["flow"]["by_day"] != days:
    sys.exit(f"days {days}\nread {read['flow']['by_day']}")
print("DuckDB, pyarrow and spotter query read the same:", json.dumps(found))
PYTHON
