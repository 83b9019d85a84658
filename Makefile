# Needs Python 3.11+, make and a package index; everything else is installed into .venv/.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
.DEFAULT_GOAL := help

.PHONY: help run test test-wheel lint docs bench lock clean
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

# What `run` needs; a changed lock file means a fresh install.
.venv/.run: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the environment into .venv/ (about a minute) ..."
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.run requirements-dev.lock
	@echo "Installing the development tools into .venv/ ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

run: .venv/.run ## start the API, sync it, build every table, print a summary (again: only what is new)
	@$(BIN)/python scripts/run.py

test: .venv/.dev ## every test that needs Python packages only
	@$(BIN)/python -m pytest -n 2 --cov --cov-report=term

test-wheel: .venv/.dev ## build the wheel, install it elsewhere, run the tests and one sync against it
	@$(BIN)/python scripts/test_wheel.py

lint: .venv/.dev ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: .venv/.dev bench/.venv/.done ## the connector beside its peers; writes bench/RESULTS.md
	@$(BIN)/python bench/read.py

bench/.venv/.done: bench/requirements.lock
	@test -x bench/.venv/bin/python || $(PYTHON) -m venv bench/.venv
	@bench/.venv/bin/python -m pip install --disable-pip-version-check --quiet --require-hashes -r $<
	@touch $@

docs: .venv/.dev ## write the outputs in the README anew
	@$(BIN)/python scripts/readme.py write

lock: .venv/.dev ## write the lock files anew from pyproject.toml
	@$(PIP) install uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group build pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean: ## remove the environment, the warehouse and every cache
	rm -rf .venv bench/.venv warehouse dist .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
