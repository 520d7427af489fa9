# The verbs of this project. `make` lists them.

SHELL := /bin/bash
CARGO := cargo
# Where cargo puts what it builds.
TARGET := $(or $(CARGO_TARGET_DIR),target)
# More arguments for demo, test, bench and soak: make demo ARGS='--runs 20 --report r.json'
ARGS :=
# Debian keeps nft and ip out of ordinary users' PATH.
export PATH := $(PATH):/usr/sbin:/sbin

.DEFAULT_GOAL := help
.PHONY: help demo test check bench soak fuzz crds

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## three nodes, a client and a node's death, live in network namespaces (root or an ordinary user)
	@.ci/install-tools demo
	$(CARGO) build --release --locked -p ferrolb
	$(TARGET)/release/ferrolb demo $(ARGS)

test: ## every test: units, properties, simulator, and end to end in network namespaces
	@.ci/install-tools
	@tests/control-plane/build >/dev/null
	.ci/run-tests --workspace --locked --no-fail-fast $(ARGS)

check: ## format, clippy, documentation without warnings; licences and sources of dependencies
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings
	@# The fuzz targets are a workspace of their own. Nothing is linked here, so libFuzzer need not be built.
	CUSTOM_LIBFUZZER_PATH=/nowhere/libFuzzer.a $(CARGO) clippy --manifest-path fuzz/Cargo.toml --target-dir $(TARGET) --locked -- --deny warnings
	RUSTDOCFLAGS='--deny warnings --allow rustdoc::private_intra_doc_links' $(CARGO) doc --workspace --no-deps --document-private-items --locked --quiet
	@.ci/install-cargo-deny
	$(CARGO) deny --log-level error check bans licenses sources

bench: ## figures beside the peers' and a bare client's, four hours at most: failover, partitions, routers, BGP routes, 10,000 addresses, floods, bursts
	@.ci/install-tools
	@tests/control-plane/build >/dev/null
	$(CARGO) build --release --locked -p ferrolb -p ferrolb-bench
	$(TARGET)/release/ferrolb-bench $(or $(ARGS),--report bench.json --budget 240)

soak: ## the simulator with fresh seeds for as long as you like: make soak ARGS='--minutes 10'
	$(CARGO) build --release --locked -p ferrolb-simulator --example soak
	$(TARGET)/release/examples/soak $(ARGS)

fuzz: ## the decoders and the engine against whatever a fuzzer comes up with: make fuzz ARGS=600 (seconds for each)
	fuzz/run $(ARGS)

crds: ## write deploy/crds from the types
	$(CARGO) run --locked --quiet -p ferrolb -- crds > deploy/crds/ferrolb.io.yaml.new
	mv deploy/crds/ferrolb.io.yaml.new deploy/crds/ferrolb.io.yaml
