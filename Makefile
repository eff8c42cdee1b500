# The whole workflow. A fresh clone needs Rust, Python, Node.js and, on Debian, apt: the rest is installed on the way.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test clients lint fmt bench bench-growth bench-growth-10m bench-check bench-profile rust

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

run: rust ## Serve with a private PostgreSQL and the demo accounts; ARGS="--at 2018-03-20T00:00:00Z" and the like
	@.ci/install-postgresql
	@cargo run --locked -- dev $(ARGS)

test: rust ## All tests: Rust, the official SDKs (SKIP_CLIENTS=1: not), the manifests (SKIP_DEPLOY=1: not)
	@.ci/install-postgresql
	cargo test --locked
	tests/clients/run
	.ci/check-deploy

clients: rust ## The official SDKs against a running server, alone
	@.ci/install-postgresql
	tests/clients/run

lint: rust ## Formatting, clippy, proto files, licences and duplicates of crates
	cargo fmt --check
	cargo clippy --locked --all-targets -- --deny warnings
	.ci/check-proto
	.ci/check-deps

fmt: rust ## Format Rust and proto files
	cargo fmt
	.ci/check-proto --write

bench: rust ## What the service can do, as ratios to what else can be had; ARGS="--rounds 1 --only Describe" and the like
	@.ci/install-postgresql
	cargo bench --locked -- $(ARGS)

bench-growth: rust ## The same of a few rows at 10,000 and 1,000,000 accounts, warm and cold
	@.ci/install-postgresql
	cargo bench --locked -- growth $(ARGS)

bench-growth-10m: rust ## And at 10,000,000 accounts: slow, 6 GB
	@.ci/install-postgresql
	cargo bench --locked -- growth --accounts-10m $(ARGS)

bench-check: rust ## Fails when a Describe costs more CPU time than it may; a minute after the build
	@.ci/install-postgresql
	cargo bench --locked -- check

bench-profile: rust ## Where the time of a call goes, by perf; as root
	@.ci/install-postgresql
	cargo bench --locked --profile profiling -- profile $(ARGS)

rust:
	@. .ci/lib.sh; need_command cargo 'Install Rust 1.95 or newer with rustup.'; \
	need_command cc 'Rust links with it, and one crate (ring) is partly C.' gcc libc6-dev
