"""Covariances over rows and functions drawn jointly, by structure, against dense matrices."""

import jax
import numpy as np
import pytest

from posterium import (
    MLP,
    Bernoulli,
    Categorical,
    Fit,
    Gaussian,
    Model,
    Normal,
    Verdict,
)
from posterium._struct import replace
from posterium.numerics import trees
from posterium.numerics.covariances.dense import Diagonal
from posterium.numerics.covariances.kronecker import KroneckerBlock, KroneckerCovariance
from posterium.numerics.covariances.low_rank import LowRankCovariance
from posterium.numerics.kronecker import layout
from posterium.posterior.joint import covariance
from posterium.posterior.posterior import GaussianPosterior
from posterium.posterior.predict import predict_by_draws

KEY = jax.random.key(3)
RNG = np.random.default_rng(4)
X = RNG.normal(size=(9, 2))
NETWORK = MLP(outputs=2, hidden=(3,), activation="tanh")
NOISE = 0.3


def outputs_of(network, weights):
    return lambda params, x: network.apply(replace(weights, params=params), x)[0]


def posterior(structure, network=NETWORK):
    """Return a Gaussian over a network's weights, float64."""
    with jax.enable_x64(True):
        weights = trees.cast(network.init(KEY, X), np.float64)
        p = trees.count(weights.params)
        if structure == "kronecker":
            told = layout(outputs_of(network, weights), weights.params, X)
            blocks = tuple(
                KroneckerBlock(
                    np.eye(len(at)) + 0.3 * RNG.normal(size=(len(at), len(at))) / len(at),
                    np.eye(at.shape[1]) + 0.3 * RNG.normal(size=(at.shape[1],) * 2),
                    RNG.uniform(0.3, 0.8, at.shape), at,
                )
                for at in told.entries
            )  # fmt: skip
            found = KroneckerCovariance(blocks, np.full(told.rest.size, 0.5), told.rest)
        else:
            basis, _ = np.linalg.qr(RNG.normal(size=(p, 3)))
            values = np.array([9.0, 4.0, 1.0])
            found = LowRankCovariance(np.full(p, 0.6), basis * np.sqrt(values), values)
        return jax.tree.map(np.asarray, GaussianPosterior(weights, found, "linear"))


PARTS = {name: posterior(name) for name in ("kronecker", "low rank")}
by_structure = pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)


def fitted(part, likelihood=None, network=NETWORK):
    model = Model(network, Normal(), likelihood or Gaussian(NOISE))
    return Fit(part, model, {}, Verdict(), precision="float64")


def over_rows(part):
    """Return the outputs (n, k) and their dense covariance over rows and outputs, (n, k, n, k)."""
    with jax.enable_x64(True):
        center, unravel = trees.ravel(part.mean.params)

        f = outputs_of(NETWORK, part.mean)

        def outputs(vector):
            return f(unravel(vector), X)

        slopes = np.asarray(jax.jacfwd(outputs)(center))
        dense = np.asarray(part.covariance.dense())
        return np.asarray(outputs(center)), np.einsum("nkp,pq,mlq->nkml", slopes, dense, slopes)


@by_structure
def test_the_covariance_over_rows_is_that_of_the_dense_matrix(part):
    _, exact = over_rows(part)
    found = covariance(KEY, fitted(part), X)
    for k in range(2):
        np.testing.assert_allclose(
            found[:, :, k], exact[:, k, :, k] + NOISE**2 * np.eye(9), rtol=1e-8, atol=1e-10
        )


def test_kronecker_blocks_need_no_room_for_jacobians():
    part = posterior("kronecker", MLP(outputs=2, hidden=(100, 100), activation="tanh"))
    limit = 8 * 2 * 9 * trees.count(part.mean.params) // 5
    fit = fitted(part, network=MLP(outputs=2, hidden=(100, 100), activation="tanh"))
    assert covariance(KEY, fit, X, max_bytes=limit).shape == (9, 9, 2)
    dense = Diagonal(np.ones(trees.count(part.mean.params)))
    with pytest.raises(ValueError, match=r"raise the limit: max_bytes=\d+"):
        covariance(KEY, replace(fit, posterior=replace(part, covariance=dense)), X, max_bytes=limit)


def empirical(functions, mean, exact):
    """Return the largest distance of drawn moments from exact ones, in standard errors."""
    s, flat = len(functions), functions.reshape(len(functions), -1)
    center, matrix = mean.reshape(-1), exact.reshape(flat.shape[1], -1)
    variance = np.diag(matrix)
    gap = (flat.mean(0) - center) / np.sqrt(variance / s)
    found = (flat - center).T @ (flat - center) / s
    error = np.sqrt((np.outer(variance, variance) + matrix**2) / s)
    return max(np.abs(gap).max(), np.abs((found - matrix) / error).max())


@by_structure
def test_drawn_functions_have_the_joint_law_of_all_rows(part):
    mean, exact = over_rows(part)
    drawn = predict_by_draws(KEY, fitted(part), X, draws=3000)
    functions = np.concatenate([block.mean for block in drawn.components()], axis=1)
    assert empirical(functions, mean, exact) < 5


@by_structure
def test_drawn_functions_of_classes_have_the_joint_law_of_all_rows(part):
    mean, exact = over_rows(part)
    drawn = predict_by_draws(KEY, fitted(part, Categorical()), X, draws=3000)
    log_probs = np.concatenate([block.log_probs for block in drawn.components()], axis=1)
    contrast = np.array([-1.0, 1.0])
    between = np.einsum("k,nkml,l->nm", contrast, exact, contrast)
    assert empirical(log_probs @ contrast, mean @ contrast, between) < 5


def test_classes_have_probabilities_and_no_covariance():
    with pytest.raises(ValueError, match="numeric targets"):
        covariance(KEY, fitted(PARTS["low rank"], Bernoulli()), X)
