"""Parallel tempering: closed forms, separated modes with known weights, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from tests.methods.test_hmc import assert_moments, linear_gaussian

from posterium import (
    MAP,
    ByPath,
    Centred,
    Flat,
    Functions,
    Gamma,
    Gaussian,
    HalfNormal,
    Linear,
    Model,
    Normal,
    ParallelTempering,
    as_data,
    fit,
    learn,
)
from posterium.combinators.start import StartFrom
from posterium.datasets.reference import identity6
from posterium.evaluate import mixing
from posterium.recipes import relu4

KEY = jax.random.key(4)


def test_moments_and_evidence_are_those_of_the_closed_form():
    model, data, mean, covariance = linear_gaussian()
    found = fit(KEY, model, data, ParallelTempering(100, 600, chains=8, rungs=8))
    assert found.verdict.status == "ok", str(found.verdict)
    draws = found.posterior.draws.weights.params["coefficients"][..., 0]
    assert draws.shape == (8, 600, 3)
    assert_moments(draws, mean, covariance)
    design = np.column_stack([np.ones(30), data.x])
    marginal = design @ design.T / 2 + 0.5**2 * np.eye(30)
    exact = multivariate_normal(np.zeros(30), marginal).logpdf(data.y[:, 0])
    record = found.info["tempering"]
    error = record["log_evidence_se"][-1]
    assert error < 0.1
    assert abs(record["log_evidence"][-1] - exact) < 4.5 * error
    assert record["swap_rate"][100:].mean(0).min() > 0.3
    assert len(record["log_joint"]) == 700


def one(key, x):
    return {"w": jnp.zeros(1, x.dtype)}


def square(params, x):
    return x * params["w"][0] ** 2


def test_modes_get_their_weights():
    # The prior leans to the right: the modes at 2 and -2 have other masses, by quadrature.
    model = Model(
        Functions(one, square), Centred(Normal(1.0), {"w": np.array([0.2])}), Gaussian(0.3)
    )
    data = as_data(np.ones((1, 1)), np.array([4.0]))
    found = fit(KEY, model, data, ParallelTempering(100, 1000, chains=8, rungs=8, leapfrog=8))
    w = np.linspace(-4, 4, 8001)
    density = np.exp(-0.5 * (w - 0.2) ** 2 - 0.5 * ((4 - w**2) / 0.3) ** 2)
    density /= density.sum()
    right = density[w > 0].sum()
    assert 0.6 < right < 0.8
    draws = found.posterior.draws.weights.params["w"][..., 0]
    for of_draws, exact in (
        (draws > 0, right),
        (draws, density @ w),
        (np.abs(draws), density @ np.abs(w)),
        (draws**2, density @ w**2),
    ):
        values = of_draws.astype(float)
        error = mixing.mcse(values[..., None])[0]
        assert abs(values.mean() - exact) < 4.5 * error
    assert mixing.mcse((draws > 0).astype(float)[..., None])[0] < 0.02


@pytest.mark.slow
def test_free_hyper_parameters_have_the_law_of_a_grid():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(8, 1))
    y = 1 + x[:, 0] + rng.normal(size=8)
    free = learn(1.0, prior=Gamma(3.0, 2.0)), learn(1.0, floor=0.2, prior=HalfNormal(2.0))
    model = Model(Linear(), Normal(free[0], scaling="none"), Gaussian(free[1]))
    found = fit(KEY, model, as_data(x, y), ParallelTempering(100, 1000, chains=8, rungs=6))
    precision, noise = (np.exp(raw) for raw in found.posterior.draws.raws)

    grid = np.linspace(0.01, 8, 200), np.linspace(0.201, 5, 200)
    rows = np.column_stack([np.ones(8), x])
    outer = (rows @ rows.T)[None, None] / grid[0][:, None, None, None]
    covariance = outer + np.eye(8) * grid[1][None, :, None, None] ** 2
    log_density = -0.5 * np.linalg.slogdet(covariance)[1]
    log_density -= 0.5 * np.einsum("i,abij,j->ab", y, np.linalg.inv(covariance), y)
    log_density += (2 * np.log(grid[0]) - 2 * grid[0])[:, None] - (grid[1] / 2)[None] ** 2 / 2
    density = np.exp(log_density - log_density.max())
    for values, sides, axis in ((precision, density.sum(1), 0), (noise + 0.2, density.sum(0), 1)):
        exact = sides @ grid[axis] / sides.sum()
        assert abs(values.mean() - exact) < 4.5 * mixing.mcse(values[..., None])[0] + 0.005


@pytest.mark.slow
def test_the_four_weight_network_gets_both_its_modes():
    x, y = identity6()
    grid = np.linspace(-5, 5, 100)[:, None]
    exact = relu4.exact(x, y, 0.05, grid, points=401)
    found = fit(KEY, relu4.model(0.05), as_data(x, y), ParallelTempering())
    assert found.verdict.status == "ok", str(found.verdict)
    assert not relu4.errors(found, grid, exact).wrong
    record = found.info["tempering"]
    assert abs(record["log_evidence"][-1] - exact.log_evidence) < 5 * record["log_evidence_se"][-1]


@pytest.mark.slow
def test_too_few_rungs_are_told_of():
    model, data, *_ = linear_gaussian()
    narrow = Model(model.network, Normal(1e-4, scaling="none"), Gaussian(0.01))
    found = fit(KEY, narrow, data, ParallelTempering(50, 100, chains=4, rungs=2, leapfrog=8))
    assert found.verdict.status != "ok"
    assert "more rungs" in str(found.verdict)


@pytest.mark.slow
def test_replicas_begin_where_another_fit_ended():
    model, data, *_ = linear_gaussian()
    method = StartFrom(ParallelTempering(50, 200, chains=4, rungs=4), MAP(steps=200))
    found = fit(KEY, model, data, method)
    first = found.info["tempering"]["log_joint"][0]
    assert first.min() > found.info["tempering"]["log_joint"].mean() - 10


@pytest.mark.parametrize(
    "prior",
    [Flat(), Normal(0.0), Normal({"coefficients": 0.0}), ByPath({"*": Flat()}),
     Centred(Normal(0.0), {"coefficients": np.zeros((3, 1))})],
)  # fmt: skip
def test_a_prior_without_draws_is_refused(prior):
    model, data, *_ = linear_gaussian()
    with pytest.raises(ValueError, match="proper prior"):
        ParallelTempering().phases(Model(Linear(), prior, model.likelihood), data)


@pytest.mark.parametrize(
    "settings", [{"rungs": 1}, {"draws": 0}, {"draws": "ten"}, {"thin": 0}, {"chains": 0}]
)
def test_settings_without_sense_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        ParallelTempering(**settings)
