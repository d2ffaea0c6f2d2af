"""Gradients of rows against a loop of reverse-mode derivatives."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.numerics import nets

from posterium.numerics import gradients

CASES = {
    "dense": (
        nets.dense,
        nets.inputs(1, 3, 3),
        dict(w1=(3, 4), b1=(4,), scale=(4,), w2=(4, 2), b2=(2,)),
    ),
    "conv": (
        nets.conv,
        nets.inputs(2, 3, 4, 5, 2),
        dict(k1=(2, 2, 2, 2), b1=(2,), k2=(1, 3, 1, 4), w=(24, 2)),
    ),
    "tied": (nets.tied, nets.inputs(3, 3, 3), dict(w=(3, 2), b=(3,))),
    "embedding": (
        nets.embedding,
        jnp.array([[0, 1, 0], [2, 1, 3]]),
        dict(table=(4, 8), mix=(8, 3), b=(3,), out=(3, 1)),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_and_norms_equal_those_of_rows_alone(name):
    f, x, shapes = CASES[name]
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
        params, _ = nets.weights(0, **shapes)

        def loss(params, batch):
            return jnp.sum((f(params, batch[0]) - batch[1]) ** 2, axis=1)

        x = jnp.asarray(x)
        batch = x, jnp.asarray(nets.inputs(5, *f(params, x).shape))
        found = jax.jit(lambda batch: gradients.per_row(loss, params, batch))(batch)
        norms = jax.jit(lambda batch: gradients.squared_norms(loss, params, batch))(batch)
        slope = jax.jit(jax.grad(lambda params, row: loss(params, row)[0]))
        for i in range(len(x)):
            row = jax.tree.map(lambda a, i=i: a[i : i + 1], batch)
            one = slope(params, row)
            for path, leaf in one.items():
                np.testing.assert_allclose(found[path][i], leaf, rtol=1e-10, atol=1e-12)
            total = sum(np.sum(leaf**2) for leaf in one.values())
            np.testing.assert_allclose(norms[i], total, rtol=1e-10)


def test_no_convolution_has_a_group_of_channels_a_row():
    """What `vmap` makes of the derivative of a convolution, exact as well, but slow."""
    params, _ = nets.weights(0, k=(2, 2, 2, 2))
    numbers = ("NHWC", "HWIO", "NHWC")

    def loss(params, x):
        maps = jax.lax.conv_general_dilated(
            x, params["k"], (1, 1), "SAME", dimension_numbers=numbers
        )
        return jnp.sum(maps**2, (1, 2, 3))

    def mapped(x):
        return jax.vmap(lambda row: jax.grad(lambda p: loss(p, row[None])[0])(params))(x)

    def groups(gradient):
        text = str(jax.make_jaxpr(gradient)(nets.inputs(1, 7, 3, 3, 2)))
        return max(map(int, re.findall(r"group_count=(\d+)", text)))

    assert groups(lambda x: gradients.per_row(loss, params, x)) == 2
    assert groups(mapped) >= 7


def test_norms_of_a_wide_product_form_no_gradient_of_its_weights():
    params, x = {"w": jnp.ones((64, 32))}, jnp.ones((5, 64))

    def loss(params, x):
        return jnp.sum(x @ params["w"], axis=1)

    text = str(jax.make_jaxpr(lambda x: gradients.squared_norms(loss, params, x))(x))
    assert "5,64]" in text
    assert "5,64,32]" not in text
    assert "5,32,64]" not in text
