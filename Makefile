# Everything runs in .venv, with the versions of constraints.txt.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two threads of one process fight over a shared machine's cores; the tests run as two processes instead.
export OMP_NUM_THREADS := 1
CORE_TESTS := tests/pipeline/test_core.py tests/compute/formats tests/compute/tracks/test_tracks.py tests/ingest/test_sessions.py

.PHONY: help install s3-server engines demo test fuzz test-core test-real test-slow test-slurm peers lint types docs clean

help: ## Show this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /	/'

install: $(VENV)/.installed ## Make .venv and install everything: the core, SLEAP, what the tests need

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "orofacial needs Python 3.11 to 3.13, $(PYTHON) is $$($(PYTHON) --version); set PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "installing (a few minutes, about 7 GB: torch, for SLEAP, brings its own CUDA libraries)"
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[sleap,dev]'
	@touch $@

s3-server: .venv-s3/.installed ## Make the environment of the local S3 server that tests and benchmarks start

# An environment of its own: what moto needs (botocore) does not go with constraints.txt (python-dateutil).
.venv-s3/.installed: tests/s3_requirements.txt
	$(PYTHON) -m venv .venv-s3
	.venv-s3/bin/pip install --quiet --disable-pip-version-check --requirement tests/s3_requirements.txt
	@touch $@

engines: .venv-engines/.installed ## Make the environment of Spark and Dask, which read manifests in a slow test (0.9 GB)

.venv-engines/.installed: tests/engines_requirements.txt
	$(PYTHON) -m venv .venv-engines
	.venv-engines/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

demo: install ## Simulate a lab of six mice and run the whole pipeline on it
	$(BIN)/orofacial demo demo

test: install s3-server ## Run the tests
	$(BIN)/pytest -n 3 --dist loadfile -m "not core and not real and not slow and not slurm"

fuzz: install ## Try thousands of new examples in the property tests; those that failed before come first
	$(BIN)/pytest --hypothesis-profile=fuzz -m hypothesis tests/compute

test-core: ## Install the core alone in .venv-core, measure it, add the extra formats, and run tests that need no SLEAP
	rm -rf .venv-core
	$(PYTHON) benchmarks/install_size.py --folder .venv-core --at-most 1200
	.venv-core/bin/python -c 'import orofacial, pipeline.cli, pipeline.query'
	.venv-core/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt '.[formats]' hypothesis pytest pytest-xdist
	.venv-core/bin/python -m pytest -n 2 --dist loadfile $(CORE_TESTS)

test-real: install ## Run the tests on the real recording in ../shared/data
	$(BIN)/pytest -n 2 -m "real and not slow" -rP

test-slow: install peers s3-server engines ## Run the tests that need MariaDB, PostgreSQL, docker-compose and Java of Debian, movement, Spark, or minutes
	$(BIN)/pytest -n 2 --dist loadfile -m slow

test-slurm: install ## Run the test that starts a Slurm cluster of its own (Debian's slurm-wlm and munge)
	$(BIN)/pytest -m slurm

peers: .venv-peers/.installed ## Make .venv-peers with the libraries that benchmarks/filters.py compares with

.venv-peers/.installed: benchmarks/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

lint: install ## Check format and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install ## Check types
	$(BIN)/mypy

docs: install ## Build the pages and a reference of all modules into docs/_build/html
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	$(BIN)/python -m sphinx -q -W --keep-going -c docs . docs/_build/html
	@echo "docs/_build/html/docs/index.html"

clean: ## Remove the environments, the demo and the built pages
	rm -rf $(VENV) .venv-core .venv-peers .venv-s3 .venv-engines demo docs/_build docs/reference
