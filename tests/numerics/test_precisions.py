"""Every precision operator against the dense inverse of the covariance that it is made from."""

import jax
import numpy as np
import pytest

from posterium.numerics.covariances.blocks import BlockDiagonal, KroneckerProduct
from posterium.numerics.covariances.dense import Diagonal, Full
from posterium.numerics.covariances.kronecker import KroneckerBlock, KroneckerCovariance
from posterium.numerics.covariances.low_rank import DiagonalPlusLowRank, LowRankCovariance
from posterium.numerics.precisions import precision

RNG = np.random.default_rng(4)


def kronecker():
    place = RNG.permutation(9)
    left, right = (3 * np.eye(k) + RNG.normal(size=(k, k)) for k in (3, 2))
    sd = np.exp(RNG.normal(size=(3, 2)))
    block = KroneckerBlock(left, right, sd, place[:6].reshape(3, 2))
    return KroneckerCovariance((block,), np.exp(RNG.normal(size=3)), place[6:])


def low_rank():
    basis, _ = np.linalg.qr(RNG.normal(size=(7, 3)))
    values = np.array([4.0, 0.5, 0.0])
    return LowRankCovariance(np.exp(RNG.normal(size=7)), basis * np.sqrt(values), values)


def added_low_rank():
    columns = RNG.normal(size=(6, 3)) @ np.diag([2.0, 0.3, 0.0])
    return DiagonalPlusLowRank(np.exp(RNG.normal(size=6)), columns)


def blocks(*others):
    left, right = (3 * np.eye(k) + RNG.normal(size=(k, k)) for k in (3, 2))
    parts = Diagonal(np.exp(RNG.normal(size=2))), KroneckerProduct(left, right), *others
    return BlockDiagonal(parts)


class Other:
    """A covariance of one's own, known by its matrix only."""

    def dense(self):
        return np.array([[2.0, 0.5], [0.5, 1.0]])


COVARIANCES = {
    "diagonal": Diagonal(np.exp(RNG.normal(size=5))),
    "full": Full(RNG.normal(size=(5, 5))),
    "kronecker": kronecker(),
    "low rank": low_rank(),
    "added low rank": added_low_rank(),
    "blocks": blocks(),
    "blocks and a full one": blocks(Full(RNG.normal(size=(2, 2)))),
    "other": Other(),
}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("name", COVARIANCES)
def test_it_is_the_inverse_of_the_covariance(name):
    covariance = COVARIANCES[name]
    host = jax.tree.map(jax.numpy.asarray, covariance) if name != "other" else covariance
    dense = np.asarray(host.dense())
    found = jax.tree.map(jax.numpy.asarray, precision(covariance))
    inverse = np.linalg.inv(dense)
    units = np.eye(len(dense))

    def everything(found):
        root = jax.vmap(found.whiten, 1, 1)(units)
        back = jax.vmap(found.colour, 1, 1)(root)
        return root, back, found.dense(), found.diagonal(), found.log_det()

    root, back, whole, diagonal, log_det = jax.device_get(jax.jit(everything)(found))
    scale = np.abs(inverse).max()
    assert np.abs(whole - inverse).max() < 1e-10 * scale
    assert np.abs(root.T @ root - inverse).max() < 1e-10 * scale
    assert np.abs(back - units).max() < 1e-10
    assert np.allclose(diagonal, np.diag(inverse), rtol=1e-9)
    assert np.isclose(log_det, -np.linalg.slogdet(dense)[1], rtol=1e-9)
