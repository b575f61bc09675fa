#!/bin/bash
# run.sh SPOTTER — the web application in a real headless Chromium over a synthetic day.
set -euo pipefail
spotter=$(realpath "$1")
cd "$(dirname "$0")"
[[ -d node_modules ]] || npm ci --silent
./with-server.sh "$spotter" npm run --silent test
