"""Kronecker factors against dense Gauss-Newton blocks: equal where they should be, no more."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.numerics import nets

from posterium.numerics import curvature, kronecker, taps, trees

ROOT = np.array([[0.9, 0.2], [0.1, 0.7]])
EXACT = 1e-10


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
        yield


def gauss_newton(f, params, x, root, weight=None):
    """Return the dense matrix, (p, p)."""
    vector, unravel = trees.ravel(params)

    def one(x):
        return jax.jacrev(lambda v: f(unravel(v), x[None])[0])(vector)

    weight = np.ones(len(x)) if weight is None else weight
    jacobian = jax.jit(jax.vmap(one))(x)
    return np.einsum("n,nkp,nkr,nlr,nlq->pq", weight, jacobian, root, root, jacobian)


def compare(f, x, root=None, weight=None, sharing="expand", **shapes):
    """Return the largest errors of the blocks and of the diagonal, against the largest entry."""
    params, _ = nets.weights(0, **shapes)
    outputs = f(params, x).shape[1]
    if root is None:
        root = nets.inputs(9, len(x), outputs, outputs)
    root = jnp.broadcast_to(root, (len(x), *root.shape[-2:]))
    full = gauss_newton(f, params, x, root, weight)
    where = kronecker.layout(f, params, x)
    found = jax.jit(lambda x: kronecker.factors(f, params, x, root, weight, sharing=sharing))(x)
    blocks = [
        np.abs(full[np.ix_(e.ravel(), e.ravel())] - block.dense()).max()
        for e, block in zip(where.entries, found.blocks, strict=True)
    ]
    diagonal = np.abs(np.diag(full)[where.rest] - found.diagonal).max(initial=0)
    seen = np.concatenate([*(e.ravel() for e in where.entries), where.rest])
    assert sorted(seen) == list(range(len(full)))
    return np.array(blocks) / np.abs(full).max(), diagonal / np.abs(full).max()


DENSE = dict(w1=(3, 4), b1=(4,), scale=(4,), w2=(4, 2), b2=(2,))


def affine(params, x):
    return x @ params["w"] + params["b"]


def deep_linear(params, x):
    return (params["v"] @ (x @ params["w"] + params["b"]).T).T + params["c"]


def linear_conv(params, x):
    """A convolution with odd axes, its bias, the mean over positions and a dense layer."""
    maps = jax.lax.conv_general_dilated(
        x,
        params["kernel"],
        (2, 1),
        [(1, 0), (0, 1)],
        rhs_dilation=(1, 2),
        dimension_numbers=("NHWC", "OWHI", "HNCW"),
    )
    return jnp.mean(jnp.transpose(maps, (1, 0, 3, 2)) + params["b"], (1, 2)) @ params["w"]


def sequence(params, x):
    """Two linear layers at each position, by `vmap`, and the outputs of all positions."""
    layers = jax.vmap(lambda h: params["v"] @ (params["w"] @ h + params["b"]) + params["c"])
    return layers(x.reshape(-1, 3)).reshape(len(x), -1)


def test_blocks_are_exact_for_one_row():
    blocks, diagonal = compare(nets.dense, nets.inputs(1, 1, 3), **DENSE)
    assert len(blocks) == 2
    assert blocks.max() < EXACT
    assert diagonal < EXACT


def test_blocks_are_not_exact_for_two_rows_of_a_network_that_is_not_linear():
    blocks, diagonal = compare(nets.dense, nets.inputs(1, 2, 3), root=ROOT, **DENSE)
    assert blocks.max() > 1e-3
    assert diagonal < EXACT


@pytest.mark.parametrize(
    ("f", "shapes"),
    [
        (affine, {"w": (3, 2), "b": (2,)}),
        (deep_linear, {"w": (3, 4), "b": (4,), "v": (2, 4), "c": (2,)}),
    ],
)
@pytest.mark.parametrize("weight", [None, np.array([1.0, 0.0, 2.5, 0.3, 1.0])])
def test_blocks_are_exact_for_linear_networks_under_constant_curvature(f, shapes, weight):
    blocks, _ = compare(f, nets.inputs(1, 5, 3), root=ROOT, weight=weight, **shapes)
    assert blocks.max() < EXACT


def test_reduce_is_exact_where_positions_are_averaged_and_expand_is_not():
    x, shapes = nets.inputs(2, 3, 5, 6, 2), {"kernel": (3, 2, 3, 2), "b": (3,), "w": (3, 2)}
    assert compare(linear_conv, x, root=ROOT, sharing="reduce", **shapes)[0].max() < EXACT
    assert compare(linear_conv, x, root=ROOT, sharing="expand", **shapes)[0].max() > 1e-2


def test_expand_is_exact_where_each_position_has_outputs_of_its_own_and_reduce_is_not():
    x, shapes = nets.inputs(3, 4, 2, 3), {"w": (3, 3), "b": (3,), "v": (2, 3), "c": (2,)}
    root = np.kron(np.eye(2), ROOT)
    assert compare(sequence, x, root=root, **shapes)[0].max() < EXACT
    assert compare(sequence, x, root=root, sharing="reduce", **shapes)[0].max() > 1e-2


@pytest.mark.parametrize(
    ("f", "x", "shapes", "plain"),
    [
        (nets.tied, (2, 3), {"w": (3, 2), "b": (3,)}, {"w", "b"}),
        (nets.recurrent, (2, 3, 2), {"in": (2, 3), "loop": (3, 3), "out": (3, 2)}, {"in", "loop"}),
        (
            nets.conv,
            (2, 4, 5, 2),
            {"k1": (2, 2, 2, 2), "b1": (2,), "k2": (1, 3, 1, 4), "w": (24, 2)},
            {"k2"},
        ),
    ],
)
def test_weights_in_no_product_of_their_own_have_the_exact_diagonal(f, x, shapes, plain):
    x = nets.inputs(4, *x)
    assert compare(f, x, **shapes)[1] < EXACT
    entries = kronecker.layout(f, nets.weights(0, **shapes)[0], x).coverage.entries
    assert {path for path, treatment, _ in entries if treatment == "plain"} == plain


def test_a_matrix_a_head_is_no_single_product():
    x = nets.inputs(7, 2, 2, 2, 2)
    assert compare(nets.heads, x, w=(2, 2, 2))[1] < EXACT
    coverage = kronecker.layout(nets.heads, {"w": jnp.ones((2, 2, 2))}, x).coverage
    assert coverage.entries == (("w", "plain", "is several products at once"),)


def test_factors_of_batches_and_of_tiles_add_up(monkeypatch):
    params, _ = nets.weights(0, **DENSE)
    x, root = nets.inputs(1, 4, 3), nets.inputs(9, 4, 2, 2)

    def part(rows):
        one = jax.jit(lambda x, root: kronecker.factors(nets.dense, params, x, root))
        return one(x[rows], root[rows])

    whole = part(slice(None))
    summed = jax.tree.map(jnp.add, part(slice(0, 2)), part(slice(2, 4)))
    tapped = taps.tap(nets.dense, params, x)
    monkeypatch.setattr(curvature, "TILE_BYTES", 3 * kronecker.row_bytes(tapped, root))
    for found in (summed, part(slice(None))):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), whole, found)


def test_a_bias_counts_only_if_nothing_else_reads_the_product():
    def twice(params, x):
        z = x @ params["w"]
        return z * (z + params["b"])

    params, _ = nets.weights(0, w=(3, 2), b=(2,))
    coverage = kronecker.layout(twice, params, nets.inputs(1, 2, 3)).coverage
    assert coverage.treatment("b") == "plain"
    assert max(*compare(twice, nets.inputs(1, 1, 3), w=(3, 2), b=(2,))) < EXACT


def test_what_differs_between_positions_is_no_bias():
    def positional(params, x):
        return jnp.tanh(x @ params["w"] + params["b"]).sum(1)

    params, _ = nets.weights(0, w=(3, 2), b=(4, 2))
    coverage = kronecker.layout(positional, params, nets.inputs(1, 2, 4, 3)).coverage
    assert coverage.entries[0] == ("b", "plain", "is no entry a column of a product")


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (lambda p, x: x @ p["w"] + p["b"][:1], "is no entry a column of a product"),
        (lambda p, x: (x @ p["w"])[:, :1] + p["b"][:1], "is added to a part of a product"),
        (lambda p, x: jnp.tile(x @ p["w"], 2) + jnp.tile(p["b"], 2), "a part of a product"),
        (lambda p, x: x @ p["w"] - p["b"], "enters sub"),
        (lambda p, x: x @ p["w"] + jnp.exp(p["b"]), "enters exp"),
    ],
)
def test_what_is_added_otherwise_is_no_bias_and_has_the_exact_diagonal(f, reason):
    params, _ = nets.weights(0, w=(3, 2), b=(2,))
    _, treatment, why = kronecker.layout(f, params, nets.inputs(1, 2, 3)).coverage.entries[0]
    assert treatment == "plain"
    assert reason in why
    assert max(compare(f, nets.inputs(1, 1, 3), w=(3, 2), b=(2,))[1:]) < EXACT


def test_a_bias_may_be_a_part_of_an_array():
    def f(params, x):
        return x @ params["w"] + params["b"][2:0:-1]

    params, _ = nets.weights(0, w=(3, 2), b=(4,))
    where = kronecker.layout(f, params, nets.inputs(1, 1, 3))
    assert where.coverage.treatment("b") == "bias"
    np.testing.assert_array_equal(where.entries[0][-1], [2, 1])
    root = nets.inputs(9, 1, 2, 2)
    full = gauss_newton(f, params, nets.inputs(1, 1, 3), root)
    (block,) = kronecker.factors(f, params, nets.inputs(1, 1, 3), root).blocks
    entries = where.entries[0].ravel()
    assert np.abs(full[np.ix_(entries, entries)] - block.dense()).max() < EXACT
    assert not full[[0, 3]].any()


def test_several_outputs_and_unknown_ways_are_refused():
    params, x = {"w": jnp.ones((3, 2))}, jnp.ones((2, 3))
    with pytest.raises(ValueError, match="must return one array; it returned 2"):
        kronecker.layout(lambda p, x: (x @ p["w"], x), params, x)
    with pytest.raises(ValueError, match="expand, reduce; got 'sum'"):
        kronecker.factors(lambda p, x: x @ p["w"], params, x, jnp.ones((2, 2, 2)), sharing="sum")
