#!/usr/bin/env bash
# Runs fuzz targets for SECONDS each. Starts from the seeds and the kept corpus in fuzz/corpus (one archive a target), goes
# on in the user's cache, and puts findings in fuzz/artifacts. Needs only the Rust the project is built with and a C++ compiler.
#
#   scripts/fuzz.sh SECONDS [TARGET…]     fuzz, all targets by default
#   scripts/fuzz.sh keep                  make the kept corpus anew: the fewest inputs that reach all that was reached
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
seconds="${1:?usage: scripts/fuzz.sh SECONDS [TARGET...] | scripts/fuzz.sh keep}"
shift
cache="${XDG_CACHE_HOME:-$HOME/.cache}/spotter"
host=$(rustc -vV | sed -n 's/^host: //p')
mapfile -t all < <(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' Cargo.toml)
targets=("${@:-${all[@]}}")

# Coverage counters in every crate, and overflow checks; no sanitizer, since unsafe stays out of the decoders.
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
echo "fuzz: building the targets"
CARGO_TARGET_DIR="$cache/target-fuzz" RUSTFLAGS="--cfg fuzzing $coverage -Cdebug-assertions -Coverflow-checks" \
    cargo build --quiet --locked --release --bins --target "$host"
built="$cache/target-fuzz/$host/release"

known() { # TARGET: the folder of what is known, with the kept corpus in it
    mkdir -p "$cache/fuzz/$1" "corpus/$1"
    [ ! -f "corpus/$1.tar.xz" ] || tar -C "$cache/fuzz/$1" -xJf "corpus/$1.tar.xz"
    echo "$cache/fuzz/$1"
}

for target in "${targets[@]}"; do
    [ -x "$built/$target" ] || { echo "fuzz: no target $target; there are: ${all[*]}" >&2; exit 2; }
    corpus=$(known "$target")
    if [ "$seconds" = keep ]; then
        fewest=$(mktemp -d)
        "$built/$target" -merge=1 "$fewest" "$corpus" "corpus/$target" 2>/dev/null
        tar -C "$fewest" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - . | xz -9e >"corpus/$target.tar.xz"
        echo "fuzz: $target: $(find "$fewest" -type f | wc -l) inputs kept, $(stat -c %s "corpus/$target.tar.xz") bytes"
        rm -rf "$fewest"
        continue
    fi
    mkdir -p "artifacts/$target"
    log="$cache/fuzz/$target.log"
    echo "fuzz: $target for $seconds s from $(find "$corpus" "corpus/$target" -type f | wc -l) inputs"
    if ! "$built/$target" "$corpus" "corpus/$target" -artifact_prefix="artifacts/$target/" -max_total_time="$seconds" \
        -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 2>"$log"; then
        tail -n 40 "$log"
        echo "fuzz: $target FAILED; the input is in fuzz/artifacts/$target, and $built/$target INPUT runs it again"
        exit 1
    fi
    awk '/number_of_executed_units/ {runs=$2} /new_units_added/ {new=$2} END {print "fuzz:   " runs " runs, " new " new inputs, clean"}' "$log"
done
