#!/bin/bash
# run.sh SPOTTER — the web application in a real headless Chromium over a synthetic day. In CI a skip is a failure.
set -euo pipefail
spotter=$(realpath "$1")
cd "$(dirname "$0")"
[[ -d node_modules ]] || npm ci --silent
log=$(mktemp)
trap 'rm -f "$log"' EXIT
./with-server.sh "$spotter" npm run --silent test | tee "$log"
if [[ ${CI:-} == true ]] && ! grep -q '^ℹ skipped 0$' "$log"; then
    echo "browser tests were skipped; in CI that is a failure" >&2
    exit 1
fi
