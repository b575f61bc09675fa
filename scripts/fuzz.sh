#!/usr/bin/env bash
# Runs every fuzz target for SECONDS each; keeps what it learns in fuzz/corpus (not in git), findings in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:?usage: scripts/fuzz.sh SECONDS}"
command -v cargo-fuzz >/dev/null || cargo install -q cargo-fuzz --locked
for target in $(cargo +nightly fuzz list); do
    echo "fuzz: $target for ${seconds}s"
    cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 2>"/tmp/fuzz-$target.log" || {
        tail -n 40 "/tmp/fuzz-$target.log"
        echo "fuzz: $target FAILED; the input is in fuzz/artifacts/$target"
        exit 1
    }
    grep -E 'stat::number_of_executed_units|stat::new_units_added' "/tmp/fuzz-$target.log" || true
done
