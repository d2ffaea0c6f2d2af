"""Families and divergences against SciPy, and their numbers at the ends of the scale."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from posterium.numerics.divergence import gaussian_entropy, gaussian_kl, gaussian_log_prob
from posterium.numerics.families.base import log_positive, positive, raw_of
from posterium.numerics.families.gaussian import FullRank, MeanField

CASES = [
    pytest.param(MeanField(), (4,), id="mean-field"),
    pytest.param(MeanField(cap=2.0), (4,), id="capped mean-field"),
    pytest.param(FullRank(), (4, 4), id="full"),
]


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def some(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def kl_by_matrices(mean, cov, precision):
    """KL from N(0, diag(1 / precision)) by the formula with traces and determinants."""
    moment = np.trace(np.diag(precision) @ cov) + mean @ (precision * mean)
    return 0.5 * (moment - len(mean) - np.log(precision).sum() - np.linalg.slogdet(cov)[1])


def log_normal(mean, precision):
    return float(np.sum(0.5 * (np.log(precision / (2 * np.pi)) - precision * mean**2)))


@pytest.mark.parametrize(("family", "shape"), CASES)
def test_entropy_and_log_density_are_scipys(family, shape):
    mean = np.array([0.3, -1.0, 2.0, 0.1])
    raw = {"mean": jnp.asarray(mean), "scale": some(shape)}
    covariance, log_det = family.covariance(raw), family.log_det(raw)
    oracle = multivariate_normal(mean, np.asarray(covariance.dense()))
    z = np.array([0.5, -1.5, 0.2, 2.0])
    draw = family.draw(raw, jnp.asarray(z))
    np.testing.assert_array_equal(family.mean(raw), mean)
    assert gaussian_entropy(log_det, 4) == pytest.approx(oracle.entropy(), abs=1e-12)
    assert gaussian_log_prob(jnp.asarray(z), log_det) == pytest.approx(
        oracle.logpdf(draw), abs=1e-12
    )
    for found in (family.log_prob(raw, draw), family.log_prob_of(raw, jnp.asarray(z))):
        assert found == pytest.approx(oracle.logpdf(draw), abs=1e-11)


@pytest.mark.parametrize(("family", "shape"), CASES)
def test_kl_is_the_matrix_formula(family, shape):
    mean, precision = np.asarray(some(4, 2)), np.array([0.5, 1.0, 3.0, 20.0])
    raw = {"mean": mean, "scale": some(shape, 1)}
    covariance = family.covariance(raw)
    found = gaussian_kl(
        log_normal(mean, precision), precision, covariance.variance(), family.log_det(raw)
    )
    assert found == pytest.approx(kl_by_matrices(mean, covariance.dense(), precision), abs=1e-12)


def test_weights_of_precision_zero_count_by_their_entropy_only():
    sd = jnp.asarray([0.5, 2.0])
    found = gaussian_kl(jnp.zeros(()), jnp.zeros(2), sd**2, 2 * jnp.sum(jnp.log(sd)))
    assert found == pytest.approx(-np.sum(np.log(sd) + 0.5 * np.log(2 * np.pi * np.e)), abs=1e-12)


@pytest.mark.parametrize(("family", "shape"), CASES)
@pytest.mark.parametrize("sd", [1e-4, 0.05, 1.5])
def test_a_family_starts_at_independent_weights_of_the_sd_asked_for(family, shape, sd):
    raw = family.start(jnp.arange(4.0), jnp.asarray(sd), (("w", (4,)),))
    assert raw["scale"].shape == shape
    np.testing.assert_array_equal(raw["mean"], np.arange(4))
    np.testing.assert_allclose(family.covariance(raw).dense(), sd**2 * np.eye(4), rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1e-4, 0.999, 1.0, 1.001, 1e4])
def test_the_coordinate_of_a_scale_leads_back_to_it(scale):
    raw = raw_of(jnp.asarray(scale))
    assert positive(raw) == pytest.approx(scale, rel=1e-12)
    assert log_positive(raw) == pytest.approx(np.log(scale), abs=1e-12)


def test_the_full_family_ignores_what_is_above_the_diagonal():
    raw = some((4, 4), 3)
    changed = raw + jnp.triu(jnp.full((4, 4), 7.0), 1)
    factor = FullRank().covariance({"scale": changed}).factor
    np.testing.assert_array_equal(factor, FullRank().covariance({"scale": raw}).factor)
    np.testing.assert_array_equal(factor, np.tril(factor))
    np.testing.assert_array_equal(np.tril(factor, -1), np.tril(raw, -1))


@pytest.mark.parametrize(("family", "shape"), CASES)
def test_values_and_gradients_stay_finite_in_float32_from_minus_1e4_to_1e4(family, shape):
    grid = np.unique(
        np.concatenate([-np.geomspace(1e-6, 1e4, 41), [0], np.geomspace(1e-6, 1e4, 41)])
    )

    def everything(scale, z):
        raw = {"mean": jnp.ones(4, scale.dtype), "scale": scale}
        covariance, log_det = family.covariance(raw), family.log_det(raw)
        kl = gaussian_kl(jnp.float32(0), jnp.float32(1), covariance.variance(), log_det)
        return kl + jnp.sum(jnp.tanh(family.draw(raw, z))) + family.log_prob_of(raw, z)

    with jax.enable_x64(False):
        z = jnp.asarray([0.5, -1.0, 2.0, 3.0], jnp.float32)
        raws = jnp.stack(
            [jnp.full(shape, jnp.float32(-2.3)).at[(1,) * len(shape)].set(r) for r in grid]
        )
        raws = raws.astype(jnp.float32)
        value, slope = jax.vmap(jax.value_and_grad(everything), in_axes=(0, None))(raws, z)
    assert np.isfinite(value).all()
    assert np.isfinite(slope).all()
