"""Pareto k-hat on draws of known tails, against BlackJAX, and at the ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from blackjax.diagnostics import psis_weights
from scipy.special import logsumexp
from scipy.stats import genpareto

from posterium.evaluate.psis import pareto_fit, pareto_k, smoothed


@pytest.mark.parametrize("k", [-0.3, 0.0, 0.4, 0.7, 1.5])
def test_the_shape_of_generalised_pareto_draws_is_recovered(k):
    with jax.enable_x64(True):
        excess = np.sort(genpareto(k).rvs(4000, random_state=1))
        found = float(pareto_fit(jnp.asarray(excess))[0])
    leaning = (4000 * k + 10 * 0.5) / 4010
    assert abs(found - leaning) < 4 * (1 + abs(k)) / np.sqrt(4000)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_k_hat_is_blackjaxs(scale):
    log_weights = jnp.asarray(scale * np.random.default_rng(2).normal(size=2500), jnp.float32)
    expected = float(psis_weights(log_weights)[1])
    assert float(pareto_k(log_weights)) == pytest.approx(expected, abs=2e-3)


def test_a_constant_in_all_weights_does_not_count():
    log_weights = jnp.asarray(np.random.default_rng(2).normal(size=1000), jnp.float32)
    shifted = pareto_k(log_weights + 1024)
    assert float(shifted) == pytest.approx(float(pareto_k(log_weights)), abs=0.01)


def test_the_ends_are_told_apart():
    rng = np.random.default_rng(4)
    found = {
        "exact": jnp.full(1000, -3.0, jnp.float32),
        "exact up to rounding": jnp.asarray(-1e5 + 0.002 * rng.normal(size=1000), jnp.float32),
        "one draw is all": jnp.asarray(1e3 * rng.normal(size=1000), jnp.float32),
        "not finite": jnp.zeros(1000, jnp.float32).at[3].set(-jnp.inf),
        "too few": jnp.asarray(rng.normal(size=49), jnp.float32),
    }
    values = {name: float(pareto_k(log_weights)) for name, log_weights in found.items()}
    assert values["exact"] == values["exact up to rounding"] == -np.inf
    assert values["one draw is all"] == np.inf
    assert np.isnan(values["not finite"])
    assert np.isnan(values["too few"])


def smooth(log_weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Return smoothed log weights and k-hat in float64."""
    with jax.enable_x64(True):
        found, k = _smooth(jnp.asarray(log_weights))
    return np.asarray(found), float(k)


_smooth = jax.jit(smoothed)


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_smoothed_weights_sum_to_one_and_only_their_tail_is_another(scale):
    log_weights = scale * np.random.default_rng(5).normal(size=2500)
    found, _ = smooth(log_weights)
    assert np.exp(found).sum() == pytest.approx(1, rel=1e-12)
    order = np.argsort(log_weights)
    shift = (found - log_weights)[order]
    np.testing.assert_allclose(shift[:-150], shift[0], atol=1e-12)
    assert (np.diff(found[order]) >= 0).all()
    assert np.ptp(shift[-150:]) > 0.01


def test_the_smoothed_tail_holds_quantiles_of_the_distribution_fitted_to_it():
    log_weights = np.sort(1.5 * np.random.default_rng(6).normal(size=2500))
    found, k = smooth(log_weights)
    tail = np.exp(log_weights[-151:] - log_weights[-1])
    with jax.enable_x64(True):
        shape, scale = map(float, pareto_fit(jnp.asarray(tail[1:] - tail[0])))
    assert k == pytest.approx(shape, rel=1e-12)
    quantiles = genpareto(k, loc=tail[0], scale=scale).ppf((np.arange(150) + 0.5) / 150)
    expected = np.log(np.minimum(quantiles, 1)) - (log_weights[0] - log_weights[-1])
    np.testing.assert_allclose(found[-150:] - found[0], expected, atol=1e-10)


def test_smoothed_weights_are_blackjaxs():
    log_weights = 3.0 * np.random.default_rng(2).normal(size=2500)
    with jax.enable_x64(True):
        expected = psis_weights(jnp.asarray(log_weights))[0]
    np.testing.assert_allclose(smooth(log_weights)[0], expected, atol=1e-6)


@pytest.mark.parametrize("log_weights", [np.full(2500, -3.0), 1e3 * np.arange(2500.0)])
def test_weights_whose_tail_has_no_shape_stay_as_they_are(log_weights):
    found, _ = smooth(log_weights)
    np.testing.assert_allclose(found, log_weights - logsumexp(log_weights), atol=1e-9)
