# The whole workflow. A fresh clone needs Rust, Python, Node.js and, on Debian, apt: the rest is installed on the way.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test test-engine clients lint fmt bench bench-growth bench-growth-10m bench-check bench-profile bench-trial attack release train rust

# The shell's variables about a PostgreSQL are about another than the private ones that are started here.
unexport $(filter-out PG PG_%,$(filter PG%,$(.VARIABLES)))

# The program as it is shipped.
SHIPPED = target/$(shell rustc -vV | sed -n 's/^host: //p')/release/cdn-activation

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

run: rust ## Serve with a private PostgreSQL and the demo accounts; ARGS="--at 2018-03-20T00:00:00Z" and the like
	@.ci/install-postgresql
	@cargo run --locked -- dev $(ARGS)

test: rust ## All tests: Rust, the published clients (SKIP_CLIENTS=1: not), the manifests (SKIP_DEPLOY=1: not)
	@.ci/install-postgresql
	cargo test --locked --workspace
	tests/clients/run
	.ci/check-deploy

test-engine: rust ## The API suite on another PostgreSQL: PG=14, PG=15 or PG=18; on any server: tests/engines/README.md
	@bin=$$(.ci/install-engine $(PG)); "$$bin/postgres" --version; \
	env -u TEST_DATABASE_URL PG_BIN="$$bin" cargo test --locked --test api

clients: rust ## The published clients against a running server, alone
	@.ci/install-postgresql
	tests/clients/run

lint: rust ## Formatting, clippy, proto files, licences and duplicates of crates
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	.ci/check-proto
	.ci/check-deps

fmt: rust ## Format Rust and proto files
	cargo fmt --all
	.ci/check-proto --write

bench: release ## What the service can do, as ratios to what else can be had; ARGS="--rounds 1 --only Describe" and the like
	@.ci/install-postgresql
	cargo bench --locked -- --service $(SHIPPED) $(ARGS)

bench-growth: release ## The same of a few rows at 10,000 and 1,000,000 accounts, warm and cold
	@.ci/install-postgresql
	cargo bench --locked -- growth --service $(SHIPPED) $(ARGS)

bench-growth-10m: release ## And at 10,000,000 accounts: slow, 6 GB
	@.ci/install-postgresql
	cargo bench --locked -- growth --accounts-10m --service $(SHIPPED) $(ARGS)

bench-check: release ## Fails when a Describe costs more CPU time than it may; a minute after the build
	@.ci/install-postgresql
	cargo bench --locked -- check --service $(SHIPPED)

attack: release ## Attacks the service in every way that its bounds are against, 20 s each; ARGS="--short" and the like
	@.ci/install-postgresql
	cargo bench --locked -- attack --service $(SHIPPED) $(ARGS)

bench-profile: rust ## Where the time of a call and of a start goes, and the bytes; by perf, as root
	@.ci/install-postgresql
	RUSTFLAGS=-Cstrip=none deploy/pgo/cargo build --locked --release --bin cdn-activation --target-dir target/profiling
	cargo bench --locked -- profile --service $(subst target/,target/profiling/,$(SHIPPED)) $(ARGS)

bench-trial: release ## What a setting of the build does, beside the program as it is shipped; BUILD="CARGO_PROFILE_RELEASE_LTO=thin", or none
	@.ci/install-postgresql
	$(if $(BUILD),env $(BUILD) cargo build --locked --release --bin cdn-activation --target-dir target/trial)
	cargo bench --locked -- trial --service $(SHIPPED) $(if $(BUILD),target/trial/release/cdn-activation) $(ARGS)

release: rust ## The program as it is shipped: target/HOST/release/cdn-activation
	deploy/pgo/cargo build --locked --release --bin cdn-activation

train: rust ## What the compiler knows for a release, anew: for a new compiler, or changed hot paths; a quarter of an hour
	@.ci/install-postgresql
	deploy/pgo/train

rust:
	@. .ci/lib.sh; need_command cargo 'Install Rust 1.95 or newer with rustup.'; \
	need_command cc 'Rust links with it, and one crate (ring) is partly C.' gcc libc6-dev
