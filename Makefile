# `make help` explains every target that has a ## behind it.

SHELL         := /bin/bash
.SHELLFLAGS   := -euo pipefail -c
.DEFAULT_GOAL := help

GO       ?= go
FUZZTIME ?= 30s
BENCH    ?= .
OLD      ?=
NEW      ?= benchmarks/results/bench.txt
CONFIG   ?= /etc/sluice/host.yaml
PREFIX   ?= /usr/local
DESTDIR  ?=

MODULE  := github.com/sluicenet/sluice
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null)
LDFLAGS := -X main.version=$(VERSION) -X main.commit=$(COMMIT)

# Three sorts of packages. CGO links with DPDK. E2E makes network namespaces. All others must build and pass without cgo,
# as anybody, on any machine.
CGO_ROOMS := ^$(MODULE)/(dpdk|cmd/sluiced|cmd/sluice-pktgen)(/|$$)
E2E_ROOMS := ^$(MODULE)/(demo|e2e)(/|$$)
CGO        = $$($(GO) list ./... | grep -E '$(CGO_ROOMS)')
E2E        = $$($(GO) list ./... | grep -E '$(E2E_ROOMS)')
DEMO       = $$($(GO) list ./demo/...)
PURE       = $$($(GO) list ./... | grep -Ev '$(CGO_ROOMS)|$(E2E_ROOMS)')

# The command line is the only command that must not link with DPDK.
CGO_COMMANDS := $(addprefix ./,$(filter-out cmd/sluice,$(wildcard cmd/*)))

# Tests that need root are compiled by whoever runs make, and only run by sudo, so that no file of the build becomes root's.
ifneq ($(shell id -u),0)
ROOT  := sudo
AS_ROOT = -exec "sudo -E env PATH=$$PATH"
endif

.PHONY: help
help: ## Explain the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  Variables: FUZZTIME=$(FUZZTIME) BENCH=$(BENCH) CONFIG=$(CONFIG) PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)"

.PHONY: deps
deps: go-version ## Install the Debian packages that are missing (does nothing when all are there)
	@.ci/deps

.PHONY: go-version
go-version:
	@v=$$($(GO) env GOVERSION 2>/dev/null || true); \
	if ! printf 'go1.26\n%s\n' "$$v" | sort -V -C; then \
		echo "make: Go 1.26 or newer is needed, found $${v:-none}: install it from https://go.dev/dl and put it first into PATH" >&2; exit 1; \
	fi

.PHONY: build
build: deps ## Build the commands into bin: sluiced (the daemon), sluice (the command line) and all others
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/ $(CGO_COMMANDS)
	CGO_ENABLED=0 $(GO) build -ldflags '$(LDFLAGS)' -o bin/sluice ./cmd/sluice

.PHONY: test
test: test-pure test-race test-cgo e2e ## Run all tests: without cgo, with the race detector, with DPDK, in namespaces

.PHONY: test-pure
test-pure: deps
	@echo "== tests without cgo"
	CGO_ENABLED=0 $(GO) test $(PURE)
	@echo "== commands and test packages build without cgo"
	CGO_ENABLED=0 $(GO) vet $(PURE) $(E2E)

.PHONY: test-race
test-race: deps
	@echo "== tests with the race detector"
	CGO_ENABLED=1 $(GO) test -race -timeout 30m $(PURE)
	CGO_ENABLED=1 $(GO) test -race -p 1 $(AS_ROOT) $(DEMO)

.PHONY: test-cgo
test-cgo: build
	@echo "== tests with DPDK (as root)"
	$(GO) test -p 1 $(AS_ROOT) $(CGO)

.PHONY: e2e
e2e: build ## Run the tests on real packets in network namespaces, and in an emulated machine if it can be had (root)
	@.ci/lab-deps || echo "== no emulated machine: its tests skip"
	@echo "== end to end, in network namespaces (as root)"
	$(GO) test -p 1 -count 1 -timeout 30m $(AS_ROOT) $(E2E)

.PHONY: lab-deps
lab-deps: ## Get QEMU and a stock kernel for the tests in an emulated machine (does nothing when all is there)
	@.ci/lab-deps

.PHONY: test-lab
test-lab: build lab-deps ## Run the tests in an emulated machine, and show what they measured (root, two minutes)
	$(GO) test -count 1 -timeout 30m -v -run '^TestMachine' $(AS_ROOT) ./e2e

.PHONY: lint
lint: deps ## Check format, vet, golangci-lint and that generated code is up to date
	@echo "== gofmt"
	@files=$$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l); \
	[ -z "$$files" ] || { echo "not formatted, run gofmt -w on:"; echo "$$files"; exit 1; }
	@echo "== go vet"
	$(GO) vet ./...
	@echo "== golangci-lint (the first run builds it, which takes minutes)"
	$(GO) tool -modfile=.ci/tools/go.mod golangci-lint run ./...
	@echo "== generated code"
	api/generate.sh --check

.PHONY: fuzz
fuzz: deps ## Run each fuzz target for FUZZTIME
	@.ci/fuzz $(FUZZTIME) $(PURE)

# Six samples of each are what benchstat needs to say with 95 % certainty that two results differ.
BENCH_OUT       := benchmarks/results/bench.txt
BENCH_SCENARIOS := l2-64b,nvgre-encap,nvgre-encap:10000,nvgre-decap,udp-1400b

# The page shows all results that lie beside the comparison.
REPORT = bin/sluice-pktgen report benchmarks/results/result.json -w docs/PERFORMANCE.md

.PHONY: bench
bench: build ## Measure the switch by itself: one worker, and the Go benchmarks that match BENCH (root, four minutes)
	@scratch=$$(mktemp -d); trap 'rm -rf $$scratch' EXIT; \
	$(ROOT) bin/sluice-pktgen compare --only sluice --scenario $(BENCH_SCENARIOS) --rounds 6 --seconds 0.5 --warmup 500ms --retries 0 --out $$scratch; \
	bin/sluice-pktgen report $$scratch/result.json --format benchfmt --write $(BENCH_OUT)
	@CGO_ENABLED=0 $(GO) test -run '^$$' -bench '$(BENCH)' -benchtime 0.05s -count 6 -benchmem $(PURE) | sed -E '/^(PASS|ok |\?)/d' | tee -a $(BENCH_OUT)
	@echo "wrote $(BENCH_OUT): keep a copy, and make bench-compare OLD=copy shows what a change does"

.PHONY: vmq-sim
vmq-sim: build ## Simulate how workers are balanced, and write docs/VMQ-SIMULATION.md with its pictures (some minutes)
	bin/sluice-pktgen vmq-sim --json benchmarks/results/vmq-sim.json -w docs/VMQ-SIMULATION.md

.PHONY: bench-peers
bench-peers: build ## Measure the switch beside testpmd and Open vSwitch, and write docs/PERFORMANCE.md with its charts (root, half an hour)
	$(ROOT) bin/sluice-pktgen compare --out benchmarks/results
	@failed=; for run in 'flood --json benchmarks/results/flood.json' 'scale --out benchmarks/results' 'tcp --out benchmarks/results'; do \
		echo "$(ROOT) bin/sluice-pktgen $$run"; $(ROOT) bin/sluice-pktgen $$run || failed="$$failed $${run%% *}"; \
	done; \
	$(REPORT); \
	[ -z "$$failed" ] || { echo "make: not finished, and marked so on the page if anything was measured:$$failed" >&2; exit 1; }

# Each leaves its result, marked as partial where it was not finished; the page tells of what is there.
QOS_RUNS := 'shares --pictures=false --out benchmarks/results' 'sched --out benchmarks/results' \
	'qos-cost --json benchmarks/results/qos-cost.json'

.PHONY: bench-qos
bench-qos: build ## Measure quality of service: shares over time, the scheduler beside librte_sched, what it costs a worker; writes docs/PERFORMANCE.md (root, four minutes)
	@failed=; for run in $(QOS_RUNS); do \
		echo "$(ROOT) bin/sluice-pktgen $$run"; $(ROOT) bin/sluice-pktgen $$run || failed="$$failed $${run%% *}"; \
	done; \
	$(REPORT); \
	[ -z "$$failed" ] || { echo "make: not finished, and marked so on the page if anything was measured:$$failed" >&2; exit 1; }

.PHONY: bench-vmq
bench-vmq: build ## Measure the modes of dynamic VMQ under loads that change; writes docs/PERFORMANCE.md (root, three minutes)
	@failed=; $(ROOT) bin/sluice-pktgen vmq --out benchmarks/results || failed=vmq; \
	$(REPORT); \
	[ -z "$$failed" ] || { echo "make: not finished, and marked so on the page if anything was measured: $$failed" >&2; exit 1; }

.PHONY: soak
soak: build ## Run the switch at full load for ten minutes while its configuration changes, and write docs/PERFORMANCE.md (root)
	$(ROOT) bin/sluice-pktgen soak --out benchmarks/results
	$(REPORT)

.PHONY: bench-compare
bench-compare: build ## Show what differs between OLD and NEW, each a result.json or a bench.txt, and whether it is significant
	@.ci/bench-compare '$(OLD)' '$(NEW)'

.PHONY: demo
demo: build ## Two hosts, two tenants, NVGRE between them, in network namespaces (root, under a minute)
	@$(ROOT) bin/sluice demo

.PHONY: run
run: build ## Run the daemon in the foreground with CONFIG
	$(ROOT) bin/sluiced --config $(CONFIG)

.PHONY: install
install: ## Install what `make build` built under DESTDIR and PREFIX, with systemd unit and completions
	@[ -x bin/sluiced ] && [ -x bin/sluice ] || { echo "make: nothing to install yet: run make build first, not as root" >&2; exit 1; }
	install -D -m 755 bin/sluiced $(DESTDIR)$(PREFIX)/sbin/sluiced
	install -D -m 755 bin/sluice $(DESTDIR)$(PREFIX)/bin/sluice
	install -d -m 755 $(DESTDIR)/etc/sluice $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|g' configs/systemd/sluiced.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/sluiced.service
	chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/sluiced.service
	install -d -m 755 $(addprefix $(DESTDIR)$(PREFIX)/share/,bash-completion/completions zsh/site-functions fish/vendor_completions.d)
	bin/sluice completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/sluice
	bin/sluice completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_sluice
	bin/sluice completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/sluice.fish
