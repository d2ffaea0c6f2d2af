"""Random networks of layers that the walk may stumble over, by dense and naive oracles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.numerics.test_kronecker import gauss_newton
from tests.numerics.test_noise import covariance, furthest, mean_of, naive, sample

from posterium.numerics import gradients, kronecker, layers, trees

ROWS, PLACES, WIDTH = 2, 3, 2
SQUARE = (WIDTH, WIDTH)
EXACT = 1e-10
SEEDS = range(25)
FURTHEST = 4.5
"""Standard errors; more than for one network, since the largest of many is looked at."""


@pytest.fixture(autouse=True)
def broadcasting():
    with jax.numpy_rank_promotion("allow"):
        yield


def transposed(p, h):
    """Widen by a transposed convolution with a stride, flipped, and cut back."""
    wide = jax.lax.conv_transpose(h, p["k"], (2,), "SAME", dimension_numbers=("NHC", "HIO", "NHC"))
    return jnp.tanh(wide[:, ::-1][:, 1 : 1 + h.shape[1]] + p["b"])


def grouped(p, h):
    return jax.lax.conv_general_dilated(
        h, p["k"], (1,), "SAME", dimension_numbers=("NHC", "HIO", "NHC"), feature_group_count=WIDTH
    )


def scanned(p, h):
    def step(state, x):
        state = jnp.tanh(x @ p["in"] + state @ p["loop"] + p["b"])
        return state, state

    out = jax.lax.scan(step, jnp.zeros_like(h[:, 0]), jnp.swapaxes(h, 0, 1))[1]
    return jnp.swapaxes(out, 0, 1)


def stopped(p, h):
    """Let no gradient through a gate, nor to one of two weights."""
    gate = jax.nn.sigmoid(jax.lax.stop_gradient(h @ p["gate"]))
    return gate * (h @ p["w"]) + h @ jax.lax.stop_gradient(p["still"])


def normed(p, h):
    return jax.nn.standardize(h, axis=-1, epsilon=0.1) * p["scale"] + p["shift"]


def mixed(p, h):
    """Mix places, then channels, as MLP-mixers do."""
    h = h + jnp.swapaxes(jnp.swapaxes(h, 1, 2) @ p["places"], 1, 2)
    return h + jnp.tanh(h @ p["channels"] + p["b"])


def attended(p, h):
    query, keys, values = (h @ p[name] for name in ("query", "keys", "values"))
    weight = jax.nn.softmax(query @ jnp.swapaxes(keys, 1, 2))
    return h + weight @ values + p["place"]


def pointwise(p, h):
    """Apply one layer to every place by `vmap`, recomputed in the backward pass."""

    @jax.checkpoint
    def layer(row):
        return jax.nn.softplus(p["w"] @ row + p["b"])

    return jax.vmap(jax.vmap(layer))(h)


def tied(p, h):
    return jnp.tanh(h @ p["w"]) @ p["w"].T * p["scale"]


def looked_up(p, h):
    """Look rows of a table up by the sign of a channel: the same token in several places."""
    return h + p["table"][(h[..., 0] > 0).astype(int)]


BLOCKS = {
    transposed: {"k": (3, *SQUARE), "b": (WIDTH,)},
    grouped: {"k": (2, 1, WIDTH)},
    scanned: {"in": SQUARE, "loop": SQUARE, "b": (WIDTH,)},
    stopped: {"gate": SQUARE, "w": SQUARE, "still": SQUARE},
    normed: {"scale": (WIDTH,), "shift": (WIDTH,)},
    mixed: {"places": (PLACES, PLACES), "channels": SQUARE, "b": (WIDTH,)},
    attended: {"query": SQUARE, "keys": SQUARE, "values": SQUARE, "place": (PLACES, WIDTH)},
    pointwise: {"w": SQUARE, "b": (WIDTH,)},
    tied: {"w": SQUARE, "scale": (WIDTH,)},
    looked_up: {"table": SQUARE},
}


def network(seed):
    """Return a function, inputs, means and sds of a network of three random blocks."""
    rng = np.random.default_rng(seed)
    # A seed begins with the block of its number, so that all come by.
    first, rest = list(BLOCKS)[seed % len(BLOCKS)], rng.permutation(list(BLOCKS))[:2]
    blocks = [first, *rest]
    pooled, bias = rng.random(2) < 0.5
    shapes = {f"{i}/{name}": s for i, b in enumerate(blocks) for name, s in BLOCKS[b].items()}
    shapes["out"] = (WIDTH if pooled else PLACES * WIDTH, 2)
    shapes |= {"last": (2,)} if bias else {}

    def f(params, x):
        for i, block in enumerate(blocks):
            names = BLOCKS[block]
            x = block({name: params[f"{i}/{name}"] for name in names}, x)
        x = x.mean(1) if pooled else x.reshape(x.shape[0], -1)
        out = x @ params["out"]
        return out + params["last"] if bias else out

    mean = {name: jnp.asarray(rng.normal(size=shape) * 0.7) for name, shape in shapes.items()}
    sd = {name: jnp.asarray(rng.uniform(0.1, 0.4, shape)) for name, shape in shapes.items()}
    x = jnp.asarray(rng.normal(size=(ROWS, PLACES, WIDTH)))
    return f, x, mean, sd


def seeds(*quick):
    marks = {seed: [] if seed in quick else [pytest.mark.slow] for seed in SEEDS}
    return pytest.mark.parametrize("seed", [pytest.param(s, marks=m) for s, m in marks.items()])


@seeds(2)
def test_a_row_has_the_law_of_naive_sampling(seed):
    f, x, mean, sd = network(seed)
    expected = naive(f, x, mean, sd)
    for mode in ("local", "flipout"):
        found, _ = sample(f, x, mean, sd, mode)
        for row in range(ROWS):
            one, other = found[:, row], expected[:, row]
            assert furthest(mean_of(one), mean_of(other)) < FURTHEST
            assert furthest(covariance(one, one), covariance(other, other)) < FURTHEST


@seeds(2)
def test_gradients_norms_curvature_and_the_last_layer_are_those_of_dense_derivatives(seed):
    with jax.enable_x64(True):
        f, x, params, _ = network(seed)
        root = np.random.default_rng(seed).normal(size=(ROWS, 2, 2))

        def loss(params, x):
            return jnp.sum((f(params, x) - 1) ** 2, axis=1)

        slope = jax.jit(jax.grad(lambda params, x: loss(params, x)[0]))
        found = jax.jit(lambda x: gradients.per_row(loss, params, x))(x)
        norms = jax.jit(lambda x: gradients.squared_norms(loss, params, x))(x)
        for i in range(ROWS):
            vector = trees.vector(slope(params, x[i : i + 1]))
            apart = np.abs(trees.vector(trees.index(found, i)) - vector).max()
            assert apart < EXACT * np.abs(vector).max()
            np.testing.assert_allclose(norms[i], vector @ vector, rtol=EXACT)
        check_curvature(f, params, x, root)
        check_last_layer(f, params, x)


def check_curvature(f, params, x, root):
    """Compare the diagonal with the dense one, and blocks of one row without shared places."""
    where = kronecker.layout(f, params, x)
    seen = np.concatenate([*(e.ravel() for e in where.entries), where.rest])
    assert np.unique(seen).size == seen.size
    found = jax.jit(lambda x: kronecker.factors(f, params, x, root))(x)
    full = gauss_newton(f, params, x, root)
    size = np.abs(full).max()
    assert np.abs(np.diag(full)[where.rest] - found.diagonal).max(initial=0) < EXACT * size
    unseen = np.setdiff1d(np.arange(len(full)), seen)
    assert not full[unseen].any()
    alone = jax.jit(lambda x: kronecker.factors(f, params, x, root[:1]))(x[:1])
    full = gauss_newton(f, params, x[:1], root[:1])
    for entries, block in zip(where.entries, alone.blocks, strict=True):
        if block.count == 1:
            dense = full[np.ix_(entries.ravel(), entries.ravel())]
            assert np.abs(dense - block.dense()).max() < EXACT * size


def check_last_layer(f, params, x):
    """Move the last layer to and fro along a line: the outputs are affine in it."""
    paths = layers.last_layer(f, params, x)
    assert "out" in paths

    @jax.jit
    def at(t):
        moved = {path: params[path] + t * (1 + params[path]) for path in paths}
        return f(params | moved, x)

    assert np.abs(at(1.0) - 2 * at(0.0) + at(-1.0)).max() < EXACT
