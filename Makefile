# demo, test, check, fuzz, soak, chaos and bench need only Python 3.11 or later with venv, and make; what the
# others need is said by their names in CONTRIBUTING.md. Each target sets itself up.
#
#   make demo            the main job on the embedded Kafka: image servers -> raw -> groups -> tail
#   make test            all tests that CI runs in every place
#   make check           format, lint, types, import rules, unit tests
#   make test-interop    foreign consumers: kcat, cfitsio's tools, the examples in Java, Go and Node.js
#   make test-chart      the Helm chart: helm, promtool and kubernetes-validate look at what it renders
#   make test-cluster    the Helm chart on a real Kubernetes control plane, built with Go; no container runs
#   make fuzz           coverage-guided fuzzing of schemas/: SECONDS=60 of all targets, or TARGETS="stream time"; QUIET=10: until nothing new
#   make soak           MINUTES=30 of full-size images through real processes: does anything grow?
#   make chaos          SEED=1 MINUTES=10 of faults against real processes: is anything lost, doubled, torn? ROUND=3: that round
#   make bench           throughput, latency and memory against bare floors in the same run

PYTHON ?= python3
VENV ?= .venv
GROUPS ?= 10
SECONDS ?= 60
SEED ?= 1
TARGETS ?=
ONLY ?=

# Integration tests wait more than they compute (a third of a core each): four processes, each with a broker of
# its own. A test that needs a quiet machine gets longer deadlines instead.
WORKERS ?= 4

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ROOMS := schemas runtime connector grouper consumer audit emulator trapline
CODE := $(ROOMS) helm/documents tests benchmarks

.DEFAULT_GOAL := help
.PHONY: help demo test check format lint unit integration test-interop test-chart test-cluster tools fuzz soak chaos bench clean

help:
	@sed -n 's/^#  *\(make .*\)/\1/p' Makefile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "trapline needs Python 3.11 or later; '$(PYTHON)' is" "$$($(PYTHON) --version)." \
	       "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml
	@echo "Installing trapline with the embedded Kafka into $(VENV) ..."
	@$(PIP) install --quiet --editable '.[local]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml
	@echo "Installing trapline with what its tests need into $(VENV) ..."
	@$(PIP) install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo
	@$(BIN)/trapline demo --groups $(GROUPS)

format: $(VENV)/.dev
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

lint: $(VENV)/.dev
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/.dev
	$(BIN)/pytest tests/unit tests/fuzz --numprocesses 2

check: lint unit

integration: $(VENV)/.dev
	TRAPLINE_TEST_TIMEOUT_FACTOR=$${TRAPLINE_TEST_TIMEOUT_FACTOR:-3} \
	  $(BIN)/pytest tests/integration --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

test: check integration

$(VENV)/.interop: $(VENV)/.dev
	@echo "Installing Go and Node.js into $(VENV) for the examples ..."
	@$(PIP) install --quiet --editable '.[dev,interop]'
	@touch $@

test-interop: $(VENV)/.interop
	$(BIN)/pytest tests/interop

# Built with Go once a version, into a cache; promtool takes five minutes of CPU. What is missing fails by name.
helm_VERSION := v3.22.0
promtool_VERSION := v0.316.0
TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/trapline/tools

$(TOOLS)/helm-$(helm_VERSION)/helm: PACKAGE = helm.sh/helm/v3/cmd/helm@$(helm_VERSION)
$(TOOLS)/promtool-$(promtool_VERSION)/promtool: PACKAGE = github.com/prometheus/prometheus/cmd/promtool@$(promtool_VERSION)
$(TOOLS)/helm-$(helm_VERSION)/helm $(TOOLS)/promtool-$(promtool_VERSION)/promtool:
	@command -v go >/dev/null \
	  || { echo "Go is missing: make test-chart builds $(@F) with it (Go 1.26 or later, https://go.dev)" >&2; exit 1; }
	@echo "Building $(PACKAGE) into $(@D) ..."
	@GOTOOLCHAIN=local CGO_ENABLED=0 GOBIN=$(@D) go install -trimpath -ldflags='-s -w' $(PACKAGE)

tools: $(TOOLS)/helm-$(helm_VERSION)/helm $(TOOLS)/promtool-$(promtool_VERSION)/promtool

$(VENV)/.chart: $(VENV)/.dev
	@echo "Installing kubernetes-validate into $(VENV) ..."
	@$(PIP) install --quiet --editable '.[dev,chart]'
	@touch $@

test-chart: $(VENV)/.chart tools
	TRAPLINE_TEST_CHART_TOOLS=$(TOOLS) $(BIN)/pytest tests/chart

test-cluster: $(VENV)/.dev
	$(BIN)/python -m tests.cluster $(foreach part,$(ONLY),--only=$(part))

fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz $(TARGETS) $(if $(QUIET),--quiet-minutes $(QUIET),--seconds $(SECONDS))

soak: $(VENV)/.dev
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),30)

chaos: $(VENV)/.dev
	$(BIN)/python -m tests.chaos --seed $(SEED) --minutes $(or $(MINUTES),10) $(if $(ROUND),--round $(ROUND))

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
