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

# A shell's background job ignores interrupts, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_legacy_prng_key", "error")

hypothesis.settings.register_profile(
    "fixed", deadline=None, derandomize=True, database=None, max_examples=50
)
hypothesis.settings.load_profile("fixed")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Give all tests of a file that caches fits to one process, which makes each fit once."""
    for item in items:
        if any(hasattr(value, "cache_info") for value in vars(item.module).values()):
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))
