"""The functional form against the dense inverse of the precision in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterium._struct import struct
from posterium.numerics import trees
from posterium.numerics.covariances.functional import KeptColumns, PassedColumns, functional

RNG = np.random.default_rng(8)
N, D, H, K, R = 7, 3, 5, 2, 2
X, PROBE = RNG.normal(size=(N, D)), RNG.normal(size=(3, D))
PARAMS = {
    "first": {"bias": RNG.normal(size=H), "kernel": RNG.normal(size=(D, H))},
    "last": {"bias": RNG.normal(size=K), "kernel": RNG.normal(size=(H, K))},
}
P = 32
ROOT = RNG.normal(size=(N, K, R))
TAU = RNG.uniform(0.3, 3, P)


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


def jacobian(x):
    vector, unravel = trees.ravel(PARAMS)
    return np.asarray(jax.jacfwd(lambda v: Net()(unravel(v), x))(vector))


def dense():
    slopes = np.einsum("nkr,nkp->nrp", ROOT, jacobian(X)).reshape(-1, P)
    return np.linalg.inv(np.diag(TAU) + slopes.T @ slopes)


@pytest.fixture(params=[2**20, 0], ids=["kept", "passed"])
def covariance(request):
    with jax.enable_x64(True):
        found = functional(Net(), PARAMS, X, ROOT, TAU, max_bytes=request.param)
    assert isinstance(found.columns, KeptColumns if request.param else PassedColumns)
    return found


def test_it_is_the_inverse_of_the_precision_in_every_operation(covariance):
    exact = dense()
    assert len(covariance.values) == N * R < P
    np.testing.assert_allclose(covariance.dense(), exact, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(covariance.variance(), np.diag(exact), rtol=1e-8)
    np.testing.assert_allclose(covariance.log_det(), np.linalg.slogdet(exact)[1], rtol=1e-10)
    root = np.asarray(jax.vmap(covariance.sqrt, out_axes=1)(np.eye(P)))
    np.testing.assert_allclose(root @ root.T, exact, rtol=1e-8, atol=1e-10)


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


def test_a_row_of_weight_zero_says_nothing():
    root = ROOT * (np.arange(N) > 2)[:, None, None]
    whole = functional(Net(), PARAMS, X, root, TAU)
    part = functional(Net(), PARAMS, X[3:], ROOT[3:], TAU)
    np.testing.assert_allclose(whole.variance(), part.variance(), rtol=1e-10)
    np.testing.assert_allclose(whole.log_det(), part.log_det(), rtol=1e-10)
    assert (whole.values[: 3 * R] < 1e-12).all()
