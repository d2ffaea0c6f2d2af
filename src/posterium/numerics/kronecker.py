r"""Kronecker factors of the generalised Gauss-Newton matrix, for any function of weights.

For a product z = x W with input a and gradient g at z, the block of W is a sum over rows of
:math:`a a^\top \otimes g g^\top`, which is approximated by the product of the two sums (Martens and
Grosse 2015). A bias is one more row of W, whose input is 1, so that its covariance with W counts.
Where positions of a row share W, there are two ways (Eschenhagen et al. 2023): *expand* takes
each position for a row of its own; *reduce* averages inputs and sums gradients over positions
before all else.

The product is exact for one row without shared positions; where g is the same for all rows, as in
linear networks, or layers, under a likelihood of constant curvature; with *expand*, if then each
position has outputs of its own; with *reduce*, if then the positions are averaged or summed.
A weight that is in no product, or is used more than once, gets the exact diagonal instead.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import struct
from posterium.numerics import curvature
from posterium.numerics.interpret import Coverage
from posterium.numerics.taps import Product, Tapped, tap

SHARING = ("expand", "reduce")


@struct
class Block:
    """The sums of one product of a weight matrix (in, out), its bias as the last row.

    Parameters
    ----------
    a, b
        Sums of a a^T, (in, in), and of g g^T, (out, out).
    count
        Sum of the weights of what was summed over: rows, or all their positions.
    """

    a: jax.Array
    b: jax.Array
    count: jax.Array

    def dense(self) -> jax.Array:
        """Return the block of the matrix's entries, counted row by row."""
        return jnp.kron(self.a, self.b) / self.count


@struct
class Factors:
    """Curvature of all weights: those of two batches are added leaf by leaf.

    Parameters
    ----------
    blocks
        One a product, in the order of `Layout.entries`.
    diagonal
        The diagonal of the matrix for all other weights, in the order of `Layout.rest`.
    """

    blocks: tuple[Block, ...]
    diagonal: jax.Array


@struct
class Layout:
    """Where the weights of each block stand in the vector of all weights, `trees.vector`.

    Weights that are nowhere, such as the rows of a matrix that are cut off before its product,
    have a curvature of 0.

    Parameters
    ----------
    entries
        Of each product (in, out), its bias as the last row.
    rest
        Of the weights that have a diagonal.
    coverage
        Which weight is in a product, and why another is not.
    """

    entries: tuple[np.ndarray, ...]
    rest: np.ndarray
    coverage: Coverage


def layout(f: Callable[[Any, Any], jax.Array], params: Any, x: Any) -> Layout:
    """Return which weights are in which block of `factors`; nothing is computed."""
    found = tap(f, params, x)
    starts = np.cumsum([0, *(leaf.size for leaf in found.leaves)])
    rest = [np.arange(starts[i], starts[i + 1]) for i in found.rest]

    def entries(product: Product) -> np.ndarray:
        matrix = starts[product.weight] + product.entries
        if product.bias is None or product.bias_entries is None:
            return matrix
        return np.concatenate([matrix, starts[product.bias] + product.bias_entries[None]])

    told = tuple(map(entries, found.products))
    return Layout(told, np.concatenate([np.zeros(0, int), *rest]), found.coverage)


def factors(
    f: Callable[[Any, Any], jax.Array],
    params: Any,
    x: Any,
    root: jax.Array,
    weight: jax.Array | None = None,
    *,
    sharing: str = "expand",
) -> Factors:
    """Sum the factors over the rows of a batch, in tiles of bounded memory.

    Parameters
    ----------
    f
        `f(params, x)`, batch in, outputs (n, k) out; it must treat rows alone.
    params, x
        The weights, and a batch with leading axis n (a pytree).
    root
        A square root R (n, k, r) of each row's curvature in the outputs, R R^T.
    weight
        Weights of the rows (n,), 0 for padding; None for ones.
    sharing
        ``"expand"`` or ``"reduce"``, for weights that positions of a row share.
    """
    if sharing not in SHARING:
        raise ValueError(f"sharing must be one of {', '.join(SHARING)}; got {sharing!r}.")
    tapped = tap(f, params, x)
    weight = jnp.ones(root.shape[0], root.dtype) if weight is None else weight

    def tile(part: tuple[Any, jax.Array]) -> Factors:
        (x, root), weight = part
        pulled = jax.vmap(lambda x, root: _row(tapped, x, root, sharing))(x, root)
        return _sums(pulled, weight)

    size = max(1, curvature.TILE_BYTES // row_bytes(tapped, root))
    return curvature.sum_tiles(tile, ((x, root), weight), size)


def _row(tapped: Tapped, x: Any, root: jax.Array, sharing: str) -> tuple[Any, Any, Any]:
    """Return inputs (t, in) and gradients (r, t, out) of each product, and the rest's diagonal."""
    out, inputs, back = tapped.pull(x)
    gradients, rest = jax.vmap(back)(root.T.reshape(-1, *out.shape).astype(out.dtype))
    if sharing == "reduce":
        inputs = [a.mean(0, keepdims=True) for a in inputs]
        gradients = [g.sum(1, keepdims=True) for g in gradients]
    squares = [jnp.sum(leaf**2, 0).ravel() for leaf in rest]
    return inputs, gradients, jnp.concatenate([jnp.zeros(0, root.dtype), *squares])


def _sums(pulled: tuple[Any, Any, Any], weight: jax.Array) -> Factors:
    inputs, gradients, squares = pulled

    def block(a: jax.Array, g: jax.Array) -> Block:
        return Block(
            jnp.einsum("n,nti,ntj->ij", weight, a, a),
            jnp.einsum("n,nrti,nrtj->ij", weight, g, g),
            weight.sum() * a.shape[1],
        )

    blocks = tuple(block(a, g) for a, g in zip(inputs, gradients, strict=True))
    return Factors(blocks, weight @ squares)


def row_bytes(tapped: Tapped, root: jax.Array) -> int:
    """Return what inputs and gradients of one row take."""
    columns = root.shape[-1]
    rest = sum(tapped.leaves[i].size for i in tapped.rest) * columns
    products = sum(p.positions * (len(p.entries) + columns * p.outputs) for p in tapped.products)
    return max(1, (rest + products) * root.dtype.itemsize)
