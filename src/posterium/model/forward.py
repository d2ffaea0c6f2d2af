"""Forward: a network as a function of its parameters, and whether it has a state that moves."""

from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import replace, struct
from posterium.model.weights import Weights
from posterium.numerics import trees


@struct
class Forward:
    """`f(params, x)`: the outputs (n, k) of a network under given parameters.

    A record, so that what is computed from it may keep it, and be written to a file.

    Parameters
    ----------
    network
        The network.
    rest
        What it needs besides parameters: its weights without them.
    """

    network: Any
    rest: Weights

    def __call__(self, params: Any, x: Any) -> jax.Array:
        return self.network.apply(replace(self.rest, params=params), x)[0]


def forward(network: Any, weights: Weights) -> Forward:
    """Return the function of a network with what some weights hold besides parameters."""
    return Forward(network, replace(weights, params=None))


def moves_state(network: Any, x: Any) -> bool:
    """Say whether a network has running statistics: a state that changes in training."""

    def look(key: jax.Array, x: Any) -> jax.Array:
        weights = trees.cast(network.init(key, x), jnp.result_type(float))
        after = jax.tree.leaves(network.apply(weights, x, train=True)[1])
        pairs = zip(jax.tree.leaves(weights.state), after, strict=False)
        moved.append(any(old is not new for old, new in pairs))
        return key

    moved: list[bool] = []
    jax.eval_shape(look, jax.random.key(0), x)
    return moved[0]
