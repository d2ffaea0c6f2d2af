"""Covariance operators at a network's outputs, against dense Jacobians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterium.numerics import kronecker as factors
from posterium.numerics import trees
from posterium.numerics.covariances import base
from posterium.numerics.covariances import kronecker as kronecker_covariances
from posterium.numerics.covariances.dense import Diagonal, Full, FullHead
from posterium.numerics.covariances.kronecker import KroneckerBlock, KroneckerCovariance
from posterium.numerics.covariances.low_rank import LowRankCovariance

RNG = np.random.default_rng(12)
N, D, H, K = 7, 3, 4, 2
X = RNG.normal(size=(N, D))
PARAMS = {
    "first": {"bias": RNG.normal(size=H), "kernel": RNG.normal(size=(D, H))},
    "last": {"bias": RNG.normal(size=K), "kernel": RNG.normal(size=(H, K))},
    "scale": RNG.normal(size=H),
}
HEAD = {"bias": RNG.normal(size=K), "kernel": RNG.normal(size=(H, 3)), "shift": np.array([0.3])}
CONVOLUTION = {"bias": RNG.normal(size=K), "kernel": RNG.normal(size=(K, 1, 3))}
MIX = RNG.normal(size=(3, K))


def net(params, x):
    h = x @ params["first"]["kernel"] + params["first"]["bias"][None]
    h = jnp.tanh(h) * params["scale"][None]
    return h @ params["last"]["kernel"] + params["last"]["bias"][None]


def head(params, x):
    """Return outputs that are affine in all weights: a product, what mixes it, and two shifts."""
    h = jnp.tanh(x @ PARAMS["first"]["kernel"])
    mixed = h @ params["kernel"] @ MIX + params["bias"][None]
    return mixed + jnp.broadcast_to(params["shift"][None], mixed.shape)


def scaled_head(params, x):
    return head(params, x) * x[:, :1]


def convolved(params, x):
    y = jax.lax.conv_general_dilated(
        x[:, None, :], params["kernel"], (1,), "SAME", dimension_numbers=("NCH", "OIH", "NCH")
    )
    return jnp.tanh(y + params["bias"][None, :, None]).sum(-1)


FUNCTIONS = {
    "net": (net, PARAMS),
    "head": (head, HEAD),
    "scaled head": (scaled_head, HEAD),
    "convolution": (convolved, CONVOLUTION),
}


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def dense_jacobian(f, params, x):
    vector, unravel = trees.ravel(params)
    return np.asarray(jax.jacfwd(lambda v: f(unravel(v), x))(vector))


def kronecker(f, params):
    """Return a Kronecker covariance of random blocks for the products of a network."""
    found = factors.layout(f, params, X)
    blocks = tuple(
        KroneckerBlock(
            RNG.normal(size=(len(at), len(at))), RNG.normal(size=(at.shape[1],) * 2),
            RNG.uniform(0.5, 2, at.shape), at,
        )
        for at in found.entries
    )  # fmt: skip
    return KroneckerCovariance(blocks, RNG.uniform(0.5, 2, found.rest.size), found.rest)


def covariances(f, params):
    p = trees.vector(params).size
    basis = np.linalg.qr(RNG.normal(size=(p, 3)))[0] * np.array([1.0, 2.0, 0.5])
    return [
        Diagonal(RNG.uniform(0.5, 2, p)),
        Full(RNG.normal(size=(p, p))),
        LowRankCovariance(RNG.uniform(0.5, 2, p), basis, np.array([1.0, 4.0, 0.25])),
        kronecker(f, params),
    ]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    "which",
    [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(2, marks=pytest.mark.slow), 3],
    ids=["diagonal", "full", "low rank", "kronecker"],
)
def test_outputs_and_their_variances_are_those_of_the_dense_jacobian(name, which):
    f, params = FUNCTIONS[name]
    covariance = covariances(f, params)[which]
    jacobian = dense_jacobian(f, params, X)
    expected = jacobian @ np.asarray(covariance.dense()) @ np.swapaxes(jacobian, 1, 2)
    value, found = covariance.outputs(f, params, X)
    np.testing.assert_allclose(value, f(params, X), rtol=1e-12)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    value, found_rows = covariance.rows(f, params, X)
    over_rows = np.einsum("nkp,pq,mkq->knm", jacobian, covariance.dense(), jacobian)
    np.testing.assert_allclose(value, f(params, X), rtol=1e-12)
    np.testing.assert_allclose(found_rows, over_rows, rtol=1e-8, atol=1e-11)
    for asked in (covariance, covariance.ready(f, params, X) or covariance):
        value, variance = asked.marginals(f, params, X)
        np.testing.assert_allclose(value, f(params, X), rtol=1e-12)
        np.testing.assert_allclose(variance, np.diagonal(expected, axis1=1, axis2=2), rtol=1e-9)


def test_inputs_go_through_a_few_at_a_time_without_a_change(monkeypatch):
    covariance = kronecker(net, PARAMS)
    whole = covariance.rows(net, PARAMS, X)[1]
    monkeypatch.setattr(kronecker_covariances, "ROWS_BYTES", 8 * N * H * 3)
    np.testing.assert_allclose(covariance.rows(net, PARAMS, X)[1], whole, rtol=1e-10)
    assert covariance.row_width(net, PARAMS, X) < 2 * trees.count(PARAMS)


def test_a_last_layer_is_taken_in_once_and_nothing_else_is():
    for name, (f, params) in FUNCTIONS.items():
        full = Full(np.eye(trees.vector(params).size))
        assert isinstance(full.ready(f, params, X), FullHead) == (name == "head"), name

    def first(params, x):
        return head(params, x)[:, :1]

    assert Full(np.eye(15)).ready(first, HEAD, X) is None


def test_rows_at_a_time_are_a_power_of_two_within_the_budget():
    for numbers in (1, 10**5, 10**6, 3 * 10**6, 10**9):
        rows = base.rows_at_once(numbers, np.float64)
        assert 256 % rows == 0
        assert rows == 1 or 8 * rows * numbers <= base.ROWS_BYTES
        assert rows == base.ROWS or 16 * rows * numbers > base.ROWS_BYTES
