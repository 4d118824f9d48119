# What one does with weir. `make` alone lists it.

export CARGO_TARGET_DIR ?= $(HOME)/.cache/weir-target

.DEFAULT_GOAL := help
.PHONY: help demo test build run fmt lint fuzz bench-overhead clean

help: ## List what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Set up this machine, then capture nginx, curl and dig before your eyes and query them
	@tools/demo.sh

test: ## Set up this machine, then run every test, also those with real eBPF
	@tools/test.sh

build: ## Build the optimised binary (about 20 minutes the first time on two cores)
	@tools/setup.sh
	@tools/build.sh release
	@echo "built $(CARGO_TARGET_DIR)/release/weir"

run: build ## Serve this whole machine with the optimised binary (ARGS='--listen ...' adds options)
	@tools/run.sh $(ARGS)

fmt: ## Format the code
	cargo fmt --all

lint: ## Check format and lints as CI does
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@# The fuzz targets are a workspace of their own; to be looked at they need no fuzzer, only a name for it.
	CUSTOM_LIBFUZZER_PATH=none/libfuzzer.a cargo clippy --manifest-path fuzz/Cargo.toml -- -D warnings

fuzz: ## Fuzz the parsers for a minute each (SECONDS_EACH=n sets how long; needs cargo-fuzz)
	@tools/fuzz.sh

bench-overhead: ## Measure what weir costs the programs it watches, in turns without and with it (ARGS='--pairs 3' adds options)
	@tools/bench-overhead.sh $(ARGS)

clean: ## Remove what was built and what the tests installed
	cargo clean
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/weir-py"
