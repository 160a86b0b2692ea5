# What a newcomer, a developer and CI type. Everything is installed into .venv/ and var/.
PYTHON ?= python3.11
UV := 0.13.9
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run check test oracle isolation compose-test fuzz bench load soak lock format

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.venv/ready: requirements-dev.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not on PATH: install Python 3.11, or name one with 'make PYTHON=…'." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check uv==$(UV)
	$(BIN)/uv pip sync -q --python $(BIN)/python requirements-dev.lock
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

run: .venv/ready ## the whole thing on this machine: Druid, sample data, the gateway, until Ctrl-C
	@$(BIN)/python demo.py

check: .venv/ready ## style (ruff), types (mypy, strict), import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: .venv/ready ## let ruff write the layout
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format -q .

test: .venv/ready ## every test, against a real Druid of its own
	$(BIN)/pytest

oracle: .venv/ready ## 5,000 random reports, each computed by DuckDB, too
	ORACLE_REPORTS=5000 $(BIN)/pytest tests/oracle

isolation: .venv/ready ## 100,000 reports that try to escape their tenant, and thousands on a real Druid
	EXHAUSTIVE=1 $(BIN)/pytest tests/isolation

fuzz: .venv/ready ## a million inputs into what callers control, led by the code that they reach
	$(BIN)/python -m tests.fuzz

compose-test: .venv/ready ## the docker-compose stack: answers, faults, restarts (needs a Docker engine)
	$(BIN)/pytest -m compose tests/compose

bench: .venv/ready ## speed and CPU time beside Druid, nginx and a minimal gateway (BENCH=--help)
	$(BIN)/python -m benchmarks.peers $(BENCH)

load: .venv/ready ## a minute of load, beside the same queries sent straight to Druid
	$(BIN)/python -m tests.load $(LOAD)

soak: .venv/ready ## ten minutes of load, with faults drawn at random
	$(BIN)/python -m tests.faults.soak $(SOAK)

lock: .venv/ready ## resolve the dependencies anew
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --python-version 3.11 pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --python-version 3.11 --group dev pyproject.toml -o requirements-dev.lock
	printf 'hatchling>=1.27\nsetuptools>=75\n' | $(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --python-version 3.11 - -o requirements-build.lock
