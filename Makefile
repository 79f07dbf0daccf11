# `make run` scans ASE's g2 molecules; `make test` passes linters, type checker and tests;
# `make docs` builds the pages into out/docs. All set up .venv first. `make test-models` tests models that need torch, in
# .venv-models.
PYTHON ?= python3
BIN := .venv/bin
# Small matrices on many BLAS threads only get in each other's way.
export OPENBLAS_NUM_THREADS ?= 1
export OMP_NUM_THREADS ?= 1

.PHONY: run test test-models lint docs clean

run: .venv/installed
	mkdir -p out
	$(BIN)/jaxfeat scan g2 --json out/g2.json --plot out/g2.png

# All tests run with flags of XLA that shorten compilation, and a few of them again with none, as users do.
test: .venv/installed-test lint
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -q
	XLA_FLAGS= $(BIN)/pytest -n 2 --dist loadfile -m as_shipped -q tests/features tests/spectrum tests/nulls tests/cli

# With this variable a package that is missing is a failure; otherwise its tests are skipped.
test-models: .venv-models/installed
	JAXFEAT_TEST_MODELS=1 .venv-models/bin/pytest -q tests/models_torch

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/installed-docs
	$(BIN)/sphinx-build -W --keep-going -q -d out/doctrees docs out/docs

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,peers,cluster]'
	touch $@

.venv/installed-docs: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@

.venv-models/installed: pyproject.toml
	$(PYTHON) -m venv .venv-models
	.venv-models/bin/python -m pip install --quiet --disable-pip-version-check -e '.[models]' pytest pytest-timeout
	.venv-models/bin/python -m pip install --quiet --disable-pip-version-check --no-deps torchani==2.9.0
	touch $@

clean:
	rm -rf .venv .venv-models out docs/experiments docs/families
