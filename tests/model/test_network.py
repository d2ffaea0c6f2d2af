"""The built-in network: its two layouts are one function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.numerics import nets

from posterium._struct import replace
from posterium.model.network import MANY, MLP, NARROW


@pytest.mark.parametrize(
    "options",
    [{}, {"bias": False, "activation": "tanh"}, {"residual": True, "layer_norm": True}],
)
def test_rows_come_out_the_same_with_features_first(options):
    network = MLP(outputs=2, hidden=(5, 5), **options)
    x = jnp.asarray(nets.inputs(1, 2 * (MANY - 1), 3))
    weights = network.init(jax.random.key(0), x)
    weights = replace(weights, params=jax.tree.map(lambda leaf: leaf + 0.1, weights.params))

    def total(params, x):
        f = network.apply(replace(weights, params=params), x)[0]
        return jnp.sum(jnp.sin(f)), f

    def of(x):
        return jax.grad(total, has_aux=True)(weights.params, x)

    slope, f = jax.jit(of)(x)
    parts = [jax.jit(of)(part) for part in jnp.split(x, 2)]
    np.testing.assert_allclose(f, np.concatenate([part for _, part in parts]), atol=1e-5)
    expected = jax.tree.map(jnp.add, *(slope for slope, _ in parts))
    for one, other in zip(jax.tree.leaves(slope), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("hidden", "rows", "turned"),
    [((NARROW,), MANY, True), ((NARROW,), MANY - 1, False), ((NARROW + 1,), MANY, False)],
)
def test_features_come_first_where_layers_are_narrow_and_rows_many(hidden, rows, turned):
    network, x = MLP(hidden=hidden), jnp.ones((rows, 3))
    weights = network.init(jax.random.key(0), x)
    jaxpr = jax.make_jaxpr(lambda x: network.apply(weights, x)[0])(x).jaxpr
    first = next(eqn for eqn in jaxpr.eqns if eqn.primitive.name == "dot_general")
    assert first.outvars[0].aval.shape == ((*hidden, rows) if turned else (rows, *hidden))
