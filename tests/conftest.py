"""Strictness for every test: silent broadcasting and old-style keys raise, nothing opens a window.

Warnings are errors by pyproject.toml. Shapes and types are checked on request, in tests only:
`pytest --jaxtyping-packages=posterium,beartype.beartype`.
"""

import os
import signal

os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis
import jax
import pytest
from tests.validation import record

# A shell's background job ignores interrupts, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_legacy_prng_key", "error")

hypothesis.settings.register_profile(
    "fixed", deadline=None, derandomize=True, database=None, max_examples=50
)
hypothesis.settings.load_profile("fixed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Add a row to the record of the validation for tests that are marked with a goal of it."""
    report = yield
    record.reported(item, report)
    return report
