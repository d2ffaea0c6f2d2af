"""Structures of curvature against dense matrices in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterium.numerics import curvature, trees
from posterium.numerics.covariances import kronecker as kronecker_covariances
from posterium.numerics.structures import dense as dense_structures
from posterium.numerics.structures.dense import DiagonalCurvature, FullCurvature, pull
from posterium.numerics.structures.kronecker import KroneckerCurvature
from posterium.numerics.structures.low_rank import LowRankCurvature

RNG = np.random.default_rng(7)
N, D, H, K = 9, 3, 4, 2
X = RNG.normal(size=(N, D))
WEIGHT = np.array([1, 2, 0, 1, 1, 0.5, 1, 3, 1.0])
PARAMS = {
    "first": {"bias": RNG.normal(size=H), "kernel": RNG.normal(size=(D, H))},
    "last": {"bias": RNG.normal(size=K), "kernel": RNG.normal(size=(H, K))},
    "scale": RNG.normal(size=H),
}
ROOT = RNG.normal(size=(N, K, 2, 1))
FACTOR = np.array([0.7, 2.5])
KRONECKER = KroneckerCurvature()


def net(params, x):
    h = x @ params["first"]["kernel"] + params["first"]["bias"][None]
    h = jnp.tanh(h) * params["scale"][None]
    return h @ params["last"]["kernel"] + params["last"]["bias"][None]


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def ready(structure, f=net, params=PARAMS, x=X, root=ROOT, weight=WEIGHT):
    tau = np.ones(trees.count(params))
    return structure.prepare(structure.sums(f, params, x, root, weight), f, params, x, tau)


def dense(f, params, x, root, weight):
    """Return the curvature of each group, (g, p, p), from dense Jacobians."""
    vector, unravel = trees.ravel(params)
    jacobian = np.asarray(jax.jacfwd(lambda v: f(unravel(v), x))(vector))
    slopes = np.einsum("nkgr,nkp->ngrp", root, jacobian)
    return np.einsum("n,ngrp,ngrq->gpq", weight, slopes, slopes)


with jax.enable_x64(True):
    TAU = np.asarray(trees.vector(jax.tree.map(lambda a: np.full(a.shape, 0.3 + a.ndim), PARAMS)))
    MATRIX = np.tensordot(FACTOR, dense(net, PARAMS, X, ROOT, WEIGHT), 1)


def test_jacobians_in_the_coordinates_of_the_root():
    found = np.asarray(pull(net, PARAMS, X, ROOT))
    np.testing.assert_allclose(
        np.einsum("n,ngrp,ngrq->gpq", WEIGHT, found, found),
        dense(net, PARAMS, X, ROOT, WEIGHT),
        rtol=1e-10,
    )


@pytest.mark.parametrize("structure", [FullCurvature(), DiagonalCurvature()])
def test_entries_are_those_of_the_dense_matrix(structure):
    kept = ready(structure)
    expected = MATRIX + np.diag(TAU)
    if isinstance(structure, DiagonalCurvature):
        expected = np.diag(np.diag(expected))
    covariance = structure.covariance(kept, FACTOR, TAU)
    np.testing.assert_allclose(covariance.dense() @ expected, np.eye(TAU.size), atol=1e-9)
    np.testing.assert_allclose(structure.diagonal(kept, FACTOR), np.diag(MATRIX), rtol=1e-10)
    found = structure.log_det(kept, FACTOR, TAU)
    np.testing.assert_allclose(found, np.linalg.slogdet(expected)[1], rtol=1e-12)
    np.testing.assert_allclose(covariance.log_det(), -found, rtol=1e-12)


@pytest.mark.parametrize("tau", [TAU, np.diag(TAU) + 0.01], ids=["diagonal", "correlated"])
def test_the_slope_of_the_log_determinant_is_the_covariance(tau):
    """d log det P = trace(P^-1 dP), forwards and backwards, for whatever moves."""
    kept = ready(FullCurvature())
    covariance = np.linalg.inv(MATRIX + (np.diag(tau) if tau.ndim == 1 else tau))
    expected = (
        np.einsum("g,pq->gpq", FACTOR, covariance),
        np.einsum("pq,gpq->g", covariance, kept),
        np.diag(covariance) if tau.ndim == 1 else covariance,
    )
    log_det = FullCurvature().log_det
    together = jax.grad(log_det, argnums=(0, 1, 2))(kept, FACTOR, tau)
    for place, slope in enumerate(expected):
        alone = jax.grad(log_det, argnums=place)(kept, FACTOR, tau)
        forwards = jax.jacfwd(log_det, argnums=place)(kept, FACTOR, tau)
        for found in (together[place], alone, forwards):
            np.testing.assert_allclose(found, slope, rtol=1e-9, atol=1e-12)


def last(params, x):
    return 2 * jnp.tanh(x @ X.T @ X) @ params["w"] + params["b"][None]


def last_outputs_first(params, x):
    return last({"b": params["b"], "w": params["w"].T}, x)


@pytest.mark.parametrize(
    ("f", "shape"), [(last, (D, K)), (last_outputs_first, (K, D))], ids=["inputs first", "outputs"]
)
def test_a_function_of_one_product_needs_no_jacobian(monkeypatch, f, shape):
    params = {"b": np.ones(K), "w": np.ones(shape)}
    expected = dense(f, params, X, ROOT, WEIGHT)
    monkeypatch.setattr(dense_structures, "pull", None)
    for budget in (2**25, 4 * (D + 1 + 2 * K**2) * 8):
        monkeypatch.setattr(curvature, "TILE_BYTES", budget)
        found = ready(FullCurvature(), f, params)
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_weights_that_are_never_used_keep_their_prior():
    def f(params, x):
        return x @ params["w"][:D] + params["b"][None]

    params = {"b": np.ones(K), "w": np.ones((D + 2, K))}
    tau = np.full(12, 2.0)
    kept = ready(KRONECKER, f, params)
    covariance = KRONECKER.covariance(kept, FACTOR, tau)
    np.testing.assert_allclose(covariance.variance()[-2 * K :], 0.5)
    assert np.all(np.asarray(covariance.variance())[: -2 * K] < 0.5)
    np.testing.assert_allclose(KRONECKER.log_det(kept, FACTOR, tau), -covariance.log_det())
    assert covariance.outputs(f, params, X)[1].shape == (N, K, K)


def kronecker_by_hand(kept, tau):
    """Return the precision that the blocks stand for, (p, p)."""
    places = np.asarray(kept.places)
    precision = np.zeros((tau.size, tau.size))
    precision[places, places] = FACTOR @ np.asarray(kept.rest)
    for block in kept.blocks:
        at = np.asarray(block.entries).ravel()
        precision[np.ix_(at, at)] = np.kron(block.a, np.tensordot(FACTOR, block.b, 1))
    return precision + np.diag(tau)


def test_a_kronecker_covariance_is_the_inverse_of_its_precision_in_every_operation():
    kept = ready(KRONECKER)
    expected = kronecker_by_hand(kept, TAU)
    covariance = KRONECKER.covariance(kept, FACTOR, TAU)
    inverse = np.linalg.inv(expected)
    np.testing.assert_allclose(covariance.dense(), inverse, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(covariance.variance(), np.diag(inverse), rtol=1e-9)
    np.testing.assert_allclose(covariance.log_det(), np.linalg.slogdet(inverse)[1], rtol=1e-10)
    root = np.asarray(jax.vmap(covariance.sqrt, out_axes=1)(np.eye(TAU.size)))
    np.testing.assert_allclose(root @ root.T, inverse, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(KRONECKER.diagonal(kept, FACTOR), np.diag(expected) - TAU)


@pytest.mark.slow
def test_a_kronecker_log_determinant_moves_with_factors_and_precisions_of_kernel_and_bias():
    kept = ready(KRONECKER)

    def by_hand(factor, tau):
        blocks = [
            jnp.kron(b.a, jnp.tensordot(factor, b.b, 1)) + jnp.diag(tau[b.entries].ravel())
            for b in kept.blocks
        ]
        rest = jnp.sum(jnp.log(factor @ kept.rest + tau[kept.places]))
        return sum((jnp.linalg.slogdet(block)[1] for block in blocks), rest)

    for factor, tau in ((FACTOR, TAU), (FACTOR[::-1], 5 * TAU**2)):
        found = jax.value_and_grad(KRONECKER.log_det, (1, 2))(kept, factor, tau)
        wanted = jax.value_and_grad(by_hand, (0, 1))(factor, tau)
        assert np.allclose(found[0], wanted[0], rtol=1e-11)
        # A kernel's precision is one number: its gradient is that of all its entries together.
        assert np.allclose(found[1][0], wanted[1][0], rtol=1e-8)
        assert np.allclose(found[1][1].sum(), wanted[1][1].sum(), rtol=1e-8)


def test_one_group_needs_no_other_eigenvalues():
    kept = ready(KRONECKER, root=ROOT[:, :, :1])
    one = np.array([0.8])
    covariance = KRONECKER.covariance(kept, one, TAU)
    np.testing.assert_allclose(KRONECKER.log_det(kept, one, TAU), -covariance.log_det(), rtol=1e-10)


@pytest.mark.slow
def test_a_sketch_as_wide_as_the_rank_is_exact_in_every_operation():
    structure = LowRankCurvature(rank=N * K)
    kept = ready(structure)
    expected = MATRIX + np.diag(TAU)
    covariance = structure.covariance(kept, FACTOR, TAU)
    inverse = np.linalg.inv(expected)
    np.testing.assert_allclose(covariance.dense(), inverse, atol=1e-9)
    np.testing.assert_allclose(covariance.variance(), np.diag(inverse), rtol=1e-8)
    np.testing.assert_allclose(covariance.log_det(), np.linalg.slogdet(inverse)[1], rtol=1e-9)
    root = np.asarray(jax.vmap(covariance.sqrt, out_axes=1)(np.eye(TAU.size)))
    np.testing.assert_allclose(root @ root.T, inverse, atol=1e-9)
    np.testing.assert_allclose(structure.diagonal(kept, FACTOR), np.diag(MATRIX), rtol=1e-8)

    def by_hand(factor, tau):
        matrix = jnp.tensordot(factor, dense(net, PARAMS, X, ROOT, WEIGHT), 1) + jnp.diag(tau)
        return jnp.linalg.slogdet(matrix)[1]

    found = jax.value_and_grad(structure.log_det, (1, 2))(kept, FACTOR, TAU)
    wanted = jax.value_and_grad(by_hand, (0, 1))(FACTOR, TAU)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-7), found, wanted)


def test_a_narrow_sketch_keeps_most_of_the_matrix_and_never_more():
    values = np.concatenate([[400, 90, 30.0], np.full(9, 0.01)])
    vectors = np.linalg.qr(RNG.normal(size=(12, 12)))[0]
    rows = np.sqrt(values)[:, None] * vectors.T
    weight, unit = np.ones(12), np.ones((12, 1, 1, 1))
    expected = rows.T @ rows

    def linear(params, x):
        return (x @ params)[:, None]

    structure = LowRankCurvature(rank=5)
    kept = ready(structure, linear, np.zeros(12), rows, unit, weight)
    found = np.asarray(kept.root(np.ones(1)))
    left = expected - found @ found.T
    assert np.linalg.eigvalsh(left).min() > -1e-9
    assert np.trace(left) < 12 * 0.01 * 2


@pytest.mark.slow
@pytest.mark.parametrize("structure", [FullCurvature(), LowRankCurvature(5), KRONECKER])
def test_batches_add_up(monkeypatch, structure):
    whole = structure.sums(net, PARAMS, X, ROOT, WEIGHT)
    parts = [structure.sums(net, PARAMS, X[r], ROOT[r], WEIGHT[r]) for r in (slice(4), slice(4, 9))]
    monkeypatch.setattr(curvature, "TILE_BYTES", 8 * 30 * 2 * 2)
    for other in (jax.tree.map(jnp.add, *parts), structure.sums(net, PARAMS, X, ROOT, WEIGHT)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10), other, whole)


def test_outputs_need_no_jacobian_of_the_weights():
    covariance = KRONECKER.covariance(ready(KRONECKER), FACTOR, TAU)
    f, found = covariance.outputs(net, PARAMS, X)
    np.testing.assert_allclose(f, net(PARAMS, X), rtol=1e-12)
    vector, unravel = trees.ravel(PARAMS)
    jacobian = np.asarray(jax.jacfwd(lambda v: net(unravel(v), X))(vector))
    expected = jacobian @ np.asarray(covariance.dense()) @ np.swapaxes(jacobian, 1, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def convolved(params, x):
    y = jax.lax.conv_general_dilated(
        x[:, None, :], params["kernel"], (1,), "SAME", dimension_numbers=("NCH", "OIH", "NCH")
    )
    return jnp.tanh(y + params["bias"][None, :, None]).sum(-1)


@pytest.mark.parametrize("sharing", ["expand", pytest.param("reduce", marks=pytest.mark.slow)])
def test_outputs_of_a_network_that_shares_its_weights(sharing):
    params = {"bias": RNG.normal(size=K), "kernel": RNG.normal(size=(K, 1, 3))}
    structure = KroneckerCurvature(sharing)
    tau = np.full(8, 0.5)
    x = X.repeat(2, 1)
    kept = ready(structure, convolved, params, x)
    covariance = structure.covariance(kept, FACTOR, tau)
    vector, unravel = trees.ravel(params)
    jacobian = np.asarray(jax.jacfwd(lambda v: convolved(unravel(v), x))(vector))
    expected = jacobian @ np.asarray(covariance.dense()) @ np.swapaxes(jacobian, 1, 2)
    np.testing.assert_allclose(covariance.outputs(convolved, params, x)[1], expected, rtol=1e-8)


def test_an_unknown_way_of_sharing_is_refused():
    with pytest.raises(ValueError, match="sharing must be 'expand' or 'reduce'; got 'split'"):
        KroneckerCurvature("split")


@pytest.mark.slow
def test_fewer_rows_go_through_at_a_time_where_positions_are_many(monkeypatch):
    params = {"bias": RNG.normal(size=K), "kernel": RNG.normal(size=(K, 1, 3))}
    x = X.repeat(2, 1)
    covariance = KRONECKER.covariance(
        ready(KRONECKER, convolved, params, x), FACTOR, np.full(8, 0.5)
    )
    before = np.asarray(covariance.outputs(convolved, params, x)[1])
    taken = []

    def at_once(numbers, dtype):
        taken.append(numbers)
        return 2

    monkeypatch.setattr(kronecker_covariances, "rows_at_once", at_once)
    np.testing.assert_allclose(covariance.outputs(convolved, params, x)[1], before, rtol=1e-12)
    positions, inputs = x.shape[1], 3
    assert taken == [K + positions * (inputs + K * K) + K * inputs * K]
