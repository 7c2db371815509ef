.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RAY_VENV := .venv-ray
PIP := pip --disable-pip-version-check install --quiet

.PHONY: help demo environments install test test-ray lint format bench clean

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV): a minute or two, and the download"
	@$(BIN)/$(PIP) --editable .
	@touch $@

$(VENV)/.tools: pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV) with what tests and checks need: a minute or two"
	@$(BIN)/$(PIP) --editable '.[test,lint]'
	@touch $@ $(VENV)/.installed

# Ray beside all that is in .venv, of which only what Ray wants in another release is installed a second time
$(RAY_VENV)/.tools: pyproject.toml $(VENV)/.tools
	@echo "installing Ray into $(RAY_VENV), over what $(VENV) has (pip objects for Dask, which is not used there)"
	@$(PYTHON) -m venv --clear $(RAY_VENV)
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
		"$$($(RAY_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/beside.pth"
	@$(RAY_VENV)/bin/$(PIP) --editable '.[test-ray]'
	@touch $@

environments: $(VENV)/.tools $(RAY_VENV)/.tools  ## install what all tests need

install: $(VENV)/.installed  ## make .venv and install the package into it

demo: $(VENV)/.installed  ## install, then train and evaluate on synthetic music
	$(BIN)/python train.py
	@echo
	@echo "Open report.html in that folder: it has all figures, pictures and the hardest clips. Then:"
	@echo "  $(BIN)/tensorboard --logdir runs"
	@echo "  $(BIN)/python train.py data=folder data.root=/path/to/your/music"
	@echo "  $(BIN)/python infer.py ckpt=<its folder>/best.ckpt song.mp3"

test: $(VENV)/.tools  ## install what the tests need and run them all but Ray's, one process a core
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto --dist=worksteal

# only the files that have such tests are looked at: others import what is not installed there
test-ray: $(RAY_VENV)/.tools  ## run the tests of Ray in .venv-ray, since it cannot be installed beside all else
	OMP_NUM_THREADS=1 $(RAY_VENV)/bin/python -m pytest -m ray $$(grep -rl 'mark\.ray' tests --include='test_*.py')

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

clean:  ## remove runs, prepared clips and caches, but not .venv and .venv-ray
	rm -rf runs sweeps stores build .pytest_cache .mypy_cache .ruff_cache .hypothesis
