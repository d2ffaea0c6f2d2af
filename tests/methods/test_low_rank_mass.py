"""`mass="low_rank"`: draws as right as before, for fewer gradients where directions are stiff."""

import jax
import numpy as np
import pytest
from tests.methods.test_mclmc import coefficients, product

from posterium import HMC, NUTS, Functions, Gaussian, Model, Normal, as_data, fit
from posterium.evaluate import mixing

SIZE = 200
STIFF = np.array([1e2, 1e3, 1e4])
"""Precisions of three directions across the axes; that of all others is 1."""


def effective(method):
    """Return effective draws a gradient, worst direction, of a Gaussian with stiff directions.

    Draws of low rank must have the right moments; those of a diagonal are too few to know theirs.
    """
    rng = np.random.default_rng(3)
    axes = np.linalg.qr(rng.normal(size=(SIZE, 3)))[0]
    x, y = np.sqrt(STIFF - 1)[:, None] * axes.T, rng.normal(size=3)
    mean = np.linalg.solve(np.eye(SIZE) + x.T @ x, x.T @ y)
    model = Model(Functions(coefficients, product), Normal(1.0, "none"), Gaussian(1.0))
    found = fit(jax.random.key(0), model, as_data(x, y), method)
    off = found.posterior.draws.weights.params["w"][..., 0] - mean
    along = off @ axes * np.sqrt(STIFF)
    z = np.concatenate([along, off[..., :20]], axis=2)
    if method.mass == "low_rank":
        assert np.abs(z.mean(axis=(0, 1)) / mixing.mcse(z)).max() < 4
        square, error = (along**2).mean(axis=(0, 1)), mixing.mcse(along**2)
        assert np.abs((square - 1) / error).max() < 4
    return mixing.ess_bulk(z).min() / found.info["sampling"]["n_steps"].sum()


@pytest.mark.slow
def test_nuts_needs_a_tenth_of_the_gradients():
    low, diagonal = (
        effective(NUTS(warmup=300, draws=150, chains=2, modes=0, mass=mass))
        for mass in ("low_rank", "diagonal")
    )
    assert low > 10 * diagonal


@pytest.mark.slow
def test_hmc_takes_it_too():
    low, diagonal = (
        effective(HMC(warmup=300, draws=300, chains=2, leapfrog=16, modes=0, mass=mass))
        for mass in ("low_rank", "diagonal")
    )
    assert low > 5 * diagonal
