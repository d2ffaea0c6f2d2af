"""Fits killed a hundred times, at random moments and inside of writes: the file stays the same."""

import random
import shutil
import signal
import subprocess
import time

import pytest
from tests.driver.job import METHODS, ROOT, command, environment

pytestmark = [pytest.mark.slow, pytest.mark.goal("K1")]

KILLS, IN_WRITES = 25, 10
"""Of each method, and how many of them are in the middle of a write."""
FURTHEST = 40
"""The last write of a process that it may die in."""


def begin(*given):
    """Start a job; return the process when its fit begins."""
    process = subprocess.Popen(
        command(*given), env=environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with process.stdout as said:
        assert said.readline() == "begins\n"
    return process


def whole(name, out, cache):
    """Return the file of a fit that is never stopped, and its seconds with programs kept."""
    for _ in range(2):
        process = begin(name, "", out, cache)
        began = time.monotonic()
        assert process.wait(timeout=600) == 0
    return out.read_bytes(), time.monotonic() - began


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("name", METHODS)
def test_a_fit_killed_25_times_ends_with_the_same_file_each_time(tmp_path, cache, name):
    out, folder, generator = tmp_path / "model", tmp_path / "c", random.Random(name)
    expected, seconds = whole(name, out, cache)
    plan = ["write"] * IN_WRITES + ["moment"] * (KILLS - IN_WRITES)
    generator.shuffle(plan)
    finished = 0
    while plan:
        write = generator.randint(1, FURTHEST) if plan[-1] == "write" else 0
        process = begin(name, folder, out, cache, write)
        if not write:
            time.sleep(generator.uniform(0, seconds))
            process.kill()
        if process.wait(timeout=600) == 0:
            assert out.read_bytes() == expected
            out.unlink()
            shutil.rmtree(folder)
            finished += 1
            continue
        assert process.returncode == -signal.SIGKILL
        plan.pop()
    assert begin(name, folder, out, cache).wait(timeout=600) == 0
    assert out.read_bytes() == expected
    print(f"{name}: {KILLS} kills, {finished + 1} fits ended, {seconds:.1f} s each unless stopped")
