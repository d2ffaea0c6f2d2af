"""Weights with a point estimate: the bound is then that on the density of data and points."""

import jax
import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from posterium.driver.fit import fit
from posterium.methods.vi import VI
from posterium.model.data import as_data
from posterium.model.likelihoods.gaussian import Gaussian
from posterium.model.model import Model
from posterium.model.network import MLP
from posterium.model.priors.normal import Normal
from posterium.numerics import trees

KEY = jax.random.key(0)
RNG = np.random.default_rng(5)
X = RNG.normal(size=(14, 2))
Y = 0.7 + X @ [1.0, -0.5] + 0.4 * RNG.normal(size=14)
DATA = as_data(X, Y)
TAU, NOISE = 2.0, 0.4
MODEL = Model(MLP(hidden=()), Normal(TAU, "none"), Gaussian(NOISE))
EXACT = {"steps": 3000, "learning_rate": 3e-2, "estimator": "sigma_points"}


@pytest.mark.parametrize("kl", ["closed", pytest.param("sampled", marks=pytest.mark.slow)])
def test_the_full_covariance_reaches_the_density_of_data_and_point(kl):
    method = VI("full", point="*/bias", kl=kl, assess=200, **EXACT)
    found = fit(KEY, MODEL, DATA, method, precision="float64")
    marginal = X @ X.T / TAU + NOISE**2 * np.eye(14)
    whitened = np.linalg.solve(marginal, np.ones(14))
    best = whitened @ Y / (whitened.sum() + TAU)
    evidence = multivariate_normal(np.full(14, best), marginal).logpdf(Y)
    evidence += norm(0, TAU**-0.5).logpdf(best)
    elbo = found.info["ascent"]["elbo"]
    assert (elbo <= evidence + 1e-9).all()
    assert elbo[-1] == pytest.approx(evidence, abs=1e-6)
    params = trees.flatten(found.posterior.mode().params)
    assert params["layers/0/bias"][0] == pytest.approx(best, abs=1e-6)
    precision = X.T @ X / NOISE**2 + TAU * np.eye(2)
    with jax.enable_x64(True):
        covariance = found.posterior.covariance.dense()
    np.testing.assert_allclose(covariance[1:, 1:], np.linalg.inv(precision), atol=1e-6)
    assert not covariance[0].any()
    assert found.info["assess"]["elbo"][0] == pytest.approx(evidence, abs=1e-6)
    assert found.verdict.status == "ok"


def test_globs_that_match_nothing_or_everything_are_refused():
    with pytest.raises(ValueError, match=r"'\*/scale' matches none of: layers/0/bias, layers/0/k"):
        VI(point="*/scale").phases(MODEL, DATA)
    with pytest.raises(ValueError, match=r"leaves no weight that is random.* MAP\(\)"):
        VI(point=("*",)).phases(MODEL, DATA)
