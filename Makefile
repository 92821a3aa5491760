# Every target is documented by the `##` text after it; `make` alone prints them.
SHELL       := /bin/bash
GO          ?= go
TARGETS_DIR ?= data
FUZZTIME    ?= 5s

.DEFAULT_GOAL := help
.PHONY: help run build tools lint tidy test test-unit test-race test-clients test-rdma \
	test-soak-short test-cluster soak soak-cluster check fuzz bench docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## start a server on four directories under ./data
	@mkdir -p $(TARGETS_DIR)/state $(TARGETS_DIR)/{1,2,3,4}
	bin/weft server --state $(TARGETS_DIR)/state $(TARGETS_DIR)/{1,2,3,4}

build: ## build bin/weft
	$(GO) build -o bin/weft ./cmd/weft

tools: ## install everything the tests need (root; Debian packages, .venv, linter)
	scripts/tools all

test: ## run every suite; with CI=true install the tools and fail on a skipped suite
	@scripts/test

test-unit: ## Go tests without the race detector
	$(GO) test ./...

test-race: ## Go tests with the race detector
	CGO_ENABLED=1 $(GO) test -race ./...

test-clients: ## real S3 clients against a running server; SUITES="boto3 rclone" to choose
	@scripts/test $(or $(SUITES),boto3 acl awscli minio-go rclone restic s3cmd s3fs pyarrow webdataset data torch tofu)

test-rdma: ## real RDMA in a virtual machine (SoftRoCE); needs no RDMA hardware and no KVM
	@scripts/test rdma

test-soak-short: ## a few rounds of kill -9 under load
	@scripts/test soak

soak: build ## 100 rounds of kill -9 under load (ROUNDS=n)
	$(GO) run ./scripts/soak --weft bin/weft --rounds $(or $(ROUNDS),100)
	$(GO) run ./scripts/cluster --weft bin/weft --rounds $(or $(ROUNDS),46)
	$(GO) run ./scripts/cluster --weft bin/weft --metadata-clusters 2 --only outage --rounds 8 --strict
	$(GO) run ./scripts/cluster --weft bin/weft --figures --strict --length 20s

test-cluster: ## gateways, nodes and etcd under faults, histories checked (short)
	@scripts/test race-binary cluster

soak-cluster: build ## the same for ROUNDS rounds (46: every fault twice)
	$(GO) run ./scripts/cluster --weft bin/weft --rounds $(or $(ROUNDS),46)
	$(GO) run ./scripts/cluster --weft bin/weft --metadata-clusters 2 --only outage --rounds 8 --strict
	$(GO) run ./scripts/cluster --weft bin/weft --figures --strict --length 20s

check: ## gofmt, vet, lint, a build without cgo, short fuzzing, then every suite
	@scripts/check

lint: ## golangci-lint with the import floors
	scripts/tools lint
	.cache/bin/golangci-lint run

tidy: ## the shape rules: sizes, comments, import floors
	$(GO) test -count=1 ./internal/tidy

fuzz: ## run every fuzz function for FUZZTIME (5s)
	scripts/fuzz $(FUZZTIME)

bench: ## Go benchmarks of the hot paths
	$(GO) test -run='^$$' -bench=. -benchmem $(or $(PKG),./...)

docs: ## write docs/S3.md again from the route table
	$(GO) test ./s3api -run 'Docs' -update

clean: ## remove what was built and cached (not ./data)
	rm -rf bin .cache .venv
