"""How much memory is free, from files made by hand."""

import resource
import sys

import pytest

from posterium.tables import memory


@pytest.fixture
def cgroup(tmp_path, monkeypatch):
    def make(limit, current, inactive):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text(f"{current}\n")
        (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\n")
        monkeypatch.setattr(memory, "CGROUP", tmp_path)

    return make


def test_the_limit_of_a_container_counts_without_its_caches(cgroup):
    cgroup(1000, 900, 300)
    assert memory.available_memory() == 400
    cgroup(1000, 1100, 0)
    assert memory.available_memory() == 0


def test_no_limit_leaves_what_the_machine_has(cgroup):
    cgroup("max", 900, 0)
    assert 2**20 < memory.available_memory() < 2**50


def test_the_limit_on_addresses_counts(cgroup, monkeypatch):
    cgroup("max", 0, 0)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (12345, -1))
    assert memory.available_memory() == 12345


def test_a_machine_that_does_not_say_counts_as_without_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    monkeypatch.setattr("os.sysconf", lambda _: 100)
    assert memory.available_memory() == 10_000
    monkeypatch.setattr("os.sysconf", lambda _: (_ for _ in ()).throw(ValueError()))
    assert memory.available_memory() == sys.maxsize
