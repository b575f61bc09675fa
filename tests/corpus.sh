#!/usr/bin/env bash
# Real captures against independent truth: flows, DNS names, and "does not crash", by the shared checker, then our own
# comparison case by case (tests/expectations lists each difference with its reason).
set -euo pipefail
cd "$(dirname "$0")/.."
export SPOTTER="${1:?usage: tests/corpus.sh PATH-OF-spotter}"
shared="${SPOTTER_SHARED:-../shared}"
if [ ! -d "$shared/data/pcap" ]; then
    echo "corpus: SKIPPED: no captures at $shared/data/pcap (set SPOTTER_SHARED)"
    [ "${CI:-}" = true ] && exit 1
    exit 0
fi
status=0
for what in crash flows dns; do
    python3 "$shared/tools/check_corpus.py" "$what" "$shared/data" || status=1
done
cargo nextest run --locked --workspace -E 'binary(~corpus)' || status=1
exit $status
