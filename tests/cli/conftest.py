"""The command in this process, on small tables, with a compilation cache of its own."""

import contextlib
import re

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from posterium.cli import main

CACHE_SETTINGS = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("jax-cache")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(cache_folder):
    """Keep the user's cache folder out of it, and put JAX's settings back."""
    before = {name: jax.config.values[name] for name in CACHE_SETTINGS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(cache_folder))
        yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture
def run(capfd):
    """Return a function that runs the command; it returns (status, output, complaints)."""

    def call(*argv):
        capfd.readouterr()
        status = main([str(arg) for arg in argv])
        said = capfd.readouterr()
        return status, said.out, said.err

    call.said = capfd.readouterr
    return call


@pytest.fixture
def write(tmp_path):
    """Return a function that writes text, lines or bytes to a file; it returns the path."""

    def call(content, name="t.csv"):
        if isinstance(content, list):
            content = "\n".join(content) + "\n"
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return call


@pytest.fixture
def refused(run):
    """Return a function that runs a command which must be refused; it returns the two lines."""

    def call(*argv):
        status, _, err = run(*argv)
        lines = err.splitlines()
        assert status == 2, err
        assert len(lines) == 2, err
        assert all(re.search(r"\w", line) for line in lines), err
        assert "Traceback" not in err
        return lines

    return call


class Reached(BaseException):
    """The command came as far as the fit."""


@pytest.fixture
def accepted(run, monkeypatch):
    """Return a function that runs a fit as far as the fit itself.

    It returns what would be fitted: inputs (n, d), target (n,), and the complaints until then.
    """

    def call(*argv):
        seen = []

        def stop(method, model, x, y, **options):
            seen.extend([x, y, options])
            raise Reached

        with monkeypatch.context() as patch:
            patch.setattr("posterium.cli.request.fit_table", stop)
            patch.setattr("posterium.cli.request.space.sizes", lambda *given: (0, 0))
            with contextlib.suppress(Reached):
                status, _, err = run(*argv)
                pytest.fail(f"status {status}: {err}")
        return seen[0], seen[1], run.said().err

    return call


@pytest.fixture(scope="session")
def numbers(tmp_path_factory):
    """Write a table with a numeric target; return its path."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 2))
    y = 3 + x @ [2.0, -1.0] + 0.1 * rng.normal(size=60)
    path = tmp_path_factory.mktemp("tables") / "numbers.csv"
    lines = [f"{a!r},{b!r},{c!r}" for a, b, c in np.column_stack([x, y]).tolist()]
    path.write_text("\n".join(["left,right,y", *lines]) + "\n")
    return path


@pytest.fixture(scope="session")
def words(tmp_path_factory):
    """Write a table with three classes; return its path."""
    rng = np.random.default_rng(2)
    kind = np.arange(60) % 3
    x = rng.normal(size=60) + 3.0 * kind
    path = tmp_path_factory.mktemp("tables") / "words.csv"
    names = np.array(["=oak", "fir, red", "ash"])[kind]
    lines = [f'{a!r},"{name}"' for a, name in zip(x.tolist(), names, strict=True)]
    path.write_text("\n".join(["width,tree", *lines]) + "\n")
    return path
