# The one door: people and CI run the same recipes. Each does its own set-up; a second run is quick.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Machines whose nodes get a proxy in its image. What this machine cannot build for is left out, and scripts/build-native
# says so; with REQUIRE_PLATFORMS=1 it fails.
PLATFORMS ?= linux/amd64 linux/arm64
platforms := $(PLATFORMS:%=--platform %)
# Where the proxy's static target is not to be had, glibc is linked statically instead (scripts/build-native says so).
NATIVE := target/native
GUEST := target/guest
IMAGES := target/images
# The registry and tag under which images are named. `make image TAG=v1 REGISTRY=registry.example.org/akri-wasm`
REGISTRY ?= localhost/akri-wasm
TAG ?= dev
# Whether handlers are also compiled ahead of time, as NAME:TAG-aot: auto, always or never.
AOT ?= auto
# What each handler's module may weigh: in bytes, and compressed. udev reads rules, two kinds of pattern and sysfs.
HANDLERS := debug-echo udev
MAX_debug-echo := 130000
MAX_GZIP_debug-echo := 55000
MAX_udev := 240000
MAX_GZIP_udev := 98000
# Other workloads in WebAssembly, to copy from.
EXAMPLES := hello broker cloudevents udev-broker

.PHONY: help
help: ## Show this
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: setup
setup: ## Install what is missing (Debian packages when root), or say what to install
	@scripts/setup

.PHONY: guest
guest: setup ## Build the wasm handlers, check their imports and their size
	@scripts/build-guest $(if $(TOOLCHAIN),--toolchain $(TOOLCHAIN)) --out $(GUEST) $(HANDLERS) $(EXAMPLES)
	@$(foreach handler,$(HANDLERS),cargo run --quiet --locked -p wasm-image -- check $(GUEST)/$(handler).wasm \
		--max-size $(MAX_$(handler)) --max-gzip $(MAX_GZIP_$(handler));)

.PHONY: native
native: setup ## Build the native programs that images are made of, static, for all PLATFORMS
	@scripts/build-native --out $(NATIVE) $(platforms) $(if $(REQUIRE_PLATFORMS),--require-all) akri-proxy pause wasm-node event-sink

.PHONY: image
image: guest native ## Build all images, without Docker: OCI archives in target/images
	@scripts/build-images --guest $(GUEST) --native $(NATIVE) $(platforms) --out $(IMAGES) --registry $(REGISTRY) --tag $(TAG) --aot $(AOT)

.PHONY: test-engine
test-engine: guest ## The tests of wasm-image run and compile, on the real WasmEdge
	@scripts/test-engine

.PHONY: demo
demo: ## The main job, end to end: a pod with a wasm handler on a real Debian 13 node
	@scripts/demo

.PHONY: cluster
cluster: image ## A real Kubernetes cluster of one node, with the wasm handler running on it (root, Go)
	@scripts/cluster up
	@scripts/cluster deploy
	@scripts/cluster hint

.PHONY: inspect
inspect: ## What crictl would show of the wasm pods on the cluster's node (NODE=NAME: another one)
	@scripts/inspect $(if $(NODE),--node $(NODE))

.PHONY: test
test: guest ## All tests but those that need a node
	@scripts/test

.PHONY: e2e
e2e: ## The tests on a real node, on a real cluster, and those of the scripts (root)
	@scripts/e2e

.PHONY: test-arm64
test-arm64: guest native ## The demo's story by arm64's proxy and engine, emulated
	@scripts/test-arm64 --proxy $(NATIVE)/linux-arm64/akri-proxy --module $(GUEST)/debug-echo.wasm

.PHONY: aot-arm64
aot-arm64: guest native ## Compile the handler ahead of time for arm64, emulated (minutes), and run it
	@scripts/aot-arm64 --guest $(GUEST) debug-echo
	@scripts/test-arm64 --require --proxy $(NATIVE)/linux-arm64/akri-proxy --module $(GUEST)/debug-echo.linux-arm64.wasm

.PHONY: bench
bench: ## Latency and memory, with a floor measured in the same run
	@scripts/bench
	@scripts/bench-images

.PHONY: bench-images
bench-images: setup ## wasm-image beside skopeo, oras, umoci, buildah and a bare upload
	@scripts/bench-images

.PHONY: faults
faults: guest ## Everything dies in random order, 1000 faults for one proxy and for two; prints its seed
	@scripts/faults --long

.PHONY: soak
soak: guest ## A day's re-scans, updates and reconnects in minutes; memory and descriptors have to stay as they are
	@scripts/soak

.PHONY: test-reproducible
test-reproducible: ## Build modules, programs and images again in another folder, and compare every byte
	@scripts/test-reproducible

.PHONY: fuzz
fuzz: ## Foreign bytes, made by a fuzzer, 20 s a target (SECONDS_EACH=600 for a longer round)
	@scripts/fuzz

.PHONY: lint
lint: setup ## rustfmt, clippy (host and wasm), shellcheck, licences, bans and sources
	@scripts/lint

.PHONY: clean
clean: ## Remove build results; cached roots and tools stay
	@rm -rf target
