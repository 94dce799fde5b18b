# What people do with RedisHA. `make` alone lists it.
GO          ?= go
KUBECTL     ?= kubectl
DOCKER      ?= docker
IMG         ?= ghcr.io/redisha/redisha:latest
TESTFLAGS   ?=
BIN         := $(CURDIR)/bin
INSTALLER   ?= dist/install.yaml
MANIFEST_IMG := ghcr.io/redisha/redisha:latest
SHELL       := /bin/sh

# What a build says that it is. The date is that of the commit: the same sources make the same binary.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null)
DATE    ?= $(shell git log -1 --format=%cI 2>/dev/null)
STAMP    = -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)

CONTROLLER_GEN := $(BIN)/controller-gen
KUSTOMIZE      := $(BIN)/kustomize
GOLANGCI_LINT  := $(BIN)/golangci-lint

# The modules with code of their own, beside the operator's.
GOCLIENTS := e2e/clients/programs/goclients
MODULES   := api e2e $(GOCLIENTS)

.DEFAULT_GOAL := help

##@ General

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN {FS = ":.*##"; printf "Usage: make TARGET [VARIABLE=value]\n"} \
	/^[a-zA-Z0-9_-]+:.*##/ {printf "  %-16s %s\n", $$1, $$2} \
	/^##@/ {printf "\n%s\n", substr($$0, 5)}' $(MAKEFILE_LIST)

.PHONY: deps
deps: ## Install redis-server if it is missing (Debian and Ubuntu, as root).
	@if command -v redis-server >/dev/null 2>&1; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		echo "redis-server is missing: installing Debian's package redis-server"; \
		RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server' >/dev/null; \
	else \
		echo "redis-server is missing: install Redis 7.0 or newer (Debian, Ubuntu: sudo apt-get install redis-server)" >&2; exit 1; \
	fi

##@ See it work, without a cluster

.PHONY: demo
demo: deps ## Apply a RedisHA, break it four ways under load, print what it cost. KEEP=1 keeps it running.
	CGO_ENABLED=0 $(GO) run -C e2e ./cmd/demo

.PHONY: bench
bench: deps ## Measure the write gap of a killed master, side by side with Redis Sentinel.
	CGO_ENABLED=0 $(GO) run -C e2e ./cmd/bench

# What the applications need beside Go and redis-server is installed where it can be; an application that lacks it is left out by name.
ROUNDS ?= 3
FAULTS ?=
LIBS   ?= default
LAG    ?= 0s
PAGE   ?= dist/clients.md

.PHONY: clients
clients: deps ## What client libraries notice of faults; ROUNDS=3 FAULTS=kill,delete LIBS=go-redis,ioredis LAG=1s choose. Into dist/clients.json.
	CGO_ENABLED=0 $(GO) run -C e2e ./cmd/clients --rounds=$(ROUNDS) --faults=$(FAULTS) --libs=$(LIBS) --lag=$(LAG) --json=$(CURDIR)/dist/clients.json --markdown=$(abspath $(PAGE)) $(CLIENTFLAGS)

OPERATIONS ?=
TLS        ?= off,on

.PHONY: operations
operations: ROUNDS = 10
operations: deps ## What applications notice of planned operations; ROUNDS=10 OPERATIONS=delete,scale TLS=off choose. Into dist/operations.json and dist/operations.md.
	CGO_ENABLED=0 $(GO) run -C e2e ./cmd/operations --rounds=$(ROUNDS) --operations=$(OPERATIONS) --tls=$(TLS) --json=$(CURDIR)/dist/operations.json --markdown=$(CURDIR)/dist/operations.md $(OPERATIONSFLAGS)

.PHONY: sandbox
sandbox: deps ## Start a Kubernetes API with real Redis processes; prints its KUBECONFIG. Ctrl-C ends it.
	CGO_ENABLED=0 $(GO) run -C e2e ./cmd/sandbox

##@ On a real cluster

.PHONY: kind-up
kind-up: ## Make a kind cluster of four nodes, also where no image can be pulled (KIND_IMAGES=pull, build); prints its KUBECONFIG.
	CGO_ENABLED=0 $(GO) run -C e2e ./cmd/kind up

E2E_IMG   := localhost/redisha/operator:e2e
INSTALLED := dist/e2e-install.yaml
FOCUS     ?=
LABELS    ?=
# What a person asks for by FOCUS or LABELS is not narrowed down to the core.
suite = E2E=1 E2E_INSTALLER=$(CURDIR)/$(INSTALLED) COUNT=$(COUNT) SENTINEL_COUNT=$(SENTINEL_COUNT) CGO_ENABLED=0 $(GO) test -C e2e -v -count=1 -timeout 3h -run TestOnACluster ./suite \
	-args -ginkgo.v -ginkgo.label-filter='$(1)' -ginkgo.focus='$(FOCUS)'

.PHONY: e2e
e2e: e2e-up ## On the kind cluster, made if there is none: deploy as users do, then lifecycle, deletion, kill, hang, drain under load. FOCUS=text or LABELS=expression choose, COUNT=10 repeats.
	$(call suite,$(or $(LABELS),$(if $(FOCUS),!compare,core)))

.PHONY: e2e-chaos
e2e-chaos: e2e-up ## The scenarios that are not in make e2e: frozen workers, partitions, outages, an operator rolled out under load.
	$(call suite,chaos)

.PHONY: e2e-compare
e2e-compare: COUNT = 3
e2e-compare: e2e-up ## The same client and faults side by side with Redis Sentinel, COUNT=3 times over (20 minutes); prints ratios.
	$(call suite,compare)

.PHONY: e2e-clients
e2e-clients: COUNT = 3
e2e-clients: e2e-up ## What client libraries on the workers notice of faults, COUNT=3 times over, in a quiet cluster and in a busy one.
	$(call suite,clients)

.PHONY: e2e-up
e2e-up: kind-up
	@$(MAKE) --no-print-directory build-installer IMG=$(E2E_IMG) INSTALLER=$(INSTALLED)

.PHONY: kind-down
kind-down: ## Remove the kind cluster, and what was done to the machine for it.
	CGO_ENABLED=0 $(GO) run -C e2e ./cmd/kind down

##@ Develop

.PHONY: generate
generate: manifests ## Generate Go code (deep copies), the state diagram of docs/architecture.md, the pages of the API, reasons, metrics and flags, and the list of messages.
	cd api && $(CONTROLLER_GEN) object paths=./...
	UPDATE_DOCS=1 $(GO) test -count=1 -run "TestTheDocumentedDiagramIsTheMachine|TestTheDocumentedFlagsAreTheManagers|TestEveryMessageIsInTheGoldenFile|TestTheReferenceOf" ./failover/decide ./cmd/manager ./docs

.PHONY: manifests
manifests: $(CONTROLLER_GEN) ## Generate the CRD and the manager's role from the markers in the code.
	cd api && $(CONTROLLER_GEN) crd:generateEmbeddedObjectMeta=true paths=./... output:crd:dir=../config/crd/bases
	$(GO) run ./config/crd/trim config/crd/bases/*.yaml
	$(CONTROLLER_GEN) rbac:roleName=manager paths=./controllers/... output:rbac:dir=config/rbac

.PHONY: verify
verify: $(CONTROLLER_GEN) $(KUSTOMIZE) ## Check that generated files are what the code says and that config/ renders.
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
	(cd api && $(CONTROLLER_GEN) object paths=./... output:object:dir="$$fresh" && \
	$(CONTROLLER_GEN) crd:generateEmbeddedObjectMeta=true paths=./... output:crd:dir="$$fresh") && \
	$(GO) run ./config/crd/trim "$$fresh"/redisha.io_*.yaml && \
	$(CONTROLLER_GEN) rbac:roleName=manager paths=./controllers/... output:rbac:dir="$$fresh" && \
	diff -u api/v1alpha1/zz_generated.deepcopy.go "$$fresh/zz_generated.deepcopy.go" && \
	for d in config/crd/bases/*.yaml; do diff -u $$d "$$fresh/$${d##*/}" || exit 1; done && \
	diff -u config/rbac/role.yaml "$$fresh/role.yaml" || { echo "run make generate manifests" >&2; exit 1; }
	@for part in crd rbac manager default samples; do $(KUSTOMIZE) build config/$$part >/dev/null || exit 1; done

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the code.
	@for m in . $(MODULES); do (cd $$m && $(GOLANGCI_LINT) fmt ./...) || exit 1; done

.PHONY: vet
# Without cgo, vet and the linter share the build cache with the Kubernetes binaries.
vet: ## Run go vet.
	@for m in . $(MODULES); do echo "go vet in $$m"; CGO_ENABLED=0 $(GO) vet -C $$m ./... || exit 1; done

SCRIPTS := .ci/run $(wildcard controllers/resources/scripts/*.sh)

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Run the linter: style, sizes, and who may import whom.
	@for m in . $(MODULES); do echo "golangci-lint in $$m"; \
		(cd $$m && CGO_ENABLED=0 $(GOLANGCI_LINT) run --allow-parallel-runners --timeout 15m ./...) || exit 1; done
	@if command -v shellcheck >/dev/null 2>&1; then shellcheck $(SCRIPTS); \
	else echo "shellcheck is not installed (Debian: apt-get install shellcheck): $(SCRIPTS) are not checked here; CI does"; fi

.PHONY: test
test: deps vet lint verify unit integration ## Everything: vet, lint, verify, unit, contract and integration tests with the race detector.

.PHONY: unit
unit: deps ## The tests that need no Kubernetes: units, contracts, the simulator.
	$(GO) test -race $(TESTFLAGS) ./...
	@echo "The simulator again, without the race detector, which leaves it time for more schedules and for its deliberate defects (a minute)."
	CGO_ENABLED=0 $(GO) test -v $(TESTFLAGS) ./failover/simulator

SHORT_SCENARIOS := BackEmptyAtOnce|PodIsDeletedSwitchesOver|AFailoverOutlivesItsOperator/Promoting|ThatHangsOutlivesItsOperator/Fencing

.PHONY: integration
integration: deps ## The tests that run on real Kubernetes binaries, in the sandbox.
	@echo "The integration tests run on real Kubernetes binaries; the first time they are built, which takes minutes."
	CGO_ENABLED=0 $(GO) run -C e2e ./cmd/sandbox --build-only
	$(GO) test -C e2e -race -p 1 -parallel 4 -timeout 35m $(TESTFLAGS) ./...
	@echo "A few of the scenarios; make scenarios plays them all, in half an hour."
	SCENARIOS=1 $(GO) test -C e2e -race -timeout 10m $(TESTFLAGS) -run '$(SHORT_SCENARIOS)' ./scenarios

COUNT ?= 1

.PHONY: scenarios
scenarios: deps ## Do to real Redis masters what happens in bad nights, COUNT=1 times over; prints what it cost.
	SCENARIOS=1 $(GO) test -C e2e -v -count=$(COUNT) -timeout $$((40 * $(COUNT)))m ./scenarios

RUNS ?= 10000
SEED ?= 0

.PHONY: simulate
simulate: ## Search for corners: play RUNS simulated schedules from SEED on (0: a fresh one).
	$(GO) run ./failover/simulator/simulate -runs $(RUNS) -seed $(SEED)

DEFECT_RUNS ?= 50000

.PHONY: simulate-defects
simulate-defects: ## Show that the simulator notices each of its deliberate defects, within DEFECT_RUNS=50000 schedules.
	$(GO) run ./failover/simulator/simulate -defects -runs $(DEFECT_RUNS) -seed $(SEED)

FUZZTIME ?= 1m

.PHONY: fuzz
fuzz: ## Fuzz the parsing of INFO and of the persisted progress, FUZZTIME=1m each.
	$(GO) test -run '^$$' -fuzz FuzzParseInfo -fuzztime $(FUZZTIME) -fuzzminimizetime 1s ./redisclient
	$(GO) test -run '^$$' -fuzz FuzzProgressOfAnyStatus -fuzztime $(FUZZTIME) -fuzzminimizetime 1s ./controllers/failover

.PHONY: build
build: ## Build the manager into bin/.
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags="$(STAMP)" -o $(BIN)/manager ./cmd/manager

.PHONY: run
run: ## Run the manager here, against the cluster of the current kubeconfig.
	$(GO) run ./cmd/manager --leader-elect=false

##@ Deploy

.PHONY: install
install: $(KUSTOMIZE) ## Install the CRD into the cluster of the current kubeconfig.
	$(KUSTOMIZE) build config/crd | $(KUBECTL) apply --server-side -f -

.PHONY: uninstall
uninstall: $(KUSTOMIZE) ## Delete the CRD, and with it every RedisHA.
	$(KUSTOMIZE) build config/crd | $(KUBECTL) delete --ignore-not-found -f -

.PHONY: deploy
deploy: $(KUSTOMIZE) ## Deploy the operator (IMG=...) into the cluster of the current kubeconfig.
	$(KUSTOMIZE) build config/default | sed 's|$(MANIFEST_IMG)|$(IMG)|' | $(KUBECTL) apply --server-side -f -

.PHONY: undeploy
undeploy: $(KUSTOMIZE) ## Delete the operator, the CRD and every RedisHA.
	$(KUSTOMIZE) build config/default | $(KUBECTL) delete --ignore-not-found -f -

.PHONY: docker-build
docker-build: ## Build the image IMG.
	DOCKER_BUILDKIT=1 $(DOCKER) build --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) --build-arg DATE=$(DATE) -t $(IMG) .

.PHONY: build-installer
build-installer: $(KUSTOMIZE) ## Write dist/install.yaml, all that kubectl apply needs, for the image IMG.
	@mkdir -p $(dir $(INSTALLER))
	$(KUSTOMIZE) build config/default | sed 's|$(MANIFEST_IMG)|$(IMG)|' > $(INSTALLER)

# Tools, pinned by modules of their own so that they do not weigh on the operator's.

$(CONTROLLER_GEN): config/tools/go.sum
	@echo "building controller-gen"
	@$(GO) build -C config/tools -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen

$(KUSTOMIZE): config/tools/go.sum
	@echo "building kustomize"
	@$(GO) build -C config/tools -o $@ sigs.k8s.io/kustomize/kustomize/v5

$(GOLANGCI_LINT): config/tools/golangci-lint/go.sum
	@echo "building golangci-lint, once; about two minutes on two cores"
	@$(GO) build -C config/tools/golangci-lint -o $@ sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter
