"""Every method and combinator: the known answer on a linear-Gaussian model, and the contract."""

import copy
import functools
import inspect
import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import jax
import joblib
import numpy as np
import pytest
from tests.bits import same
from tests.contracts.cases import DATA, KEY, METHODS, NOISE, PROBE, PROBED, exact_moments

import posterium
from posterium import Ensemble, fit, load, predict, save
from posterium._struct import replace
from posterium.posterior.posterior import GaussianPosterior

ROOT = Path(__file__).parents[2]
ANSWER = jax.random.key(2)
TWICE = ("exact", "evidence", "vi full", "laplace")
"""Run as an ensemble of two as well: one of each kind, for time."""
LONG = {"adjusted mclmc", "chees", "mclmc", "parallel tempering"}
"""Left to the slow tests: samplers as `nuts` and `hmc` are, which stay."""
every = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in LONG else []) for n in METHODS]
)


@functools.cache
def fitted(name):
    case = METHODS[name]
    return fit(KEY, case.model, DATA, case.method)


def answer(found):
    """Return what predictions say at the probes."""
    said = predict(ANSWER, found, PROBE)
    return np.stack([said.mean, said.aleatoric_var, said.epistemic_var, said.quantile(0.1)])


def test_every_public_method_has_a_case():
    homes = ("methods.", "combinators.")
    public = {n for n, home in posterium._HOME.items() if home.startswith(homes)}
    settings = {
        n
        for n in public
        if inspect.isclass(found := getattr(posterium, n)) and not hasattr(found, "phases")
    }
    covered = {name for case in METHODS.values() for name in case.covers}
    assert public - settings <= covered, "add a line to tests/contracts/cases.py"


@every
def test_the_linear_gaussian_model_gets_its_known_answer(name):
    case, found = METHODS[name], fitted(name)
    if not case.known:
        return
    mean, matrix = exact_moments(case.precision)
    sd = np.sqrt(np.sum(PROBED @ np.linalg.inv(matrix) * PROBED, 1)).max()
    variance = np.sum(PROBED @ case.covariance(matrix) * PROBED, 1)
    # Linear prediction is exact here; by 256 draws there is their Monte Carlo error besides.
    for how, extra in (("linear", 0), ("draws", 5 / 16)):
        if how == "linear" and not isinstance(found.posterior, GaussianPosterior):
            continue
        said = predict(ANSWER, found, PROBE, how=how)
        assert np.abs(said.mean[:, 0] - PROBED @ mean).max() / sd < case.mean_error + extra
        error = np.abs(said.epistemic_var[:, 0] - variance).max() / sd**2
        assert error < case.variance_error + 2**0.5 * extra
        assert np.allclose(said.aleatoric_var, NOISE**2, rtol=1e-6)


@every
def test_the_verdict_is_good_and_records_are_whole(name):
    found = fitted(name)
    assert found.verdict.status == "ok", str(found.verdict)
    assert found.method == type(METHODS[name].method).__name__
    for record in found.info.values():
        if isinstance(record, dict):
            lengths = {len(values) for values in record.values()}
            assert len(lengths) <= 1
            assert np.isfinite(record.get("objective", 0)).all()


@every
def test_a_fit_holds_numpy_arrays_of_its_precision(name):
    found = fitted(name)
    leaves = jax.tree.leaves((found.posterior, found.model))
    assert all(isinstance(leaf, np.ndarray) for leaf in leaves)
    floats = {leaf.dtype.name for leaf in leaves if np.issubdtype(leaf.dtype, np.floating)}
    assert floats == {found.precision} == {METHODS[name].method.precision}


@every
def test_the_same_key_gives_the_same_bits_and_leaves_its_arguments_alone(name):
    case, before = METHODS[name], copy.deepcopy(DATA)
    again = fit(KEY, case.model, DATA, case.method)
    for part in ("posterior", "model", "info", "verdict"):
        assert same(getattr(again, part), getattr(fitted(name), part))
    assert same(DATA, before)


@every
def test_a_row_is_answered_alike_alone_and_in_company(name):
    together = answer(fitted(name))
    for i in (0, 8):
        said = predict(ANSWER, fitted(name), PROBE[i : i + 1])
        alone = np.stack([said.mean, said.aleatoric_var, said.epistemic_var, said.quantile(0.1)])
        assert np.array_equal(alone[:, 0], together[:, i])


@every
def test_copies_by_pickle_deepcopy_and_joblib_answer_alike(name):
    found = jax.tree.map(np.array, fitted(name))
    for _ in ("before the first prediction", "after it"):
        buffer = io.BytesIO()
        joblib.dump(found, buffer)
        buffer.seek(0)
        for twin in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found), joblib.load(buffer)):
            assert np.array_equal(answer(twin), answer(fitted(name)))
        _ = answer(found)


@every
def test_a_checkpointed_fit_has_the_same_bits_and_so_has_it_started_again(name, tmp_path):
    case = METHODS[name]
    for _ in range(2):
        found = fit(KEY, case.model, DATA, case.method, checkpoint=tmp_path / "c")
        assert same(found.posterior, fitted(name).posterior)
        assert same(found.info, fitted(name).info)


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from posterium import load
from tests.contracts.test_methods import answer
folder = Path(sys.argv[1])
np.savez(folder / "answers.npz", **{p.stem: answer(load(p)) for p in folder.glob("*.posterium")})
"""


@pytest.fixture(scope="module")
def answers_elsewhere(request, tmp_path_factory):
    """Return the answers of the saved fits that are asked for, loaded in a fresh process."""
    folder = tmp_path_factory.mktemp("saved")
    asked = {item.callspec.params["name"] for item in request.session.items
             if "answers_elsewhere" in getattr(item, "fixturenames", ())}  # fmt: skip
    for name in asked:
        save(fitted(name), folder / f"{name}.posterium")
    run = [sys.executable, "-c", SCRIPT, str(folder)]
    subprocess.run(run, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=300)
    return folder, np.load(folder / "answers.npz")


@every
def test_a_saved_fit_answers_alike_in_a_fresh_process(name, answers_elsewhere):
    folder, answers = answers_elsewhere
    assert np.array_equal(answers[name], answer(fitted(name)))
    save(load(folder / f"{name}.posterium"), folder / "again", overwrite=True)
    assert (folder / "again").read_bytes() == (folder / f"{name}.posterium").read_bytes()


@pytest.mark.parametrize("name", TWICE)
def test_an_ensemble_of_it_holds_its_members(name):
    case = METHODS[name]
    found = fit(KEY, case.model, DATA, Ensemble(case.method, 2))
    assert found.posterior.size() == 2
    assert found.verdict.status == "ok", str(found.verdict)
    parts = [predict(ANSWER, replace(found, posterior=part, model=model), PROBE)
             for part, model in map(found.posterior.member, range(2))]  # fmt: skip
    alone = predict(ANSWER, fitted(name), PROBE)
    sd = np.sqrt(np.sum(PROBED @ np.linalg.inv(exact_moments()[1]) * PROBED, 1))
    for said in parts:
        assert (np.abs(said.mean - alone.mean)[:, 0] / sd).max() < 2 * case.mean_error + 1e-4
