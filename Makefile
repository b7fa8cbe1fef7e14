# Every target sets up .venv from requirements.lock by itself; nothing else is touched on the machine.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The first interpreter that pyproject.toml allows; `make setup PYTHON=...` overrides it.
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null \
  && echo $$p && break; done)
UV_VERSION := 0.13.9
VENV := .venv
READY := $(VENV)/.ready

# uv does not read pip's configuration, which is where a machine says that it keeps its own wheels.
FIND_LINKS = $(or $(PIP_FIND_LINKS),$(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null))
UV_LINKS = $(foreach link,$(FIND_LINKS),--find-links $(link))
TORCH = $(shell grep '^torch==' requirements.in)

# Without bytecode files every process would pay 15 s of imports instead of 4.
unexport PYTHONDONTWRITEBYTECODE
$(foreach line,$(shell grep -v '^\#' infra/engines.env),$(eval export $(subst =,?=,$(line))))
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

ARGS ?=
PORT ?= 5000
# Test processes: one more than cores, since many tests wait for clusters and servers that they start;
# at most four.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
PYTEST = python -m pytest -n $(WORKERS) --maxprocesses 4
BENCH ?=

.PHONY: FORCE help setup repro test test-unit test-integration lint format lock ui bench chaos ablations clean clean-all

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## create .venv from requirements.lock (done by the other targets as needed)

# What .venv was made from, and for which folder: content decides, not dates, and a copy of this folder
# gets a .venv of its own. The stamp is written last: a set-up that failed half-way starts again.
MADE_FROM = $(shell cat requirements.lock requirements.in pyproject.toml | cksum) $(CURDIR)

$(READY): FORCE
	@test "$$(cat $(READY) 2>/dev/null)" != "$(MADE_FROM)" || exit 0; \
	test -n "$(PYTHON)" || { \
	  echo "error: no Python 3.11 or 3.12 on PATH; install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
	  exit 2; }; \
	start=$$(date +%s); set -e; \
	exec 9>$(VENV).lock; $(PYTHON) -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'; \
	test "$$(cat $(READY) 2>/dev/null)" != "$(MADE_FROM)" || exit 0; \
	echo "Setting up $(VENV) from requirements.lock with $$($(PYTHON) --version) ..."; \
	rm -rf $(VENV); hash -r; \
	$(PYTHON) -m venv $(VENV); \
	$(VENV)/bin/python -m pip install -qq --disable-pip-version-check uv==$(UV_VERSION); \
	$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python $(UV_LINKS) $(TORCH) -r requirements.lock; \
	$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python --no-deps --no-build-isolation -e .; \
	echo "$(MADE_FROM)" > $(READY); \
	echo "Set up $(VENV) in $$(( $$(date +%s) - start )) s."

FORCE:

repro: $(READY) ## run whatever stages are out of date, then print the results (ARGS="-f levels")
	@[ -e .git ] || git -c safe.directory='*' rev-parse --git-dir >/dev/null 2>&1 \
	  || grep -qs '^ *no_scm' .dvc/config .dvc/config.local || { \
	  python -m dvc config --local core.no_scm true; \
	  echo "No git repository here: DVC does without one (core.no_scm in .dvc/config.local; drop it after git init)."; }
	@python -m dvc repro $(ARGS)
	@python -m pipeline summary

test: $(READY) ## run the unit and integration tests (ARGS="-k name", ARGS="-m slow", WORKERS=0)
	@$(PYTEST) $(ARGS)

test-unit: $(READY) ## run the unit tests
	@$(PYTEST) tests/unit $(ARGS)

test-integration: $(READY) ## run the integration tests
	@$(PYTEST) tests/integration $(ARGS)

lint: $(READY) ## check style, formatting, types, who imports whom, and infra/
	ruff check
	ruff format --check
	mypy
	lint-imports --no-logo --cache-dir .mypy_cache/imports
	python -m pipeline deps --check
	infra/check

format: $(READY) ## apply the formatter and the safe fixes
	ruff check --fix
	ruff format

lock: $(READY) ## resolve requirements.in and pyproject.toml into requirements.lock
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet --python-version 3.11 $(UV_LINKS) \
	  --no-emit-package torch --no-emit-find-links $(ARGS) \
	  --constraint requirements.in --extra dev --extra onnx -o requirements.lock pyproject.toml

ui: $(READY) ## browse experiments in MLflow on 127.0.0.1 (PORT=5000)
	@case "$${MLFLOW_TRACKING_URI:-}" in http*) \
	  echo "error: MLFLOW_TRACKING_URI is a server already: open $$MLFLOW_TRACKING_URI in a browser" >&2; exit 2;; esac; \
	echo "MLflow: http://127.0.0.1:$(PORT)  (Ctrl-C stops it)"; \
	exec python -m mlflow ui --host 127.0.0.1 --port $(PORT) --workers 1 \
	  --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}" \
	  --allowed-hosts "127.0.0.1,127.0.0.1:$(PORT),localhost,localhost:$(PORT)"

bench: $(READY) ## run the benchmarks for CPUs, ten minutes at most, one table (BENCH=benchmarks/one.py)
	@set -e; if [ -z "$(BENCH)" ]; then python -m benchmarks $(ARGS); fi; \
	for script in $(BENCH); do echo "== $$script"; PYTHONPATH="$(CURDIR)" python "$$script" $(ARGS); done

chaos: $(READY) ## dvc repro while things die, on nodes that share no files (ARGS="--seed 1 --kills 40")
	@python -m tests.chaos $(ARGS)

ablations: $(READY) ## run the paper's comparison, or go on with it (ARGS="--data mnist --seeds 1 2 3")
	@python -m pipeline ablations $(ARGS)

# Names what it removes; what is not there is not named.
define remove
@for path in $(1); do if [ -e "$$path" ]; then echo "removing $$path"; rm -rf "$$path"; fi; done
@find sgan pipeline tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
endef

clean: ## remove .venv, tool caches and artifacts/ (`dvc checkout` brings the artifacts back)
	$(call remove,$(VENV) build dist sgan_pipeline.egg-info .mypy_cache .pytest_cache .ruff_cache artifacts)

clean-all: ## clean, and also remove trained weights, downloads and the local MLflow history
	$(call remove,$(VENV) build dist sgan_pipeline.egg-info .mypy_cache .pytest_cache .ruff_cache artifacts \
	  .runs .cache .dvc/cache .dvc/tmp mlflow.db mlartifacts)
