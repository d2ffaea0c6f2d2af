"""Operators of the variational families against dense matrices, and at a network's outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import block_diag

from posterium.numerics import trees
from posterium.numerics.covariances.blocks import BlockDiagonal, KroneckerProduct, by_place
from posterium.numerics.covariances.dense import Diagonal, Full
from posterium.numerics.covariances.low_rank import DiagonalPlusLowRank

RNG = np.random.default_rng(7)
LEFT, RIGHT = RNG.normal(size=(3, 3)), RNG.normal(size=(2, 2))
SD = RNG.uniform(0.5, 2, 2)
SCALE, COLUMNS = RNG.uniform(0.5, 2, 8), RNG.normal(size=(8, 3))
PRODUCT = np.kron(LEFT @ LEFT.T, RIGHT @ RIGHT.T)
CASES = {
    "product": (KroneckerProduct(LEFT, RIGHT), PRODUCT),
    "blocks": (
        BlockDiagonal((Diagonal(SD), KroneckerProduct(LEFT, RIGHT))),
        block_diag(np.diag(SD**2), PRODUCT),
    ),
    "low rank": (
        DiagonalPlusLowRank(SCALE, COLUMNS),
        SCALE[:, None] * (np.eye(8) + COLUMNS @ COLUMNS.T) * SCALE[None],
    ),
}
PARAMS = {"bias": RNG.normal(size=2), "kernel": RNG.normal(size=(3, 2))}
X = RNG.normal(size=(5, 3))


def net(params, x):
    return jnp.tanh(x @ params["kernel"] + params["bias"][None])


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_dense_matrix(name):
    covariance, dense = CASES[name]
    jacobian = RNG.normal(size=(2, len(dense)))

    def everything(covariance):
        root = jax.vmap(covariance.sqrt, out_axes=1)(jnp.eye(len(dense)))
        seen = covariance.quadratic(jacobian)
        return root, covariance.dense(), covariance.variance(), covariance.log_det(), seen

    root, whole, variance, log_det, seen = jax.device_get(jax.jit(everything)(covariance))
    np.testing.assert_allclose(whole, dense, atol=1e-12)
    np.testing.assert_allclose(root @ root.T, dense, atol=1e-10)
    np.testing.assert_allclose(variance, np.diag(dense), rtol=1e-12)
    np.testing.assert_allclose(seen, jacobian @ dense @ jacobian.T, rtol=1e-10)
    assert log_det == pytest.approx(np.linalg.slogdet(dense)[1], abs=1e-10)


@pytest.mark.parametrize("name", ["blocks", "low rank"])
def test_outputs_have_the_covariance_of_the_linearised_network(name):
    covariance, dense = CASES[name]
    vector, unravel = trees.ravel(PARAMS)

    def everything(covariance):
        jacobian = jax.jacfwd(lambda v: net(unravel(v), X))(vector)
        return jacobian, covariance.outputs(net, PARAMS, X), covariance.marginals(net, PARAMS, X)

    jacobian, outputs, marginals = jax.device_get(jax.jit(everything)(covariance))
    expected = jacobian @ dense @ np.swapaxes(jacobian, 1, 2)
    np.testing.assert_allclose(outputs[1], expected, rtol=1e-10)
    np.testing.assert_allclose(marginals[1], np.diagonal(expected, axis1=1, axis2=2), rtol=1e-10)
    np.testing.assert_array_equal(outputs[0], marginals[0])


def test_blocks_know_their_places_where_each_is_a_product_or_diagonal():
    placed = by_place(CASES["blocks"][0])
    np.testing.assert_allclose(jax.jit(lambda c: c.dense())(placed), CASES["blocks"][1], atol=1e-12)
    assert by_place(BlockDiagonal((Full(LEFT), Diagonal(SD)))) is None
