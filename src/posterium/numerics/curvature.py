"""Sums over rows in tiles, and exact Hessians.

Tiles keep the Jacobians that are held at a time within a budget, however many rows there are.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

TILE_BYTES = 2**25
"""What the Jacobians of one tile of rows may take."""
TANGENTS = 32
"""Columns of a Hessian that are computed at once."""

Parts = Callable[[jax.Array], jax.Array]


def tile_rows(rows: int, outputs: int, weights: int, itemsize: int) -> int:
    """Return how many rows go through at a time, so that their Jacobians fit the budget."""
    return max(1, min(rows, TILE_BYTES // (outputs * weights * itemsize)))


def sum_tiles(function: Callable[[Any], Any], rows: Any, tile: int) -> Any:
    """Sum what a function returns over tiles of rows.

    Parameters
    ----------
    function
        Maps a tile of rows (t, ...) to a pytree of sums over them.
    rows
        A pair: what is repeated in padding (any pytree with leading axis n), and the weights of
        the rows (n,), which are 0 there.
    tile
        Rows a tile.
    """
    values, weight = rows
    n = weight.shape[0]
    if n <= tile:
        return function(rows)
    count = -(-n // tile)
    short = count * tile - n

    def tiled(leaf: jax.Array, mode: str) -> jax.Array:
        padded = jnp.pad(leaf, [(0, short)] + [(0, 0)] * (leaf.ndim - 1), mode=mode)
        return padded.reshape(count, tile, *leaf.shape[1:])

    tiles = jax.tree.map(lambda leaf: tiled(leaf, "edge"), values), tiled(weight, "constant")
    shapes = jax.eval_shape(function, jax.tree.map(lambda leaf: leaf[0], tiles))
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

    def add(total: Any, one: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(one)), None

    return jax.lax.scan(add, zeros, tiles)[0]


def hessian(parts: Parts, vector: jax.Array, *, diagonal: bool) -> jax.Array:
    """Return the Hessians of b sums at a vector (p,): (b, p, p), or their diagonals (b, p).

    Computed column by column, a few at a time: memory is that of the result.
    """
    gradient = jax.jacrev(parts)
    p = vector.size

    def column(j: jax.Array) -> jax.Array:
        unit = jnp.zeros_like(vector).at[j].set(1)
        product = jax.jvp(gradient, (vector,), (unit,))[1]
        return product[:, j] if diagonal else product

    columns = jax.lax.map(column, jnp.arange(p), batch_size=min(p, TANGENTS))
    return columns.T if diagonal else jnp.moveaxis(columns, 0, -1)
