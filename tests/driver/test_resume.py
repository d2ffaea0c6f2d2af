import os
import random
import signal
import subprocess
import time

import jax
import numpy as np
import pytest
from tests.bits import same
from tests.driver.job import ROOT, command, environment
from tests.driver.problems import DATA, KEY, MODEL, SINGLE, STOPPED, X, Y

from posterium import (
    MAP,
    MLP,
    Ensemble,
    Evidence,
    Exact,
    Gaussian,
    HalfNormal,
    Linear,
    Model,
    Normal,
    as_data,
    fit,
    learn,
)
from posterium._struct import replace
from posterium.driver import fit as loop
from posterium.driver.checkpoint import CheckpointMismatch
from posterium.driver.watch import Interrupted

LINEAR = Model(Linear(), Normal(learn(1.0), "none"), Gaussian(learn(0.5)))


class Killed(BaseException):
    """Stands in for a process that dies."""


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    monkeypatch.setattr(loop, "PROBE_STEPS", 7)
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 1e-9)


def dying(after):
    """Return a callback that ends the process, so to say, after so many chunks."""
    seen = []

    def callback(report):
        seen.append(report)
        if len(seen) > after:
            raise Killed

    return callback


@pytest.mark.parametrize(
    ("method", "model"),
    [
        (SINGLE, MODEL),
        (STOPPED, MODEL),
        (MAP(steps=20, polish="newton"), replace(MODEL, likelihood=Gaussian(0.3))),
        (Evidence(Exact()), LINEAR),
    ],
    ids=["single", "stopped early", "polished", "evidence"],
)
def test_a_fit_that_dies_again_and_again_ends_with_the_same_bits(tmp_path, method, model):
    whole = fit(KEY, model, DATA, method)
    deaths = 0
    for after in (0, 1, 2, 5, 3, 4, 1000):
        try:
            found = fit(
                KEY, model, DATA, method, checkpoint=tmp_path / "c", callbacks=[dying(after)]
            )
            break
        except Killed:
            deaths += 1
    assert deaths >= 2
    assert same(found, whole)
    assert same(fit(KEY, model, DATA, method, checkpoint=tmp_path / "c"), whole)


def test_a_phase_that_was_ended_by_a_callback_stays_ended(tmp_path):
    folder = tmp_path / "c"
    ended = fit(KEY, MODEL, DATA, SINGLE, checkpoint=folder, callbacks=[lambda r: r.step >= 9])
    assert same(fit(KEY, MODEL, DATA, SINGLE, checkpoint=folder), ended)


def test_a_failed_fit_resumes_to_the_same_failure(tmp_path):
    method = replace(SINGLE, learning_rate=1e30, optimiser="sgd", schedule="constant")
    failed = fit(KEY, MODEL, DATA, method, checkpoint=tmp_path / "c")
    assert failed.verdict.status == "failed"
    assert same(fit(KEY, MODEL, DATA, method, checkpoint=tmp_path / "c"), failed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_the_end_of_the_chunk_and_the_fit_goes_on_later(tmp_path, number):
    folder = tmp_path / "c"

    def interrupt(report):
        if report.step == 9:
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted, match="phase descent after step 9"):
        fit(KEY, MODEL, DATA, SINGLE, checkpoint=folder, callbacks=[interrupt])
    steps = []
    resumed = fit(
        KEY, MODEL, DATA, SINGLE, checkpoint=folder, callbacks=[lambda r: steps.append(r.step)]
    )
    assert steps[0] == 16
    assert same(resumed, fit(KEY, MODEL, DATA, SINGLE))


def test_a_signal_in_the_last_chunk_is_not_lost():
    def interrupt(report):
        if report.step == report.steps:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        fit(KEY, MODEL, DATA, SINGLE, callbacks=[interrupt])


MOVED = X.copy()
MOVED[7, 1] += 1e-6


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"key": jax.random.key(4)}, "key"),
        ({"data": as_data(MOVED, Y)}, "data"),
        ({"model": replace(MODEL, prior=Normal(1.5))}, "model"),
        ({"model": replace(MODEL, network=MLP(hidden=(4,), activation="tanh"))}, "model"),
        ({"model": replace(MODEL, likelihood=Gaussian(learn(1.0, prior=HalfNormal())))}, "model"),
        ({"method": replace(SINGLE, learning_rate=0.02)}, "method"),
        ({"method": replace(SINGLE, steps=61)}, "method"),
        ({"method": Ensemble(SINGLE, 2)}, "method"),
        ({"precision": "float64"}, "precision"),
        ({"start": fit(KEY, MODEL, DATA, MAP(steps=1)).posterior}, "start"),
    ],
)
def test_a_checkpoint_of_another_fit_is_refused_with_what_differs(tmp_path, changed, said):
    settings = {"key": KEY, "model": MODEL, "data": DATA, "method": SINGLE} | changed
    if not (tmp_path / "c").exists():
        fit(KEY, MODEL, DATA, SINGLE, checkpoint=tmp_path / "c", callbacks=[lambda r: True])
    with pytest.raises(CheckpointMismatch, match=rf"what differs: .*{said}\b"):
        fit(checkpoint=tmp_path / "c", **settings)


def test_a_refusal_leaves_the_folder_free_for_the_right_fit(tmp_path):
    before = fit(KEY, MODEL, DATA, MAP(steps=2), checkpoint=tmp_path / "c")
    with pytest.raises(CheckpointMismatch) as refusal:
        fit(KEY, MODEL, DATA, MAP(steps=3), checkpoint=tmp_path / "c")
    again = fit(KEY, MODEL, DATA, MAP(steps=2), checkpoint=tmp_path / "c")
    assert same(again, before)
    del refusal


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize(("name", "kills"), [("ensemble", 3), ("vi", 2)])
def test_a_fit_killed_at_random_moments_ends_with_the_same_file(tmp_path, cache, name, kills):
    out, folder = tmp_path / "model", tmp_path / "c"
    hashed = environment(PYTHONHASHSEED="1")
    subprocess.run(command(name, "", out, cache), env=hashed, cwd=ROOT, check=True, timeout=120)
    whole = out.read_bytes()
    out.unlink()
    generator, died = random.Random(name), 0
    for _ in range(6 * kills):
        other = environment(PYTHONHASHSEED=str(2 + died))
        process = subprocess.Popen(command(name, folder, out, cache), env=other, cwd=ROOT)
        deadline = time.monotonic() + 60
        while died < kills and not list(folder.glob("checkpoint-*")) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        if died < kills:
            time.sleep(generator.uniform(0, 0.6))
            process.send_signal(signal.SIGKILL)
        if process.wait(timeout=120) == 0:
            break
        died += 1
    assert died == kills
    assert out.read_bytes() == whole


def test_numpy_arrays_of_a_resumed_fit_are_those_of_a_whole_one(tmp_path):
    folder = tmp_path / "c"
    fit(KEY, MODEL, DATA, SINGLE, checkpoint=folder)
    resumed = fit(KEY, MODEL, DATA, SINGLE, checkpoint=folder)
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(resumed.posterior))
