"""Entropies, divergences and traces against dense matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from posterium.numerics.covariances.blocks import BlockDiagonal, KroneckerProduct
from posterium.numerics.covariances.dense import Diagonal, Full
from posterium.numerics.covariances.embedded import Embedded
from posterium.numerics.covariances.low_rank import DiagonalPlusLowRank, LowRankCovariance
from posterium.numerics.divergence import (
    gaussian_entropy,
    gaussian_kl,
    gaussian_log_prob,
    precision_trace,
)
from posterium.numerics.precisions import precision

RNG = np.random.default_rng(0)
P = 8


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def sds(count=P):
    return np.exp(0.5 * RNG.normal(size=count))


def factor(count):
    return np.eye(count) + 0.3 * np.tril(RNG.normal(size=(count, count)))


BASIS = np.linalg.qr(RNG.normal(size=(P, 2)))[0] * np.array([2.0, 0.5])
COVARIANCES = {
    "diagonal": Diagonal(sds()),
    "full": Full(factor(P)),
    "low rank": DiagonalPlusLowRank(sds(), RNG.normal(size=(P, 3))),
    "less a low rank": LowRankCovariance(sds(), BASIS, np.array([4.0, 0.25])),
    "blocks": BlockDiagonal((Diagonal(sds(2)), KroneckerProduct(factor(3), factor(2)))),
}
EMBEDDED = Embedded(Full(factor(3)), np.array([0, 4, 5]), P)


def test_entropy_and_log_density_are_scipys():
    mean, root = np.array([0.3, -1.0, 2.0]), factor(3)
    oracle, z = multivariate_normal(mean, root @ root.T), np.array([0.5, -1.5, 0.2])
    log_det = np.linalg.slogdet(root @ root.T)[1]
    assert gaussian_entropy(log_det, 3) == pytest.approx(oracle.entropy(), abs=1e-12)
    found = float(gaussian_log_prob(z, log_det))
    assert found == pytest.approx(oracle.logpdf(mean + root @ z), abs=1e-12)


def test_kl_is_the_matrix_formula():
    mean, precision, sd = np.array([0.3, -1.0, 2.0]), np.array([0.5, 1.0, 20.0]), sds(3)
    log_prior = np.sum(0.5 * (np.log(precision / (2 * np.pi)) - precision * mean**2))
    found = gaussian_kl(log_prior, precision, sd**2, 2 * np.sum(np.log(sd)))
    moments = precision @ (sd**2 + mean**2) - 3 - np.log(precision).sum()
    assert found == pytest.approx(0.5 * moments - np.log(sd).sum(), abs=1e-12)


def test_weights_of_precision_zero_count_by_their_entropy_only():
    sd = jnp.asarray([0.5, 2.0])
    found = gaussian_kl(jnp.zeros(()), jnp.zeros(2), sd**2, 2 * jnp.sum(jnp.log(sd)))
    assert found == pytest.approx(-np.sum(np.log(sd) + 0.5 * np.log(2 * np.pi * np.e)), abs=1e-12)


@pytest.mark.parametrize("name", COVARIANCES)
def test_the_trace_of_any_precision_times_any_covariance_is_that_of_the_matrices(name):
    root = precision(COVARIANCES[name])
    others = [*COVARIANCES.values(), EMBEDDED]

    def everything(root, others):
        dense = [jnp.trace(root.dense() @ other.dense()) for other in others]
        return [precision_trace(root, other) for other in others], dense

    found, expected = jax.jit(everything)(root, others)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    own = list(COVARIANCES).index(name)
    assert found[own] == pytest.approx(P, rel=1e-9)
