# hardstand. `make help` lists the targets.

ifeq ($(origin VERSION),undefined)
VERSION := $(shell scripts/version)
endif
PLATFORMS ?= linux/amd64,linux/arm64
# These get only the programs that the built-in images use. Empty builds faster.
LESSER_PLATFORMS ?= linux/arm/v7,linux/riscv64,linux/ppc64le,linux/s390x
GO       ?= go
BIN      := bin
LDFLAGS  := -s -w -X main.version=$(VERSION)

# A program with the race detector sleeps for a second when it ends, unless
# told otherwise: minutes, over all test programs and what they start.
export GORACE ?= atexit_sleep_ms=10

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
ERRCHECK    := github.com/kisielk/errcheck@v1.9.0

.PHONY: help build kms payload demo test check e2e e2e-keyless e2e-policy bench bench-build bench-probe bench-publish bench-health bench-canary bench-collector bench-scan image-collector fuzz docs clean bench-audit

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS='	' read -r t d; do printf '  %-14s %s\n' "$$t" "$$d"; done

payload: ## compile the probe and the decoys that go into images
	@CGO_ENABLED=0 $(GO) run -trimpath ./build/payload/gen -platforms $(PLATFORMS) -lesser "$(LESSER_PLATFORMS)" -version $(VERSION)

build: payload ## build bin/hardstand and its companions, bin/probe and bin/probe-plain
	@mkdir -p $(BIN)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/...
	@CGO_ENABLED=0 $(GO) run -trimpath ./build/payload/gen -unpack $(BIN)

kms: ## build the programs that hold keys in AWS, Google Cloud, Azure and Vault into bin
	@mkdir -p $(BIN)
	cd sign/plugins && GOWORK=off CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(CURDIR)/$(BIN)/ ./sigstore-kms-...

demo: build ## compose, publish, verify and run an image, and trip a decoy
	@scripts/demo

test: ## every test that needs no network and no Docker, in all modules
	@scripts/need gcc xz-utils libxml2-utils
	@$(MAKE) --no-print-directory payload
	@CGO_ENABLED=0 GOFLAGS="-trimpath $$GOFLAGS" $(GO) vet -tags e2e ./...
	@scripts/each-module $(CURDIR)/scripts/test

check: ## the whole gate: format, vet, staticcheck, errcheck, tests, tidy trees
	@scripts/need gcc xz-utils libxml2-utils
	@$(MAKE) --no-print-directory payload
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo 'run gofmt -w on these files'; exit 1; }
	@scripts/each-module $(GO) vet ./...
	@$(GO) vet -tags e2e ./e2e/...
	@for other in darwin/arm64 linux/arm; do GOOS=$${other%/*} GOARCH=$${other#*/} $(GO) vet ./cmd/... ./build/... ./audit/... ./sign/... ./internal/... || exit; done
	@scripts/each-module $(GO) run $(STATICCHECK) ./...
	@scripts/each-module $(GO) run $(ERRCHECK) -ignoretests -exclude $(CURDIR)/.errcheck ./...
	@scripts/each-module $(CURDIR)/scripts/test
	@$(GO) mod tidy -diff && cd app && GOWORK=off $(GO) mod tidy -diff && cd ../sign/plugins && GOWORK=off $(GO) mod tidy -diff
	@app/tidy
	@$(GO) run ./internal/cli/builder/gendocs -check docs/cli.md

e2e: ## the real archive, real Docker, Debian's registry, the real cosign
	@scripts/e2e

e2e-keyless: payload ## keyless signing against a local Fulcio, Rekor and timestamp authority
	@$(GO) test -tags e2ekeyless -count=1 -timeout 40m ./e2e/sign

e2e-policy: ## the generated admission policies in the real Kyverno, policy-controller, Gatekeeper and containers/image, and as a workflow
	@scripts/need docker-registry jq
	@$(GO) test -tags e2e,e2epolicy -count=1 -timeout 60m -run TestPolicies ./e2e/sign

bench: bench-build bench-probe bench-publish bench-canary bench-health bench-collector bench-scan bench-audit ## every benchmark

bench-build: build ## hardstand build beside mmdebstrap, buildah and docker build (needs root)
	@scripts/need mmdebstrap buildah docker.io xz-utils
	@$(GO) run ./bench/build

bench-probe: build ## the probe beside its peers
	@$(GO) run ./bench/probe

bench-audit: build ## hardstand audit of 100 lines and of 300 MB, and the start-up of each executable
	@$(GO) run ./bench/audit
	@$(GO) run ./bench/audit/image

bench-publish: build ## publish and verify base against a loopback registry
	@mkdir -p out/bench && $(BIN)/hardstand build base -o oci:out/bench/base -q >/dev/null
	@$(GO) test ./bench/publish -run '^$$' -bench . -benchtime 10x -layout $(CURDIR)/out/bench/base

bench-scan: build ## scan against databases of the public ones' sizes
	@$(GO) run ./bench/audit/scan

bench-health: ## app/health beside its peers
	@app/in bench/health go run .

bench-canary: ## decoys: from execution to alarm (needs root and Docker)
	@$(GO) run ./bench/canary

image-collector: build ## the collector's own image in out/collector, static and hardened
	@mkdir -p out
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o out/hardstand-collector ./cmd/hardstand-collector
	@rm -rf out/collector && $(BIN)/hardstand wrap out/hardstand-collector -o oci:out/collector

bench-collector: build ## the collector: throughput, burst, crashes, forgeries (with PostgreSQL)
	@scripts/need postgresql
	@$(GO) run ./bench/collector

fuzz: ## every fuzz target for FUZZTIME (default 60s) each
	@scripts/fuzz $${FUZZTIME:-60s}

docs: ## generate docs/cli.md from the commands and docs/rules from the rules
	@$(GO) run ./internal/cli/builder/gendocs docs/cli.md
	@$(GO) run ./audit/catalog/gen docs

clean: ## remove what the targets above made
	rm -rf $(BIN) out build/payload/bin/*.gz build/payload/bin/*.zst build/payload/bin/manifest.json
