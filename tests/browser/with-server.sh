#!/bin/bash
# with-server.sh SPOTTER COMMAND… — runs COMMAND with SPOTTER_URL and SPOTTER_TOKEN of a server over a synthetic day,
# or over the lake in SPOTTER_LAKE, and SPOTTER_BIN, the command. The server and its lake are gone afterwards.
set -euo pipefail
spotter=$1
shift
work=$(mktemp -d)
server=
finish() {
    if [[ -n $server ]]; then
        kill -INT "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT
# It is read before the server may have made it.
: >"$work/out"
if [[ -n ${SPOTTER_LAKE:-} ]]; then
    "$spotter" serve --lake "$SPOTTER_LAKE" --listen 127.0.0.1:0 >"$work/out" 2>"$work/err" &
else
    # The demo's day, and the day before it, which is imported and not scored.
    {
        "$spotter" demo --no-serve --lake "$work/lake"
        "$spotter" demo --no-serve --lake "$work/earlier" --date 2026-03-10 --hosts 40
        "$spotter" import --lake "$work/lake" --sensor demo "$work/earlier/demo/day.pcap"
    } >"$work/made" 2>&1 || { cat "$work/made" >&2; exit 1; }
    "$spotter" serve --lake "$work/lake" --listen 127.0.0.1:0 >"$work/out" 2>"$work/err" &
fi
server=$!
for ((second = 0; second < ${SPOTTER_PATIENCE:-300}; second++)); do
    token=$(sed -n 's/^API token: //p' "$work/out")
    if [[ -n $token ]]; then break; fi
    if ! kill -0 "$server" 2>/dev/null; then
        echo "the server ended before it listened:" >&2
        cat "$work/out" "$work/err" >&2
        exit 1
    fi
    sleep 1
done
link=$(grep -o 'http://[^ ]*/?token=[0-9a-f]*' "$work/out" | head -1)
if [[ -z $token || -z $link ]]; then
    echo "the server printed no link within ${SPOTTER_PATIENCE:-300} s:" >&2
    cat "$work/out" "$work/err" >&2
    exit 1
fi
SPOTTER_URL=${link%%/\?token=*} SPOTTER_TOKEN=$token SPOTTER_BIN=$(realpath "$spotter") "$@"
