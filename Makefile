# Needs Python 3.11 to 3.13, make and a package index; everything else is installed into .venv/.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Tests wait for processes they start: one worker more than there are cores keeps these busy.
WORKERS = $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
.DEFAULT_GOAL := help
# Images of Python set it, and then every process compiles all that it imports: half a second of each `moovitamix`, nearly
# one of each connector.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install run test coverage test-wheel test-system soak image lint docs bench lock clean
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

# What `run` needs; a changed lock file means a fresh install. The lock is complete, so pip has nothing to resolve: older
# ones look at releases newer than the pinned ones where an extra is asked for, and refuse them.
.venv/.run: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 14) or \
	    sys.exit("expected Python 3.11 to 3.13, got %d.%d: add PYTHON=python3.12, or another of them" % v[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the environment into .venv/ (about a minute) ..."
	@$(PIP) install --no-deps --no-compile --require-hashes -r requirements.lock # compiled when first imported: a third faster
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.run requirements-dev.lock
	@echo "Installing the development tools into .venv/ ..."
	@$(PIP) install --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

install: .venv/.run ## the environment, and nothing is run

run: .venv/.run ## start the API, sync it, build every table, print a summary (again: only what is new)
	@$(BIN)/python scripts/run.py

test: .venv/.dev ## every test that needs Python packages only, but for the long ones
	@$(BIN)/python -m pytest -n $(WORKERS)

# Processes that tests start elsewhere write where COVERAGE_FILE says; without it, into the folder that the test removes.
coverage: .venv/.spark ## the same and the tests on Spark, with the lines that no test reaches; fails below 95 %
	@COVERAGE_FILE="$(CURDIR)/.coverage" $(BIN)/python -m pytest \
	    -m "not (image_tests or system or long or soak)" -n $(WORKERS) --cov --cov-report=term

test-wheel: .venv/.dev ## build the wheel, install it elsewhere, run the tests and one sync against it
	@$(BIN)/python scripts/test_wheel.py

test-system: .venv/.spark .venv-system/pyairbyte/.done .venv-system/prefect/.done .venv-system/chromium/.done ## the tests that need more: an S3 server, PyAirbyte, Prefect, Chromium, a Spark cluster; installs what they need
	@$(BIN)/python -m pytest -m "(spark or system or long) and not soak" -n 2

# Spark runs the same code in the same environment; its package is half a gigabyte, which `make test` does without.
.venv/.spark: .venv/.dev transform/tests/spark.lock
	@echo "Installing PySpark into .venv/ (about two minutes) ..."
	@$(PIP) install --no-deps --require-hashes -r transform/tests/spark.lock
	@java -version 2>/dev/null || \
	    if command -v apt-get >/dev/null && test "$$(id -u)" = 0; then \
	        echo "Installing Java 17 (about a minute) ..."; \
	        apt-get -qq update >/dev/null && \
	        apt-get -qq install --yes --no-install-recommends openjdk-17-jre-headless >/dev/null; \
	    else \
	        echo "No Java here, and no apt-get as root: the tests on Spark are skipped." >&2; \
	    fi
	@touch $@

# PyAirbyte pins what we need newer, and installs below Python 3.13 only: without such a Python its tests are skipped.
.venv-system/pyairbyte/.done: source-moovitamix/integration_tests/pyairbyte.lock
	@for python in $(PYTHON) python3.12 python3.11; do \
	    $$python -c 'import sys; sys.exit(sys.version_info >= (3, 13))' 2>/dev/null || continue; \
	    echo "Installing PyAirbyte into $(@D)/ (about two minutes) ..."; \
	    test -x $(@D)/bin/python || $$python -m venv $(@D); \
	    $(@D)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes -r $< || exit 1; \
	    break; \
	done
	@mkdir -p $(@D)
	@touch $@

# Prefect's server pins what we have newer.
.venv-system/prefect/.done: transform/tests/prefect.lock pyproject.toml
	@echo "Installing Prefect into $(@D)/ (about two minutes) ..."
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes -r $<
	@$(@D)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation --editable .
	@touch $@

# From Debian's packages, by who may: elsewhere, without a chromium and a chromedriver on the PATH, its tests are skipped.
.venv-system/chromium/.done:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
	    if command -v apt-get >/dev/null && test "$$(id -u)" = 0; then \
	        echo "Installing Chromium (about a minute) ..."; \
	        apt-get -qq update >/dev/null && \
	        apt-get -qq install --yes --no-install-recommends chromium chromium-driver >/dev/null; \
	    else \
	        echo "No chromium and chromedriver here, and no apt-get as root: the report's tests in a browser are skipped." >&2; \
	    fi
	@mkdir -p $(@D)
	@touch $@

soak: .venv/.dev ## the long forms of the property and crash tests
	@$(BIN)/python -m pytest -m soak -n 2 --timeout 7200

image: ## the connector's image, airbyte/source-moovitamix (needs Docker)
	@command -v docker >/dev/null || { echo "make image: expected docker on the PATH, got none; no image was built." >&2; exit 1; }
	docker build --tag airbyte/source-moovitamix:0.2.0 --tag airbyte/source-moovitamix:dev source-moovitamix

lint: .venv/.dev ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy source-moovitamix/components.py source-moovitamix/main.py

bench: bench/.venv/.done bench/.venv-ours/.done ## connector and transform beside their peers (an hour and more); writes bench/RESULTS.md, bench/TRANSFORM.md
	@bench/.venv-ours/bin/python bench/read.py
	@bench/.venv-ours/bin/python bench/transform.py

bench/.venv/.done: bench/requirements.lock
	@test -x bench/.venv/bin/python || $(PYTHON) -m venv bench/.venv
	@bench/.venv/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --require-hashes -r $<
	@touch $@

# What a user installs, and nothing else: the CDK imports much of what it finds beside it, such as a test's boto3.
bench/.venv-ours/.done: requirements.lock pyproject.toml
	@test -x bench/.venv-ours/bin/python || $(PYTHON) -m venv bench/.venv-ours
	@bench/.venv-ours/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --require-hashes -r $<
	@bench/.venv-ours/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

docs: .venv/.dev ## write the outputs in the README and the data dictionary anew
	@$(BIN)/python scripts/dictionary.py write
	@$(BIN)/python scripts/readme.py write

lock: .venv/.dev ## write the lock files anew from pyproject.toml and the two .in files
	@$(PIP) install uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group build pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header -c requirements.lock -c requirements-dev.lock --group spark -o transform/tests/spark.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group build --extra prefect --extra report pyproject.toml -o transform/tests/prefect.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 source-moovitamix/integration_tests/pyairbyte.in -o source-moovitamix/integration_tests/pyairbyte.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header bench/requirements.in -o bench/requirements.lock

clean: ## remove the environments and every cache; the warehouse stays
	rm -rf .venv .venv-system bench/.venv bench/.venv-ours dist .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
