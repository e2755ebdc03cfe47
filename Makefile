# Everything runs inside $(VENV), which `make setup` builds from nothing.

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed

.PHONY: help setup run lint check test test-real docs wheel train evaluate clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## build .venv; again only when pyproject.toml or constraints.txt changed

# The stamp is written last, so an installation that broke off is taken up again.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 setup' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	    || { echo 'python3 cannot make virtual environments: on Debian and Ubuntu, apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	touch $(STAMP)

# CONFIG=experiments/configs/emoji.yaml is a run in the world of emoji, .../pickscore.yaml one for the
# preference judge. A run that was broken off is taken up where it was left.
CONFIG = experiments/configs/embedded.yaml
OUTPUT = runs/$(basename $(notdir $(CONFIG)))

run: setup ## optimise FABRIC on the embedded model, compare with fixed settings, write the report
	$(BIN)/fabric-bo optimize $(CONFIG) --output $(OUTPUT)
	$(BIN)/fabric-bo compare $(OUTPUT)
	$(BIN)/fabric-bo report $(OUTPUT)

# Without its cache: a kept verdict on the order of imports outlives the packages it was based on.
lint: setup ## ruff and mypy
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# One thread each, so that the two workers do not fight over two cores. No test may need the
# network: offline, one that tries to download a model fails at once. Tests that share a costly
# fixture are one group (xdist_group) and stay on one worker; all others go to whoever is free.
PYTEST = OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

check: setup lint ## lint, then the quick tests, about three minutes
	$(PYTEST) -m 'not slow and not real'

test: setup lint ## lint, then all tests but those of test-real
	$(PYTEST)

# One after another and with all cores: two models at once would need twice the memory.
test-real: setup ## Stable Diffusion 1.5 and XL, PickScore and CLIP in their real sizes, with random weights; 30 kills
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m real --durations 0 tests/real tests/experiments/run/test_many_kills.py

docs: setup ## build the pages into build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

wheel: setup ## build the wheel into dist/, install it with all that it asks for into an environment of its own, use it
	$(BIN)/python tests/wheel.py --keep dist

train: setup ## train the embedded model anew and write its shipped files
	$(BIN)/python -m experiments.embedded all

evaluate: setup ## measure the embedded model
	$(BIN)/python -m experiments.embedded evaluate

clean: ## remove caches and build outputs; .venv and runs/ stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find fabric objectives optimizer experiments examples tests -name __pycache__ -type d -prune \
	    -exec rm -rf {} +
