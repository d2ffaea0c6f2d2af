# make demo         fit a bundled table and write demo/, in an environment of its own (.venv)
# make test         style, types and the quick tests, in an environment per Python version
# make test-slow    the tests left out of `make test`
# make bench        posterium against hand-written JAX
# make clean        remove environments, caches and what the commands above wrote
#
# Another Python: make test PYTHON=python3.12

PYTHON ?= python3
WORKERS ?= 2

VENV := .venv
TEST = .venv-test-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
RUN = $(TEST)/bin/python -m
SOURCES := $(shell find src -type f -not -name '*.pyc')

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-slow bench clean check-python

demo: $(VENV)/installed
	$(VENV)/bin/python -m posterium.recipes.demo demo

test: check-python
	@$(MAKE) --no-print-directory $(TEST)/installed
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) pyrefly check --python-interpreter-path $(TEST)/bin/python
	$(RUN) pytest -q -n $(WORKERS)

test-slow: check-python
	@$(MAKE) --no-print-directory $(TEST)/installed
	$(RUN) pytest -q -n $(WORKERS) -m slow

bench: check-python
	@$(MAKE) --no-print-directory $(TEST)/installed
	$(TEST)/bin/python -m benchmarks

clean:
	rm -rf .venv .venv-test-* demo build dist benchmarks/results
	rm -rf .pytest_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Expected Python 3.11 or later; $(PYTHON) is not. Name another: make PYTHON=python3.12"; exit 1; }

# A copy of the package, made again when a source file changed.
$(VENV)/installed: pyproject.toml $(SOURCES) | check-python
	@echo "Installing into $(VENV): from half a minute to some minutes, about 1 GB on disk"
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet ".[cli,plots]"
	@touch $@

# A link to the sources, made again only when pyproject.toml changed.
.venv-test-%/installed: pyproject.toml | check-python
	@echo "Installing into $(@D): from half a minute to some minutes, about 1 GB on disk"
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --editable ".[cli,plots,dev]"
	@touch $@
