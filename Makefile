# The whole workflow. A fresh clone needs Rust, Python, Node.js and, on Debian, apt: the rest is installed on the way.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test test-engine clients lint fmt advisories bench bench-check attack rollout timing fuzz release rust

# The shell's variables about a PostgreSQL are about another than the private ones that are started here.
unexport $(filter-out PG PG_%,$(filter PG%,$(.VARIABLES)))

# Twice as many tests at once as there are cores: most of the API tests wait, for the database or for a file to be read again.
export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))

# The program as it is shipped.
SHIPPED = target/$(shell rustc -vV | sed -n 's/^host: //p')/release/cdn-activation
BENCH = cargo run --locked --profile bench-tools --package bench -- --service $(SHIPPED)

help:
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

run: rust ## Serve with a private PostgreSQL and the demo accounts; ARGS="--at 2018-03-20T00:00:00Z" and the like
	@.ci/install-postgresql
	@cargo run --locked -- dev $(ARGS)

# What `make test` builds once, and all its parts run.
BUILT = $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/debug
test: export CDN_ACTIVATION_BIN := $(or $(CDN_ACTIVATION_BIN),$(BUILT)/cdn-activation)
test: export BENCH_BIN := $(or $(BENCH_BIN),$(BUILT)/bench)
test: rust ## All tests: Rust, the published clients, the explorer, the manifests (SKIP_CLIENTS=1, SKIP_EXPLORER=1, SKIP_ROLLOUT=1, SKIP_TRACES=1, SKIP_DEPLOY=1: not)
	@.ci/install-postgresql
	cargo build --locked --workspace --all-targets
	cargo test --locked --workspace
	tests/clients/run
	tests/explorer/run
	tests/traces/run
	tests/rollout/run --short
	.ci/check-deploy
	tests/prometheus/run

test-engine: rust ## The API suite on another PostgreSQL: PG=14, PG=15 or PG=18; on any server: tests/engines/README.md
	@bin=$$(.ci/install-engine $(PG)); "$$bin/postgres" --version; \
	env -u TEST_DATABASE_URL PG_BIN="$$bin" cargo test --locked --test api

clients: rust ## The published clients against a running server, alone
	@.ci/install-postgresql
	tests/clients/run

lint: rust ## Formatting, clippy, proto files, licences and duplicates of crates
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --quiet --locked --workspace --features cdn-activation/client --no-deps --document-private-items
	.ci/check-proto
	.ci/check-deps

advisories: rust ## Known vulnerabilities of crates; needs the network or a copy of the database: ADVISORY_DB=FOLDER
	.ci/check-advisories

fmt: rust ## Format Rust and proto files
	cargo fmt --all
	.ci/check-proto --write

bench: release ## The CPU time of a call, in comparison with other programs; ARGS="--rounds 1 --only Describe" and the like
	@.ci/install-postgresql
	$(BENCH) $(ARGS)

bench-check: release ## Fails if a Describe costs more CPU time than it may
	@.ci/install-postgresql
	$(BENCH) check

attack: release ## Attacks the released program, without and with TLS, and checks its limits, 20 s each; ARGS="--short" and the like
	@.ci/install-postgresql
	$(BENCH) attack $(ARGS)

rollout: release ## Restarts two replicas of the released program in turn under load, directly and behind haproxy: no call may fail
	@.ci/install-postgresql
	CDN_ACTIVATION_BIN=$(SHIPPED) tests/rollout/run $(ARGS)

timing: rust ## Whether the time of a refusal tells how much of a signature or token is right
	$(BENCH) timing

fuzz: rust ## Run the fuzz targets, 10 minutes each, with a nightly compiler; FUZZ_SECONDS=60 and the like
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),600) fuzz/run

release: rust ## Build the program as it is shipped, and its bill of materials: target/HOST/release/cdn-activation{,.cdx.json}
	deploy/pgo/cargo build --locked --release --bin cdn-activation
	deploy/supply/sbom

rust:
	@. .ci/lib.sh; need_command cargo 'Install Rust 1.95 or newer with rustup.'; \
	need_command cc 'Rust links with it, and one crate (ring) is partly C.' gcc libc6-dev
