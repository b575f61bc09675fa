#!/usr/bin/env bash
# Schemathesis against the OpenAPI document and the GraphQL schema of a running server, as an administrator: no answer may
# be a server error. Bounded to about a minute; the seed makes it the same each time.
#
#     tests/python/api.sh SPOTTER
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
spotter=${1:?the path of the spotter command}
bin="${XDG_CACHE_HOME:-$HOME/.cache}/spotter/venv/bin"
[ -x "$bin/st" ] || bin=$(dirname "$(command -v st || echo /nowhere/st)")
[ -x "$bin/st" ] || {
    echo "schemathesis is missing: pip install -r tests/python/requirements.txt" >&2
    exit 1
}

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
lake=$work/lake
python3 "$here/make_capture.py" "$work/lookups.pcap" >"$work/made.json"
"$spotter" -q import "$work/lookups.pcap" --lake "$lake" --sensor tap-1 >/dev/null
"$spotter" -q score --lake "$lake" >/dev/null
echo 'correct horse battery' | "$spotter" -q user add root --role admin --password-stdin --lake "$lake" >/dev/null
token=$("$spotter" -q token add root --name fuzz --scope admin --lake "$lake")
"$spotter" serve --lake "$lake" --listen 127.0.0.1:0 >"$work/out" 2>"$work/err" &
server=$!
for ((try = 0; try < 300; try++)); do
    url=$(grep -o 'http://127.0.0.1:[0-9]*' "$work/err" | head -1 || true)
    [[ -n $url ]] && curl -fs "$url/api/v1/health" >/dev/null 2>&1 && break
    kill -0 "$server" 2>/dev/null || { cat "$work/err" >&2; exit 1; }
    sleep 0.2
done
curl -fsS -H "Authorization: Bearer $token" "$url/api/openapi.json" >"$work/openapi.json"

# Taking tokens back would take the one that is used: the fuzzer learns its number from answers. 503 is a full house, which a fuzzer makes: retried by clients.
"$bin/st" run "$work/openapi.json" --url "$url" -H "Authorization: Bearer $token" \
    --checks not_a_server_error --phases examples,coverage,fuzzing --max-examples "${API_EXAMPLES:-10}" --seed 1 --workers 1 \
    --request-timeout 60 --warnings off --continue-on-failure --no-shrink \
    --exclude-path-regex '^/api/v1/(tokens/|me/|logout$)' >"$work/report" 2>&1 || {
    cat "$work/report" "$work/err" >&2
    exit 1
}
tail -12 "$work/report"

# A fuzzer that lost its key would have found nothing.
curl -fsS -H "Authorization: Bearer $token" "$url/api/v1/users" >/dev/null || {
    echo "the fuzzer lost its key; the last changes were:" >&2
    "$spotter" audit export --lake "$lake" | tail -20 >&2
    exit 1
}
"$spotter" audit verify --lake "$lake"
if grep -iE 'panic' "$work/err"; then
    echo "the server panicked" >&2
    exit 1
fi
