"""The functional structure: by the kernel between rows, for weights that outnumber them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import struct
from posterium.numerics.covariances.base import Covariance, Function
from posterium.numerics.covariances.functional import Columns, FunctionalCovariance
from posterium.numerics.structures.dense import pull

TILE_BYTES = 2**27
"""What the gradients of one tile of rows may take, while the kernels are formed."""


@struct
class Kernels:
    """What all rows say together, free of factors and precisions.

    Parameters
    ----------
    f, params, x
        The network as a function, its parameters, and the n rows.
    root
        A square root of each row's curvature in the outputs, its weight included, (n, k, g, r).
    kernels
        Of each array of the parameters, the products of its gradients, (l, m, m), m = n g r.
    squares
        The diagonal of the curvature, (g, p).
    """

    f: Any
    params: Any
    x: Any
    root: jax.Array
    kernels: jax.Array
    squares: jax.Array

    def lower(self, factor: jax.Array, tau: jax.Array) -> jax.Array:
        """Return the Cholesky factor (m, m) of I + K; its gradient is that of each array's tau."""
        rows, _, _, columns = self.root.shape
        counts = jnp.tile(jnp.repeat(jnp.sqrt(factor), columns), rows)
        sizes = [leaf.size for leaf in jax.tree.leaves(self.params)]
        own = tau[np.cumsum([0, *sizes[:-1]])]
        kernel = jnp.tensordot(1 / own, self.kernels, 1) * counts[:, None] * counts[None]
        return jnp.linalg.cholesky(kernel + jnp.diag(jnp.ones_like(counts)))


@struct
class FunctionalCurvature:
    """The whole curvature, kept by the rows it comes from: a Gaussian process' form.

    It is the one to take where weights are many and rows few: with m = n k, the number of rows
    times outputs, it keeps m^2 numbers for each array of weights, and asks for no matrix between
    weights. All rows are needed at once. The prior must have one precision for all weights of an
    array.
    """

    def work(self, outputs: int, weights: int) -> int:
        return outputs * weights

    def sums(
        self, f: Function, params: Any, x: Any, root: jax.Array, weight: jax.Array
    ) -> jax.Array:
        """Return squares of the root's entries, with their signs: they scale as weights do."""
        return root * jnp.abs(root) * weight[:, None, None, None]

    def prepare(self, sums: jax.Array, f: Function, params: Any, x: Any, tau: jax.Array) -> Kernels:
        root = jnp.sign(sums) * jnp.sqrt(jnp.abs(sums))
        return Kernels(f, params, x, root, *_products(f, params, x, root))

    def covariance(self, ready: Kernels, factor: jax.Array, tau: jax.Array) -> Covariance:
        root = ready.root * jnp.sqrt(factor)[None, None, :, None]
        root = root.reshape(*root.shape[:2], -1)
        columns = Columns(ready.f, ready.params, ready.x, root, 1 / jnp.sqrt(tau))
        return FunctionalCovariance(columns, ready.lower(factor, tau))

    def log_det(self, ready: Kernels, factor: jax.Array, tau: jax.Array) -> jax.Array:
        lower = ready.lower(factor, tau)
        return jnp.sum(jnp.log(tau)) + 2 * jnp.sum(jnp.log(jnp.diagonal(lower)))

    def diagonal(self, ready: Kernels, factor: jax.Array) -> jax.Array:
        return factor @ ready.squares


def _products(f: Function, params: Any, x: Any, root: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the kernel of each array (l, m, m), and the squares of all gradients (g, p).

    Gradients are formed for a tile of rows at a time, and again for each other tile they meet.
    """
    rows, _, groups, columns = root.shape
    sizes = [leaf.size for leaf in jax.tree.leaves(params)]
    width = groups * columns * sum(sizes) * root.dtype.itemsize
    tile = max(1, min(rows, TILE_BYTES // width))
    count = -(-rows // tile)
    short = count * tile - rows
    x = jax.tree.map(lambda a: jnp.pad(a, _after(a, short), mode="edge"), x)
    padded = jnp.pad(root, _after(root, short))
    tiles = jax.tree.map(lambda a: a.reshape(count, tile, *a.shape[1:]), (x, padded))

    def gradients(part: Any) -> list[jax.Array]:
        """Return those of each array, (t g r, size)."""
        found = pull(f, params, *part).reshape(tile * groups * columns, -1)
        return jnp.split(found, np.cumsum(sizes)[:-1], axis=1)

    def against_all(part: Any) -> tuple[jax.Array, jax.Array]:
        ours = gradients(part)

        def against(other: Any) -> jax.Array:
            pairs = zip(ours, gradients(other), strict=True)
            return jnp.stack([a @ b.T for a, b in pairs])

        squares = jnp.concatenate(ours, axis=1).reshape(tile, groups, columns, -1) ** 2
        return jax.lax.map(against, tiles), squares.sum((0, 2))

    found, squares = jax.lax.map(against_all, tiles)
    m = rows * groups * columns
    kernels = jnp.transpose(found, (2, 0, 3, 1, 4)).reshape(len(sizes), count * found.shape[3], -1)
    return kernels[:, :m, :m], squares.sum(0)


def _after(array: jax.Array, short: int) -> list[tuple[int, int]]:
    """Return a padding of the leading axis at its end."""
    return [(0, short)] + [(0, 0)] * (array.ndim - 1)
