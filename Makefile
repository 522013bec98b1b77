# Everything runs in .venv, with the versions of constraints.txt.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two threads of one process fight over a shared machine's cores; the tests run as two processes instead.
export OMP_NUM_THREADS := 1

.PHONY: help install demo test test-real test-slow lint types clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /	/'

install: $(VENV)/.installed ## Make .venv and install everything

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "orofacial needs Python 3.11 to 3.13, $(PYTHON) is $$($(PYTHON) --version); set PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "installing (a few minutes, about 7 GB: torch brings its own CUDA libraries)"
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install ## Simulate a lab of six mice and run the whole pipeline on it
	$(BIN)/orofacial demo demo

test: install ## Run the tests
	$(BIN)/pytest -n 2 --dist loadfile -m "not real and not slow"

test-real: install ## Run the tests on the real recording in ../shared/data
	$(BIN)/pytest -n 2 -m real -rP

test-slow: install ## Run the tests that need Slurm, MariaDB, PostgreSQL and docker-compose of Debian, or minutes
	$(BIN)/pytest -m slow

lint: install ## Check format and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install ## Check types
	$(BIN)/mypy

clean: ## Remove .venv and the demo
	rm -rf $(VENV) demo
