"""Pareto k-hat on draws of known tails, against BlackJAX, and at the ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from blackjax.diagnostics import psis_weights
from scipy.stats import genpareto

from posterium.evaluate.psis import pareto_k, pareto_shape


@pytest.mark.parametrize("k", [-0.3, 0.0, 0.4, 0.7, 1.5])
def test_the_shape_of_generalised_pareto_draws_is_recovered(k):
    with jax.enable_x64(True):
        excess = np.sort(genpareto(k).rvs(4000, random_state=1))
        found = float(pareto_shape(jnp.asarray(excess)))
    leaning = (4000 * k + 10 * 0.5) / 4010
    assert abs(found - leaning) < 4 * (1 + abs(k)) / np.sqrt(4000)


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
