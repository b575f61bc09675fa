#!/bin/bash
# images.sh SPOTTER — takes the pictures of the README anew: docs/images/PAGE-{light,dark}.webp
set -euo pipefail
spotter=$(realpath "$1")
cd "$(dirname "$0")"
[[ -d node_modules ]] || npm ci --silent
./with-server.sh "$spotter" node screenshot.mjs
