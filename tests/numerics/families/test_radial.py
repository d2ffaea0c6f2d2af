"""The radial family: radii, entropy, and the law of one array of weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from posterium.numerics.families.base import raw_of
from posterium.numerics.families.radial import Radial

SIGMA = (1.3, 0.4)
SIZES = (1, 5)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def raw():
    scales = tuple(np.full(n, raw_of(sigma)) for n, sigma in zip(SIZES, SIGMA, strict=True))
    return {"mean": np.zeros(6), "scale": scales}


def test_every_array_has_a_half_normal_radius_and_a_uniform_direction_of_its_own(raw):
    z = np.asarray(Radial().noise(jax.random.key(4), raw, 4000))
    assert z.shape == (4000, 6)
    radii = np.abs(z[:, 0]), np.linalg.norm(z[:, 1:], axis=1)
    for radius in radii:
        assert stats.kstest(radius, stats.halfnorm.cdf).pvalue > 1e-4
    assert abs(stats.spearmanr(*radii).statistic) < 4 / np.sqrt(4000)
    cosine = (z[:, 1] / radii[1] + 1) / 2
    assert stats.kstest(cosine, stats.beta(2, 2).cdf).pvalue > 1e-4


def test_an_array_of_one_weight_is_normal(raw):
    one = {"mean": np.zeros(1), "scale": raw["scale"][:1]}
    found = Radial().log_prob(one, jnp.asarray([0.7]))
    assert found == pytest.approx(stats.norm(0, 1.3).logpdf(0.7), abs=1e-12)


def test_the_density_over_shells_is_that_of_the_radius(raw):
    five = {"mean": np.zeros(5), "scale": raw["scale"][1:]}
    r, area = np.array([0.1, 1.0, 3.0]), 2 * np.pi**2.5 / special.gamma(2.5)
    w = 0.4 * r[:, None] * np.eye(5)[[2]]
    found = np.exp(jax.vmap(Radial().log_prob, (None, 0))(five, w))
    np.testing.assert_allclose(area * r**4 * 0.4**5 * found, stats.halfnorm.pdf(r), rtol=1e-10)


def test_the_entropy_is_minus_the_mean_log_density(raw):
    """By integration over the radii, of which alone the density is a function."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    t = (nodes + 1) / 2
    r, slope = 12 * t**3, 36 * t**2
    both = r[:, None] * (np.eye(6)[[0]] + np.eye(6)[[1]])
    log_q = np.asarray(jax.vmap(Radial().log_prob_of, (None, 0))(raw, both))
    mean = (weights / 2 * slope * stats.halfnorm.pdf(r)) @ log_q
    assert Radial().entropy(raw) == pytest.approx(-mean, abs=1e-7)


def test_the_variance_is_sigma_squared_over_the_number_of_weights(raw):
    expected = np.repeat(np.square(SIGMA) / SIZES, SIZES)
    np.testing.assert_allclose(Radial().variance(raw), expected, rtol=1e-12)
