# The one door: people and CI run the same recipes. Each does its own set-up; a second run is quick.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Where the proxy's static target is not to be had, glibc is linked statically instead (scripts/build-native says so).
NATIVE := target/native
GUEST := target/guest
IMAGES := target/images
# The registry and tag under which images are named. `make image TAG=v1 REGISTRY=registry.example.org/akri-wasm`
REGISTRY ?= localhost/akri-wasm
TAG ?= dev
# What a handler's module may weigh.
MAX_WASM := 130000
MAX_WASM_GZIP := 55000

.PHONY: help
help: ## Show this
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: setup
setup: ## Install what is missing (Debian packages when root), or say what to install
	@scripts/setup

.PHONY: guest
guest: setup ## Build the wasm handlers, check their imports and their size
	@scripts/build-guest $(if $(TOOLCHAIN),--toolchain $(TOOLCHAIN)) --out $(GUEST) debug-echo hello broker
	@cargo run --quiet --locked -p wasm-image -- check $(GUEST)/debug-echo.wasm --max-size $(MAX_WASM) --max-gzip $(MAX_WASM_GZIP)

.PHONY: native
native: setup ## Build the proxy and the pause program, static
	@scripts/build-native --out $(NATIVE) akri-proxy pause

.PHONY: image
image: guest native ## Build all images, without Docker: OCI archives in target/images
	@scripts/build-images --guest $(GUEST) --native $(NATIVE) --out $(IMAGES) --registry $(REGISTRY) --tag $(TAG)

.PHONY: demo
demo: ## The main job, end to end: a pod with a wasm handler on a real Debian 13 node
	@scripts/demo

.PHONY: cluster
cluster: image ## A real Kubernetes cluster of one node, with the wasm handler running on it (root, Go)
	@scripts/cluster up
	@scripts/cluster deploy
	@scripts/cluster hint

.PHONY: test
test: guest ## All tests but those that need a node
	@scripts/test

.PHONY: e2e
e2e: ## The tests on a real node, on a real cluster, and those of the scripts (root)
	@scripts/e2e

.PHONY: bench
bench: ## Latency and memory, with a floor measured in the same run
	@scripts/bench

.PHONY: lint
lint: setup ## rustfmt, clippy (host and wasm), shellcheck, licences, bans and sources
	@scripts/lint

.PHONY: clean
clean: ## Remove build results; cached roots and tools stay
	@rm -rf target
