"""Assumed-density updates, against conjugate answers, differences and fixed points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import gammaln

from posterium.numerics.assumed_density import GammaPrecision, PriorSites, gaussian_log_z, moved


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("shape", [6.0, 4000.0])
def test_a_gamma_takes_in_a_conjugate_factor_exactly(shape):
    rate, residual = 3.0, 1.7
    belief = GammaPrecision(jnp.asarray(shape), jnp.asarray(rate))

    def log_z(variance):
        """The mean of a normal density over the Gamma whose mean variance this is."""
        a = rate / variance + 1
        after = (a + 0.5) * np.log(rate + residual**2 / 2)
        return gammaln(a + 0.5) - gammaln(a) + a * np.log(rate) - after

    found = belief.updated(log_z)
    np.testing.assert_allclose(found.shape, shape + 0.5, rtol=1e-6)
    np.testing.assert_allclose(found.rate, rate + residual**2 / 2, rtol=1e-6)


def test_a_gamma_stays_where_there_is_nothing_to_match():
    belief = GammaPrecision(jnp.asarray(6.0), jnp.asarray(6.0))
    for factor in (lambda variance: jnp.nan, lambda variance: -1e5 * variance):
        assert belief.updated(factor) == belief


def test_a_gaussian_takes_in_a_gaussian_factor_exactly():
    mean, variance, noise, y = 0.3, 2.0, 0.5, 1.9
    slopes = jax.grad(lambda m, v: gaussian_log_z(y - m, v + noise), (0, 1))(mean, variance)
    new, new_variance, taken = moved(*map(jnp.asarray, (mean, variance, *slopes)))
    np.testing.assert_allclose(new_variance, 1 / (1 / variance + 1 / noise), rtol=1e-14)
    np.testing.assert_allclose(new, new_variance * (mean / variance + y / noise), rtol=1e-14)
    assert taken


def test_weights_whose_variance_would_not_be_positive_stay():
    mean, variance = jnp.array([1.0, 2.0, 3.0]), jnp.array([0.5, 0.5, 0.5])
    slope, curved = jnp.array([0.1, 3.0, jnp.nan]), jnp.array([0.0, 0.0, 0.0])
    new, new_variance, taken = moved(mean, variance, slope, curved)
    np.testing.assert_array_equal(taken, [True, False, False])
    np.testing.assert_allclose(new, [1.05, 2.0, 3.0])
    np.testing.assert_allclose(new_variance, [0.5 - 0.25 * 0.01, 0.5, 0.5])


def test_a_refined_factor_of_one_weight_is_the_prior_under_the_belief_and_stands():
    belief = GammaPrecision(jnp.asarray(6.0), jnp.asarray(3.0))
    data_mean, data_variance = 1.5, 0.4
    precision = 1 / belief.variance() + 1 / data_variance
    start = jnp.array([data_mean / data_variance / precision]), jnp.array([1 / precision])
    refine = jax.jit(PriorSites.refined)
    once, mean, variance = refine(PriorSites.of(belief, jnp.zeros(1)), *start)
    np.testing.assert_allclose((mean, variance), start, rtol=1e-12)
    again, *moments = refine(once, mean, variance)
    np.testing.assert_allclose(moments, (mean, variance), rtol=1e-12)
    np.testing.assert_allclose((again.belief.shape, again.belief.rate),
                               (once.belief.shape, once.belief.rate), rtol=1e-10)  # fmt: skip
    assert once.belief.rate > 3


def test_many_weights_teach_the_belief_their_precision_as_known_ones_would():
    rng, precision = np.random.default_rng(0), 25.0
    belief = GammaPrecision(jnp.asarray(6.0), jnp.asarray(6.0))
    weights = jnp.asarray(rng.normal(size=2000) / np.sqrt(precision))
    variance = jnp.full(2000, 1e-4)
    together = 1 / (1 / variance + 1 / belief.variance())
    sites, mean = PriorSites.of(belief, jnp.zeros(2000)), weights * together / variance
    refine = jax.jit(PriorSites.refined)
    for _ in range(4):
        sites, mean, together = refine(sites, mean, together)
    squares = jnp.sum(weights**2 + variance)
    np.testing.assert_allclose(sites.belief.shape, 6 + 1000, rtol=1e-2)
    np.testing.assert_allclose(sites.belief.rate, 6 + squares / 2, rtol=1e-2)
    assert np.abs(mean - weights).max() < 0.01


def test_means_that_were_only_drawn_to_set_units_apart_say_nothing_of_the_precision():
    belief = GammaPrecision(jnp.asarray(6.0), jnp.asarray(6.0))
    start = jnp.linspace(-1.0, 1.0, 50)
    weak = 1e5
    precision = 1 / belief.variance() + 1 / weak
    mean = start * (1 / belief.variance()) / precision
    sites, refined, _ = jax.jit(PriorSites.refined)(
        PriorSites.of(belief, start), mean, jnp.full(50, 1 / precision)
    )
    assert np.abs(refined).max() < 1e-3
    np.testing.assert_allclose(sites.belief.variance(), belief.variance(), rtol=1e-2)
