# make demo         fit a bundled table and write demo/, in an environment of its own (.venv)
# make test         style, types and the quick tests, in an environment per Python version
# make test-slow    the tests left out of `make test` and `make test-torch`; with VALIDATE=again also
#                   the checks of docs/validation.md that passed on the same source
# make test-torch   the tests of networks of PyTorch, in an environment of its own
# make bench        posterium against hand-written JAX
# make docs         the documentation, executed, into docs/_build/html (environment .venv-docs)
# make gallery      run every recipe again for the pictures of the gallery, at full length: an hour or more;
#                   RECIPES="--fast R1" for some of them, or with fewer steps
# make docs-links   check its links to other sites; needs the network
# make clean        remove environments, caches and what the commands above wrote
#
# Another Python: make test PYTHON=python3.12

PYTHON ?= python3
WORKERS ?= 2

VENV := .venv
DOCS := .venv-docs
TEST = .venv-test-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
RUN = $(TEST)/bin/python -m
PYTEST = pytest -q -n $(WORKERS)
TORCH = $(subst -test-,-torch-,$(TEST))
TORCH_TESTS := tests/model/adapters/test_torch*.py
SOURCES := $(shell find src -type f -not -name '*.pyc')

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-slow test-torch bench docs gallery docs-links clean check-python

demo: $(VENV)/installed
	$(VENV)/bin/python -m posterium.recipes.demo demo

test: check-python
	@$(MAKE) --no-print-directory $(TEST)/installed
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) pyrefly check --python-interpreter-path $(TEST)/bin/python
	$(RUN) $(PYTEST)

test-slow: check-python
	@$(MAKE) --no-print-directory $(TEST)/installed $(TORCH)/installed
	$(RUN) $(PYTEST) -m slow
	$(TORCH)/bin/python -m $(PYTEST) -m slow $(TORCH_TESTS)

test-torch: check-python
	@$(MAKE) --no-print-directory $(TORCH)/installed
	$(TORCH)/bin/python -m $(PYTEST) $(TORCH_TESTS)

bench: check-python
	@$(MAKE) --no-print-directory $(TEST)/installed
	$(TEST)/bin/python -m benchmarks

docs: $(DOCS)/installed docs/_build/fresh
	$(DOCS)/bin/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

# Pages are executed again when they changed, and all of them when the package did.
docs/_build/fresh: $(SOURCES)
	rm -rf docs/_build/html docs/_build/executed
	mkdir -p $(@D) && touch $@

# Drawn by the environment of the documents, so that fonts are the same.
gallery: $(DOCS)/installed
	$(DOCS)/bin/python docs/_ext/pictures.py $(RECIPES)

docs-links: $(DOCS)/installed
	$(DOCS)/bin/python -m sphinx -W --keep-going -q -b linkcheck docs docs/_build/links

clean:
	rm -rf .venv .venv-docs .venv-test-* .venv-torch-* demo build dist benchmarks/results docs/_build
	rm -rf .pytest_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Expected Python 3.11 or later; $(PYTHON) is not. Name another: make PYTHON=python3.12"; exit 1; }

# A copy of the package, made again when a source file changed.
$(VENV)/installed: pyproject.toml $(SOURCES) | check-python
	@echo "Installing into $(VENV): from half a minute to some minutes, about 1 GB on disk"
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet ".[cli,report]"
	@touch $@

# Links to the sources, made again only when pyproject.toml changed.
$(DOCS)/installed: pyproject.toml | check-python
	@echo "Installing into $(DOCS): some minutes, about 1.5 GB on disk"
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --editable ".[cli,plots,report,flax,equinox,docs]"
	@touch $@

.venv-test-%/installed: pyproject.toml | check-python
	@echo "Installing into $(@D): from half a minute to some minutes, about 1 GB on disk"
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --editable ".[cli,report,dev]"
	@touch $@

# One version, as small as there is: on a machine with an accelerator, pip takes what runs there.
.venv-torch-%/installed: pyproject.toml | check-python
	@echo "Installing into $(@D): some minutes, about 2 GB on disk"
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --editable ".[dev]" torch==2.13.0
	@touch $@
