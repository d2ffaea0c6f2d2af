"""Gradients of each row of a batch, and their norms without forming most of them.

Both take the inputs and gradients of each product from one walk, as `taps` has them: the gradient
of a weight is their outer product, summed over positions. That of a convolution is then a matrix
product of patches, where `vmap` of a derivative makes one of as many groups as there are rows.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from posterium.numerics.taps import tap

Loss = Callable[[Any, Any], jax.Array]


def per_row(loss: Loss, params: Any, x: Any) -> Any:
    """Return the gradient of each row's loss: the tree of the parameters, with leading axis n.

    Exact for any function: weights in no product are differentiated as they stand.

    Parameters
    ----------
    loss
        `loss(params, x)`, batch in, a number a row (n,) out; it must treat rows alone.
    params
        A pytree of floating-point arrays.
    x
        The batch: an array or a pytree of arrays, such as (inputs, targets), with leading axis n.
    """
    tapped = tap(loss, params, x)

    def one(row: Any) -> list[jax.Array]:
        out, inputs, back = tapped.pull(row)
        return tapped.gradients(inputs, *back(jnp.ones_like(out)))

    return jax.tree.unflatten(jax.tree.structure(params), jax.vmap(one)(x))


def squared_norms(loss: Loss, params: Any, x: Any) -> jax.Array:
    r"""Return the squared norm of each row's gradient, (n,).

    For a product with inputs :math:`a_t` and gradients :math:`g_t` at its outputs it is
    :math:`\sum_{ts} (a_t \cdot a_s)(g_t \cdot g_s)`, which needs no gradient of the weights
    (Goodfellow 2015; Li et al. 2022). That is taken where positions are few; all else is formed.
    Arguments are those of `per_row`.
    """
    tapped = tap(loss, params, x)

    def one(row: Any) -> jax.Array:
        out, inputs, back = tapped.pull(row)
        gradients, rest = back(jnp.ones_like(out))
        pairs = zip(inputs, gradients, strict=True)
        norms = [_product_norm(a, g) for a, g in pairs] + [jnp.sum(leaf**2) for leaf in rest]
        return jnp.sum(jnp.stack(norms)) if norms else jnp.zeros((), out.dtype)

    return jax.vmap(one)(x)


def _product_norm(a: jax.Array, g: jax.Array) -> jax.Array:
    """Return |sum_t a_t g_t^T|^2 by whichever of the two ways takes less memory."""
    if len(a) ** 2 <= a.shape[1] * g.shape[1]:
        return jnp.sum((a @ a.T) * (g @ g.T))
    return jnp.sum((a.T @ g) ** 2)
