# What people and CI run. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DATA_DIR ?= data
LISTEN ?= 127.0.0.1:8080
PYTEST_ARGS ?=
BENCH_ARGS ?=
CHAOS_ARGS ?=
HITLESS_ARGS ?=
LOCK_ARGS ?=

.PHONY: help setup run demo test unit fuzz chaos hitless lint format docs bench bench-scale bench-several bench-traffic lock clean

# Tests start a PostgreSQL server of their own; the programs are Debian's.
POSTGRES := $(if $(wildcard /usr/lib/postgresql/*/bin/initdb),,install-postgresql)
.PHONY: install-postgresql
install-postgresql:
	apt-get update -q && apt-get install -q -y --no-install-recommends postgresql || \
		{ echo "Tests need PostgreSQL: install the package postgresql" >&2; exit 1; }

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with everything that the lock names; at once when nothing changed

run: setup ## run the service with Envoy on LISTEN, with its data in DATA_DIR
	@exec $(BIN)/equipoise up --data-dir $(DATA_DIR) --listen $(LISTEN)

demo: setup ## run a stand with two backends and show traffic through it
	@exec $(BIN)/equipoise demo

test: setup $(POSTGRES) ## run all tests; PYTEST_ARGS="-k name" runs some
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: setup ## check style, form and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## bring the code into form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A page that cannot be made leaves the one that is there alone.
docs: setup ## write the generated pages below docs/reference
	@mkdir -p docs/reference
	@page() { $(BIN)/python -c "from equipoise.$$2 import $$3 as page; print(page(), end='')" > $(READY).page && \
		mv $(READY).page docs/reference/$$1.md; }; \
	page settings settings.reference settings_reference; \
	page metrics metrics.families metrics_reference; \
	page errors api.classic.errors_page errors_reference

unit: setup ## run the tests that need neither database nor service; PYTEST_ARGS as above
	$(BIN)/python -m pytest tests/unit $(PYTEST_ARGS)

fuzz: setup ## send many random requests to a service and hold the answers against its OpenAPI document
	FUZZ_EXAMPLES=500 $(BIN)/python -m pytest tests/contract/test_openapi.py $(PYTEST_ARGS)

chaos: setup $(POSTGRES) ## kill and hinder a service under load, then check it; CHAOS_ARGS="--kills 200 --controllers 3"
	$(BIN)/python -m tests.chaos $(CHAOS_ARGS)

hitless: setup ## traffic of every kind beside changes and outages of every kind, every request counted; HITLESS_ARGS="--changes 500"
	$(BIN)/python -m tests.hitless $(HITLESS_ARGS)

bench: setup ## run the benchmarks; BENCH_ARGS goes to them
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-scale: setup ## weigh 5,000 load balancers and time cold starts of Envoy; BENCH_ARGS="--protocol TCP"
	$(BIN)/python -m benchmarks.scale $(BENCH_ARGS)

bench-several: setup $(POSTGRES) ## compare two services on one PostgreSQL with one; BENCH_ARGS="--rounds 3"
	$(BIN)/python -m benchmarks.several $(BENCH_ARGS)

# Other proxies and the tools that make load, installed only where one is missing; their services are not started.
RIVALS := wrk iperf3 haproxy nginx-core libnginx-mod-stream
bench-traffic: setup ## compare with HAProxy, nginx and an Envoy configured by hand; BENCH_ARGS="--rounds 9"
	@dpkg -s $(RIVALS) > /dev/null 2>&1 || { apt-get update -q && \
		RUNLEVEL=1 apt-get install -q -y --no-install-recommends $(RIVALS); } || \
		{ echo "make bench-traffic needs the packages $(RIVALS)" >&2; exit 1; }
	$(BIN)/python -m benchmarks.traffic $(BENCH_ARGS)

lock: setup ## write the lock files after a change of dependencies; LOCK_ARGS=--upgrade takes the newest
	$(LOCK) --output-file requirements.lock pyproject.toml
	$(LOCK) --constraint requirements.lock --extra dev --build-deps-for editable \
		--output-file requirements-dev.lock pyproject.toml

clean: ## remove .venv and caches; data stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
	find . -name data -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# No address of a registry gets into the lock: each machine has its own.
lock: export CUSTOM_COMPILE_COMMAND = make lock
LOCK = $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
	--no-emit-find-links --no-emit-trusted-host $(LOCK_ARGS)

# The package itself is installed without a look at any registry: its build tools are in the lock too.
$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
		{ apt-get update -q && apt-get install -q -y --no-install-recommends python3-venv; } || \
		{ echo "The module venv of Python is needed: install the package python3-venv" >&2; exit 1; }
	@PATH=$$PATH:/usr/sbin command -v nft > /dev/null || \
		{ apt-get update -q && apt-get install -q -y --no-install-recommends nftables; } || \
		echo "Without the package nftables bandwidths are not limited (docs/reference/bandwidth.md)" >&2
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-build-isolation --no-deps -e .
	@touch $@
