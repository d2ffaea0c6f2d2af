"""The persistent compilation cache: where it is, what it keeps, and what it throws away."""

import json
import os
import subprocess
import sys

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from posterium.driver import cache

FILL = """
import json, sys
import jax, jax.numpy as jnp
from posterium import enable_compilation_cache
hits = []
jax.monitoring.register_event_listener(
    lambda name, **kw: hits.append(name) if name.endswith("cache_hits") else None)
folder = enable_compilation_cache()
value = float(jax.jit(lambda x: jnp.sin(x) @ x)(jnp.arange(7.0)))
print(json.dumps([str(folder), value, len(hits)]))
"""


@pytest.fixture(autouse=True)
def _restored():
    names = [n for n in jax.config.values if "cache" in n]
    before = {name: jax.config.values[name] for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def child(**environment):
    clean = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    run = subprocess.run(
        [sys.executable, "-c", FILL], capture_output=True, text=True, env=clean | environment
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_the_next_process_finds_the_programs_even_beside_a_damaged_one(tmp_path):
    folder, value, _ = child(XDG_CACHE_HOME=str(tmp_path))
    assert folder == str(tmp_path / "posterium" / "jax")
    kept = sorted((tmp_path / "posterium" / "jax").glob("*-cache"))
    assert kept
    whole = kept[0].read_bytes()
    kept[0].write_bytes(whole[: len(whole) // 2])
    _, again, hits = child(XDG_CACHE_HOME=str(tmp_path))
    assert again == value
    assert hits == len(kept) - 1
    assert len(kept[0].read_bytes()) > len(whole) // 2, "the damaged entry was not replaced"


@pytest.fixture
def kept(tmp_path):
    """Two entries that JAX can read, the first the older one."""
    paths = [tmp_path / "old-cache", tmp_path / "new-cache"]
    for age, path in zip((200, 100), paths, strict=True):
        path.write_bytes(compilation_cache_entry())
        os.utime(path, (1e9 - age, 1e9 - age))
    return paths


def compilation_cache_entry():
    from jax._src.compilation_cache import compress_executable

    return compress_executable(os.urandom(1000))


@pytest.mark.parametrize("damage", [b"", b"x" * 50, None])
def test_entries_that_cannot_be_read_are_removed(kept, damage, tmp_path):
    (tmp_path / "other.txt").write_text("not an entry")
    kept[0].write_bytes(kept[1].read_bytes()[:-9] if damage is None else damage)
    assert cache.enable_compilation_cache(tmp_path) == tmp_path
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new-cache", "other.txt"]


def test_the_oldest_entries_go_when_there_are_too_many(kept, monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "LIMIT", 1500)
    cache.enable_compilation_cache(tmp_path)
    assert [p.exists() for p in kept] == [False, True]


def test_the_folder_named_in_the_environment_is_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "named"))
    assert cache.enable_compilation_cache() == tmp_path / "named"
    assert jax.config.values["jax_compilation_cache_dir"] == str(tmp_path / "named")


def test_a_home_that_cannot_be_written_changes_nothing(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    before = dict(jax.config.values)
    assert cache.enable_compilation_cache(tmp_path / "file" / "below") is None
    monkeypatch.setattr(os, "access", lambda *args: False)
    assert cache.enable_compilation_cache(tmp_path) is None
    assert dict(jax.config.values) == before
