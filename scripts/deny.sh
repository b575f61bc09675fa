#!/usr/bin/env bash
# Dependency policy (deny.toml). Advisories need the RustSec database: where it cannot be fetched that part is skipped and said.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo deny --workspace --all-features --log-level error check licenses bans sources
if cargo deny fetch db >/dev/null 2>&1; then
    cargo deny --log-level error check advisories
else
    echo "deny: SKIPPED advisories: the RustSec database cannot be fetched from here"
fi
