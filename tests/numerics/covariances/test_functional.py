"""The functional form against the dense inverse of the precision in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterium._struct import struct
from posterium.numerics import trees
from posterium.numerics.precisions import precision
from posterium.numerics.structures import functional
from posterium.numerics.structures.functional import FunctionalCurvature

RNG = np.random.default_rng(8)
N, D, H, K, G, R = 7, 3, 5, 2, 2, 1
X, PROBE = RNG.normal(size=(N, D)), RNG.normal(size=(3, D))
PARAMS = {
    "first": {"bias": RNG.normal(size=H), "kernel": RNG.normal(size=(D, H))},
    "last": {"bias": RNG.normal(size=K), "kernel": RNG.normal(size=(H, K))},
}
P = 32
ROOT, WEIGHT = RNG.normal(size=(N, K, G, R)), np.array([1, 2, 0, 1, 0.5, 1, 3])
FACTOR = np.array([0.7, 2.5])
STRUCTURE = FunctionalCurvature()


@struct
class Net:
    """A network of one hidden layer."""

    def __call__(self, params, x):
        h = jnp.tanh(x @ params["first"]["kernel"] + params["first"]["bias"][None])
        return h @ params["last"]["kernel"] + params["last"]["bias"][None]


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


with jax.enable_x64(True):
    SIZES = [leaf.size for leaf in jax.tree.leaves(PARAMS)]
OWN = np.array([0.3, 1.4, 2.2, 0.8])
"""The prior precision of each array."""
TAU = np.repeat(OWN, SIZES)


def jacobian(x):
    vector, unravel = trees.ravel(PARAMS)
    return np.asarray(jax.jacfwd(lambda v: Net()(unravel(v), x))(vector))


def curvature():
    slopes = np.einsum("nkgr,nkp->gnrp", ROOT, jacobian(X))
    return np.einsum("n,gnrp,gnrq->gpq", WEIGHT, slopes, slopes)


def dense():
    return np.linalg.inv(np.diag(TAU) + np.tensordot(FACTOR, curvature(), 1))


def prepared():
    sums = STRUCTURE.sums(Net(), PARAMS, X, ROOT, WEIGHT)
    return STRUCTURE.prepare(sums, Net(), PARAMS, X, TAU)


@pytest.fixture(scope="module")
def covariance():
    with jax.enable_x64(True):
        return STRUCTURE.covariance(prepared(), FACTOR, TAU)


def test_it_is_the_inverse_of_the_precision_in_every_operation(covariance):
    exact = dense()
    assert len(covariance.lower) == N * G * R < P
    np.testing.assert_allclose(covariance.dense(), exact, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(covariance.variance(), np.diag(exact), rtol=1e-8)
    np.testing.assert_allclose(covariance.log_det(), np.linalg.slogdet(exact)[1], rtol=1e-10)
    root = np.asarray(jax.vmap(covariance.sqrt, out_axes=1)(np.eye(P)))
    np.testing.assert_allclose(root @ root.T, exact, rtol=1e-8, atol=1e-10)


def test_its_precision_is_the_inverse_in_every_operation(covariance):
    exact, found = np.linalg.inv(dense()), precision(covariance)
    np.testing.assert_allclose(found.dense(), exact, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.diagonal(), np.diag(exact), rtol=1e-8)
    np.testing.assert_allclose(found.log_det(), np.linalg.slogdet(exact)[1], rtol=1e-10)
    z = RNG.normal(size=P)
    np.testing.assert_allclose(found.whiten(found.colour(z)), z, rtol=1e-8)


def test_outputs_at_other_rows_have_the_dense_law(covariance):
    slopes = jacobian(PROBE)
    exact = slopes @ dense() @ np.swapaxes(slopes, 1, 2)
    value, found = covariance.outputs(Net(), PARAMS, PROBE)
    np.testing.assert_allclose(value, Net()(PARAMS, PROBE), rtol=1e-12)
    np.testing.assert_allclose(found, exact, rtol=1e-8)
    variance = covariance.marginals(Net(), PARAMS, PROBE)[1]
    np.testing.assert_allclose(variance, np.diagonal(exact, axis1=1, axis2=2), rtol=1e-8)
    over_rows = np.einsum("nkp,pq,mkq->knm", slopes, dense(), slopes)
    np.testing.assert_allclose(covariance.rows(Net(), PARAMS, PROBE)[1], over_rows, rtol=1e-8)


def test_the_log_determinant_moves_with_factors_and_the_precision_of_each_array():
    kept = prepared()

    def found(factor, own):
        return STRUCTURE.log_det(kept, factor, jnp.repeat(own, np.array(SIZES)))

    def by_hand(factor, own):
        tau = jnp.repeat(own, np.array(SIZES))
        return jnp.linalg.slogdet(jnp.tensordot(factor, curvature(), 1) + jnp.diag(tau))[1]

    for factor, own in ((FACTOR, OWN), (FACTOR[::-1], 5 * OWN**2)):
        ours, theirs = (jax.value_and_grad(f, (0, 1))(factor, own) for f in (found, by_hand))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8), ours, theirs)


def test_tiles_of_rows_and_weights_that_scale_change_nothing(monkeypatch):
    whole = prepared()
    diagonal = np.diagonal(curvature(), axis1=1, axis2=2)
    np.testing.assert_allclose(whole.squares, diagonal, rtol=1e-10)
    monkeypatch.setattr(functional, "TILE_BYTES", 3 * G * R * P * 8)
    tiled = prepared()
    np.testing.assert_allclose(tiled.kernels, whole.kernels, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(tiled.squares, whole.squares, rtol=1e-10)
    sums = 3 * STRUCTURE.sums(Net(), PARAMS, X, ROOT, WEIGHT)
    scaled = STRUCTURE.prepare(sums, Net(), PARAMS, X, TAU)
    np.testing.assert_allclose(scaled.kernels, 3 * whole.kernels, rtol=1e-10, atol=1e-12)
