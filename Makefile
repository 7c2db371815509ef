.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check install --quiet

.PHONY: help demo install test lint format bench clean

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV): a minute or two"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.tools: pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV) with what tests and checks need: a minute or two"
	@$(PIP) --editable '.[test,lint]'
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed  ## make .venv and install the package into it

demo: $(VENV)/.installed  ## install, then train and evaluate on synthetic music
	$(BIN)/python train.py
	@echo
	@echo "Open report.html in that folder: it has all figures, pictures and the hardest clips. Then:"
	@echo "  $(BIN)/tensorboard --logdir runs"
	@echo "  $(BIN)/python train.py data=folder data.root=/path/to/your/music"

test: $(VENV)/.tools  ## install what the tests need and run them all, one process a core
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto --dist=worksteal

lint: $(VENV)/.tools  ## ruff (format and lint) and mypy, as continuous integration runs them
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.tools  ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed  ## time features and preparation side by side with librosa
	$(BIN)/python benchmarks/features.py
	$(BIN)/python benchmarks/prepare.py

clean:  ## remove runs, prepared clips and caches, but not .venv
	rm -rf runs sweeps stores build .pytest_cache .mypy_cache .ruff_cache .hypothesis
