# What people and CI call. A fresh clone needs Rust, python3 and npm; everything else is found, fetched or installed.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export GATEWAYS ?= 1
export LAYERS_PORT ?= 8080
STATES ?= 10000000
SEEDS ?= 10000
DURATION ?= 60
EVENTS ?= 1000000
ROUNDS ?= 5
SECONDS ?= 4
ROWS ?= 1000000
# The queries' types come from .sqlx, also where a shell has a DATABASE_URL.
export SQLX_OFFLINE := true

target := $(or $(CARGO_TARGET_DIR),target)

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "%-14s %s\n", $$1, $$2 }'

run: ## run the whole system until Ctrl-C (GATEWAYS=1 LAYERS_PORT=8080)
	@cargo build --release --workspace --bins
	@exec $(target)/release/stack run

setup: ## find, install or build what tests need: servers, a browser, SDKs, the release before
	@cargo build --workspace --bins
	@$(target)/debug/stack setup
	@dev/stack/sdk/setup
	@$(target)/debug/stack previous-release

test: setup ## run all tests
	@command -v cargo-nextest > /dev/null || cargo install cargo-nextest --locked
	@cargo nextest run --workspace
	@cargo test --quiet --workspace --doc

check: ## formatting, lints, dependencies, documentation, schemas, queries
	@cargo fmt --all --check
	@cargo clippy --quiet --workspace --all-targets -- -D warnings
	@command -v cargo-deny > /dev/null || cargo install cargo-deny --locked
	@cargo deny --log-level error check bans licenses sources
	@if cargo deny --log-level error fetch db 2> /dev/null; then cargo deny --log-level error check advisories; \
	  else echo 'the advisory database cannot be reached: advisories are not checked'; fi
	@RUSTDOCFLAGS='-D warnings' cargo doc --quiet --workspace --no-deps --document-private-items
	@cargo run --quiet -p schemas --bin schemas -- check
	@cargo run --quiet -p gateway --bin openapi -- check
	@cargo run --quiet -p stack -- prepare-sqlx --check

model: ## every state of small worlds, each rule broken once; ends in minutes (STATES=… of a world at most)
	@cargo run --quiet --release -p model -- check --large --states $(STATES)

simulate: ## larger worlds by chance (SEEDS=… how many, SEED=… only this one)
	@cargo run --quiet --release -p model -- simulate $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

chaos: ## kill, pause and rob a running system under load, then prove its books (DURATION=60 seconds, SEED=…)
	@cargo build --quiet --release --workspace --bins
	@exec $(target)/release/chaos --duration $(DURATION) $(if $(SEED),--seed $(SEED))

# What libFuzzer needs of the compiler; without a sanitizer it is all in stable Rust.
fuzz_flags := --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Ccodegen-units=1

fuzz: ## libFuzzer over the readers of bodies and of streams, with coverage (DURATION=60 seconds each)
	@host=$$(rustc -vV | sed -n 's/host: //p'); \
	RUSTFLAGS='$(fuzz_flags)' cargo build --quiet --release --manifest-path gateway/fuzz/Cargo.toml --target-dir $(target)/fuzz --target $$host; \
	for name in body stream; do \
	  mkdir -p $(target)/fuzz/corpus/$$name; \
	  $(target)/fuzz/$$host/release/$$name -max_total_time=$(DURATION) -max_len=4096 -timeout=5 -artifact_prefix=$(target)/fuzz/ \
	    $(target)/fuzz/corpus/$$name gateway/fuzz/corpus/$$name; \
	done

bench: ## measure the system on this machine, beside floors of its own (ROUNDS=5 SECONDS=4)
	@cargo build --quiet --release --workspace --bins
	@exec $(target)/release/bench --rounds $(ROUNDS) --seconds $(SECONDS) --out dev/bench/results/$$(date +%F).md

bench-check: ## instructions of the hot path, held to their budget
	@command -v valgrind > /dev/null || { echo 'valgrind is not there: installing it'; apt-get install --quiet --yes valgrind > /dev/null; }
	@cargo build --quiet --release --workspace --bins
	@$(target)/release/bench check --budget dev/bench/budget.json

bench-budget: ## today's instructions of the hot path become their budget
	@cargo build --quiet --release --workspace --bins
	@$(target)/release/bench check --budget dev/bench/budget.json --write

books: ## a made-up log of EVENTS=1000000 events, and what it costs to prove it
	@cargo build --quiet --release -p ledger -p projector -p books
	@$(target)/release/books --events $(EVENTS)

rebuild-bench: ## the projector beside the ledger's append, and rebuilds while readers look (EVENTS=1000000)
	@cargo build --quiet --release --workspace --bins
	@$(target)/release/books --projector --events $(EVENTS)

screenshots: ## pictures of the console into docs/console
	@cargo build --quiet --workspace --bins
	@$(target)/debug/stack setup
	@dev/stack/sdk/setup
	@LAYERS_SCREENSHOTS=docs/console cargo nextest run --workspace -E 'test(system_console_pictures)'

history: ## a made-up year of ROWS=1000000 requests, and what the queries of docs/analytics.md cost
	@cargo build --quiet --release -p books
	@$(target)/release/history --rows $(ROWS)

prepare-sqlx: ## write .sqlx after a change of a query or a migration
	@cargo run --quiet -p stack -- prepare-sqlx

clean-data: ## remove the data of `make run`
	@cargo run --quiet -p stack -- clean-data

.PHONY: help run setup test check model simulate chaos fuzz bench bench-check bench-budget books rebuild-bench screenshots history prepare-sqlx clean-data
