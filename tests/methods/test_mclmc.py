"""MCLMC and its adjusted form: closed-form posteriors, the bias and its bound, what is refused."""

import jax
import numpy as np
import pytest

from posterium import (
    MAP,
    MCLMC,
    MLP,
    AdjustedMCLMC,
    Ensemble,
    Functions,
    Gaussian,
    HalfNormal,
    Laplace,
    Model,
    Normal,
    StartFrom,
    as_data,
    fit,
    learn,
)
from posterium.evaluate import mixing

KEY = jax.random.key(5)
SIZE = 10


def product(params, x):
    return x @ params["w"]


def coefficients(key, x):
    return {"w": jax.random.normal(key, (x.shape[1], 1), x.dtype)}


def ill_conditioned():
    """Return model, data, mean, axes (p, p) and sds of a Gaussian whose covariance has 1e3."""
    rng = np.random.default_rng(2)
    axes = np.linalg.qr(rng.normal(size=(SIZE, SIZE)))[0]
    precision = np.geomspace(2, 2000, SIZE)
    x, y = np.sqrt(precision - 1)[:, None] * axes.T, rng.normal(size=SIZE)
    model = Model(Functions(coefficients, product), Normal(1.0, "none"), Gaussian(1.0))
    mean = axes / precision @ axes.T @ x.T @ y
    return model, as_data(x, y), mean, axes, precision**-0.5


def whitened(method):
    """Return draws (c, s, p) along the axes of the posterior, in its sds, and the fit."""
    model, data, mean, axes, sd = ill_conditioned()
    found = fit(KEY, model, data, method)
    return (found.posterior.draws.weights.params["w"][..., 0] - mean) @ axes / sd, found


@pytest.mark.slow
def test_adjusted_draws_have_the_moments_of_an_ill_conditioned_gaussian():
    z, found = whitened(AdjustedMCLMC(warmup=1500, draws=2000))
    assert found.verdict.status == "ok", str(found.verdict)
    assert z.dtype == np.float64
    products = z[..., :, None] * z[..., None, :]
    for draws, exact in ((z, np.zeros(SIZE)), (products, np.eye(SIZE))):
        error = (draws.mean(axis=(0, 1)) - exact) / mixing.mcse(draws)
        assert np.abs(error).max() < 4.5
    accepted = found.info["sampling"]["acceptance_rate"].mean(axis=0)
    assert np.abs(accepted - 0.9).max() < 0.05


@pytest.mark.slow
def test_the_bias_of_unadjusted_draws_is_small():
    """Variances are off by less than 4 % beyond their Monte Carlo error, means by none."""
    z, found = whitened(MCLMC(warmup=2000, draws=1000, thin=20))
    assert found.verdict.status == "ok", str(found.verdict)
    assert np.abs(z.mean(axis=(0, 1)) / mixing.mcse(z)).max() < 4
    square, error = (z**2).mean(axis=(0, 1)), mixing.mcse(z**2)
    assert np.all(np.abs(square - 1) < 4 * error + 0.04)
    assert found.info["sampling"]["energy_variance"].mean() < 1e-3


@pytest.mark.slow
def test_chains_begin_at_the_members_and_no_first_step_leads_them_away():
    x = np.linspace(-2, 2, 30)[:, None]
    model = Model(MLP(hidden=(4,)), Normal(), Gaussian(learn(0.3, prior=HalfNormal(1.0))))
    data, begin = as_data(x, np.sin(2 * x[:, 0])), Ensemble(MAP(steps=300), 2)
    chains = MCLMC(warmup=20, draws=4, thin=2, chains=2, apart=True)
    found = fit(KEY, model, data, StartFrom(chains, begin))
    best = 30 * found.info["descent"]["objective"][-1]
    assert np.all(found.info["warmup"]["log_joint"][:5] > best - 20)
    assert found.posterior.draws.raws[0].shape == (2, 4)
    assert found.precision == "float32"


@pytest.mark.slow
@pytest.mark.parametrize("sampler", [MCLMC, AdjustedMCLMC])
def test_a_gaussian_to_start_from_gives_the_mass(sampler):
    model, data, mean, axes, sd = ill_conditioned()
    method = StartFrom(sampler(warmup=100, draws=1000, mass="start"), Laplace())
    found = fit(KEY, model, data, method)
    z = (found.posterior.draws.weights.params["w"][..., 0] - mean) @ axes / sd
    assert np.abs(z.mean(axis=(0, 1)) / mixing.mcse(z)).max() < 4
    square, error = (z**2).mean(axis=(0, 1)), mixing.mcse(z**2)
    assert np.all(np.abs(square - 1) < 4 * error + 0.04)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (MCLMC(energy_variance=0.0), "energy_variance must be positive"),
        (AdjustedMCLMC(target_accept=1.0), "target_accept must be between 0 and 1"),
        (MCLMC(), "at least two weights"),
        (AdjustedMCLMC(), "at least two weights"),
    ],
)
def test_what_cannot_be_sampled_is_refused_with_a_way_out(method, words):
    model = Model(Functions(coefficients, product), Normal(), Gaussian(1.0))
    with pytest.raises(ValueError, match=words):
        method.phases(model, as_data(np.zeros((4, 1)), np.zeros(4)))


@pytest.mark.parametrize("settings", [{"mass": "dense"}, {"start": "map"}, {"thin": 0}])
@pytest.mark.parametrize("sampler", [MCLMC, AdjustedMCLMC])
def test_settings_without_sense_are_refused(sampler, settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        sampler(**settings)
