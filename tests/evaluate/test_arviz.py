"""The export to ArviZ: groups and names, and that ArviZ's numbers are ours."""

import builtins

import jax
import numpy as np
import pytest
from tests.evaluate.fits import DATA, DESIGN, X, Y, draws, points, sampled

from posterium.evaluate import mixing
from posterium.evaluate.arviz import to_arviz
from posterium.evaluate.loo import loo, waic

KEY = jax.random.key(0)
# ArviZ 0.23 announces 1.0 when it is imported; its own warnings of LOO and WAIC are not ours.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def arviz():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("arviz", reason="ArviZ is not installed: the extra [arviz]")


def test_groups_hold_what_draws_say(arviz):
    found = to_arviz(KEY, sampled(), DATA)
    coefficients, raw = draws()
    f = found["posterior"]["f"]
    assert f.dims == ("chain", "draw", "probe", "value")
    assert f.coords["value"].values.tolist() == ["mean", "log noise variance"]
    rows = f.coords["probe"].values
    np.testing.assert_allclose(f.values[..., 0], coefficients @ DESIGN[rows].T, atol=1e-12)
    np.testing.assert_allclose(found["posterior"]["likelihood.scale"].values, np.exp(raw))
    assert set(found["posterior"].data_vars) == {"f", "likelihood.scale"}
    assert {"diverging", "energy", "tree_depth", "lp"} <= set(found["sample_stats"].data_vars)
    assert found["sample_stats"]["diverging"].values.sum() == 1
    assert found["log_likelihood"]["y"].shape == (4, 500, 40)
    assert np.array_equal(found["observed_data"]["y"].values[:, 0], Y)
    assert np.array_equal(found["constant_data"]["x"].values, X)


def test_weights_come_on_request(arviz):
    found = to_arviz(KEY, sampled(), DATA, weights=True)["posterior"]
    assert np.array_equal(found["coefficients"].values[..., 0], draws()[0])
    with pytest.raises(ValueError, match="draws of a sampler"):
        to_arviz(KEY, points(), DATA, weights=True)


def test_members_stand_as_chains_and_values_that_never_change_are_left_out(arviz):
    found = to_arviz(KEY, points(), DATA)
    assert found["posterior"]["f"].shape == (5, 1, 32, 1)
    assert found["posterior"]["f"].coords["value"].values.tolist() == ["mean"]


def test_r_hat_and_effective_sizes_of_predictions_are_arvizs(arviz):
    found = to_arviz(KEY, sampled(), DATA)
    values = found["posterior"]["f"].values
    table = mixing.summary(values)
    np.testing.assert_allclose(arviz.rhat(found)["f"].values, table["rhat"], rtol=1e-6)
    for name, prob in (("bulk", None), ("tail", (0.05, 0.95))):
        expected = arviz.ess(found, method=name, prob=prob)["f"].values
        np.testing.assert_allclose(table[f"ess_{name}"], expected, rtol=1e-2)


def test_loo_is_arvizs(arviz):
    # Of 1,600 draws all versions take the same tail, 3 sqrt(s) = 120.
    fit = sampled(steps=400)
    found = loo(KEY, fit, DATA)
    expected = arviz.loo(to_arviz(KEY, fit, DATA), pointwise=True, reff=1.0)
    old = hasattr(expected, "elpd_loo")
    pointwise = expected.loo_i if old else expected.elpd_i
    np.testing.assert_allclose(found.pointwise, np.asarray(pointwise), atol=1e-6)
    np.testing.assert_allclose(found.k_hat, np.asarray(expected.pareto_k), atol=1e-6)
    assert found.elpd == pytest.approx(expected.elpd_loo if old else expected.elpd, abs=1e-6)
    assert found.p == pytest.approx(expected.p_loo if old else expected.p, abs=1e-6)
    # ArviZ 0.23 takes the variance over n rows, not n - 1.
    assert found.se == pytest.approx(expected.se * (np.sqrt(40 / 39) if old else 1), rel=1e-6)


def test_waic_is_arvizs(arviz):
    if not hasattr(arviz, "waic"):
        pytest.skip("ArviZ 1.x has no WAIC")
    found = waic(KEY, sampled(), DATA)
    expected = arviz.waic(to_arviz(KEY, sampled(), DATA), pointwise=True)
    # ArviZ takes the variance over s draws, not s - 1.
    p = found.p_pointwise * (2000 - 1) / 2000
    np.testing.assert_allclose(found.pointwise + found.p_pointwise - p, expected.waic_i, atol=1e-9)


def test_too_many_bytes_are_refused_before_anything_is_computed(arviz):
    with pytest.raises(ValueError, match=r"640,000\. Pass fewer rows"):
        to_arviz(KEY, sampled(), DATA, max_bytes=1000)


def test_without_arviz_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest):
        if name == "arviz":
            raise ImportError
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"posterium\[arviz\]"):
        to_arviz(KEY, sampled(), DATA)
