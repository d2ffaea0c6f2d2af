"""Which weights are the last layer, on networks where it is not told by names."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.numerics import nets

from posterium.numerics import layers, trees

PARAMS, _ = nets.weights(0, first=(3, 3), last=(3, 3), b=(3,), scale=(3,))
X = nets.inputs(1, 4, 3)


def hidden(p, x):
    return jnp.tanh(x @ p["first"])


def split(p, x):
    """Return a mean, and a scale that is positive."""
    out = hidden(p, x) @ p["last"] + p["b"]
    return jnp.concatenate([hidden(p, x), x @ jnp.diag(p["scale"]), jax.nn.softplus(out)], axis=1)


def bent_twice(z):
    return z + jnp.tanh(z)


NETWORKS = {
    "dense": (lambda p, x: hidden(p, x) @ p["last"] + p["b"], {"last", "b"}),
    "moved and scaled": (
        lambda p, x: (2 * (p["last"].T @ hidden(p, x).T) - p["b"][:, None]).T[:, ::-1] / 3,
        {"last", "b"},
    ),
    "jit": (jax.jit(lambda p, x: jax.jit(jnp.dot)(hidden(p, x), p["last"])), {"last"}),
    "remat": (jax.checkpoint(lambda p, x: hidden(p, x) @ p["last"]), {"last"}),
    "pooled": (lambda p, x: (hidden(p, x)[:, None, :] @ p["last"]).mean(1)[:, :1], {"last"}),
    "segments": (
        lambda p, x: jax.ops.segment_sum((hidden(p, x) @ p["last"]).T, np.int32([0, 1, 1]), 2).T,
        {"last"},
    ),
    "segments by weights": (
        lambda p, x: x @ p["last"] + jax.ops.segment_sum(x.T, (2 * p["b"]).astype(jnp.int32), 3).T,
        {"last"},
    ),
    "skip": (lambda p, x: hidden(p, x) @ p["last"] + x * p["scale"], {"last", "scale"}),
    "residual, once": (lambda p, x: bent_twice(x @ p["first"]) + x @ p["last"], {"last"}),
    "residual": (lambda p, x: x @ p["first"] + hidden(p, x) @ p["last"], {"last"}),
    "same twice": (lambda p, x: x @ p["first"] + jnp.tanh(x @ p["last"]), {"first"}),
    "deep linear": (lambda p, x: x @ p["first"] @ p["last"], {"last"}),
    "scaled at the end": (lambda p, x: hidden(p, x) @ p["last"] * p["scale"], {"scale"}),
    "divided by a weight": (lambda p, x: x @ p["last"] / p["scale"], {"last"}),
    "bent": (lambda p, x: jnp.exp(hidden(p, x) @ p["last"]), set()),
    "looked up": (lambda p, x: p["last"][(x[:, 0] > 0).astype(int)] + p["b"], {"last", "b"}),
    "heads": (split, set()),
    "gated": (
        lambda p, x: (x @ p["last"]) * jax.nn.sigmoid(x @ p["first"]),
        {"last"},
    ),
    "gated by a residual": (
        lambda p, x: bent_twice(x @ p["first"]) * (x @ p["last"]),
        {"last"},
    ),
    "bilinear": (lambda p, x: (x @ p["last"]) * (x @ p["first"]), set()),
}


@pytest.fixture(autouse=True)
def broadcasting():
    with jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.parametrize("name", NETWORKS)
def test_the_last_layer_is_what_the_outputs_are_affine_in(name):
    f, expected = NETWORKS[name]
    assert set(layers.last_layer(f, PARAMS, X)) == expected
    if expected:
        bend = second_difference(f, expected)
        assert bend < 1e-5


def test_what_bends_one_of_several_outputs_is_not_the_last_layer():
    def f(p, x):
        z = x @ p["first"]
        return z, jnp.tanh(z) @ p["last"]

    assert layers.last_layer(f, PARAMS, X) == ("last",)


def test_rounding_to_integers_bends():
    def f(p, x):
        return (x @ p["first"]).astype(jnp.int32)

    assert layers.last_layer(f, PARAMS, X) == ()


def second_difference(f, paths):
    """Return how far f is from affine along a direction of the weights at some paths."""

    def at(t):
        moved = {path: PARAMS[path] * (1 + t) + t for path in paths}
        return f(trees.overlay(PARAMS, moved), X)

    return np.abs(at(1.0) - 2 * at(0.0) + at(-1.0)).max()


def test_a_weight_that_is_not_affine_is_seen_to_bend():
    assert second_difference(NETWORKS["dense"][0], {"first"}) > 1e-2
    assert second_difference(NETWORKS["deep linear"][0], {"first", "last"}) > 1e-2


def test_the_last_layer_of_the_librarys_networks_is_the_one_they_name():
    """The walk needs no names: here they are the check."""
    shapes = {"a/kernel": (3, 4), "a/bias": (4,), "z/kernel": (4, 2), "z/bias": (2,)}
    params, _ = nets.weights(0, **shapes)

    def f(p, x):
        return jax.nn.gelu(x @ p["a/kernel"] + p["a/bias"]) @ p["z/kernel"] + p["z/bias"]

    assert layers.last_layer(f, params, X) == ("z/bias", "z/kernel")
