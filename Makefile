# Two commands on a fresh Debian machine: `make demo` and `make test`. The rest is parts of them.
SHELL := /bin/bash
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/spotter
export CARGO_TARGET_DIR := $(CACHE)/target
# What the set-up installs for the user: Rust by rustup, Node.js from PyPI where Debian's is too old.
export PATH := $(HOME)/.cargo/bin:/usr/lib/llvm-22/bin:$(PATH):$(CACHE)/venv/bin
SPOTTER := $(CARGO_TARGET_DIR)/debug/spotter
# Where the kernel program's toolchain is missing (scripts/setup.sh probe), Spotter is built without XDP, and says so.
FEATURES = $(if $(filter yes,$(HAS_PROBE)),,--no-default-features --features kafka,mongodb)
HAS_PROBE = $(shell scripts/setup.sh has-probe && echo yes || echo "make: no eBPF toolchain here (scripts/setup.sh probe): building without XDP" >&2)

.PHONY: api help demo test setup build release deb web lint unit browser python deny test-corpus fuzz fuzz-short images bench clean

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: target ## A synthetic day with known attacks: generate, import, score, serve in the browser
	@scripts/setup.sh build web
	@$(MAKE) --no-print-directory web build
	$(SPOTTER) demo

test: target ## All set-up, then every check CI makes
	@scripts/setup.sh
	@$(MAKE) --no-print-directory web lint unit build browser python api deny fuzz-short

setup: ## Install what is missing on this machine
	@scripts/setup.sh

build: target ## The command, test profile
	cargo build --locked $(FEATURES) --bin spotter

release: target web ## The command as it is shipped and measured
	cargo build --locked $(FEATURES) --release --bin spotter

deb: release ## A Debian package of the release, into the target folder
	packaging/deb.sh $(CARGO_TARGET_DIR)/release/spotter $(CARGO_TARGET_DIR)

web: ## The browser application, into ui/web/dist
	@cd ui/web && npm run --silent build

lint: target ## Formatting, lock files and clippy
	cargo fmt --all --check
	cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null
	cargo clippy --locked $(FEATURES) --workspace --all-targets -- -D warnings

unit: target ## Unit, property, corpus and fault tests of every crate
	cargo nextest run --locked $(FEATURES) --workspace --no-fail-fast
	@cd ui/web && npm run --silent test && node scripts/api-types.mjs --check

browser: build ## The web application in a real headless Chromium
	tests/browser/run.sh $(SPOTTER)

python: build ## DuckDB and pyarrow read the lake
	tests/python/run.sh $(SPOTTER)

api: build ## A fuzzer finds no server error in the API
	tests/python/api.sh $(SPOTTER)

deny: ## Licences, advisories, duplicate crates
	scripts/deny.sh

test-corpus: release ## Real captures against independent truth (needs ../shared)
	tests/corpus.sh $(CARGO_TARGET_DIR)/release/spotter

bench: release ## Figures beside their peers, on this machine
	$(CARGO_TARGET_DIR)/release/spotter bench

fuzz: ## Every fuzz target for FUZZ_SECONDS (default 600) each
	scripts/fuzz.sh $(or $(FUZZ_SECONDS),600)

fuzz-short: ## Every fuzz target for 10 seconds, from the kept corpus
	scripts/fuzz.sh 10

images: build web ## Regenerate the pictures of the README
	tests/browser/images.sh $(SPOTTER)

# `target` stays where tools expect it, and one build directory serves every clone of this user.
target:
	@mkdir -p $(CARGO_TARGET_DIR) && ln -sfn $(CARGO_TARGET_DIR) target

clean:
	rm -rf ui/web/dist ui/web/node_modules tests/browser/node_modules
	cargo clean
