"""Structures that keep entries of the curvature: all of them, or the diagonal."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import struct
from posterium.numerics import curvature, kronecker, trees
from posterium.numerics.covariances.base import Covariance, Function
from posterium.numerics.covariances.dense import Diagonal, from_precision
from posterium.numerics.taps import Tapped, tap


def pull(f: Function, params: Any, x: Any, root: jax.Array) -> jax.Array:
    """Return (R^T J) of every row, (n, g, r, p): the Jacobian in the coordinates of the root."""

    def one(x: Any, root: jax.Array) -> jax.Array:
        out, back = jax.vjp(lambda params: f(params, jax.tree.map(lambda a: a[None], x))[0], params)

        def row(column: jax.Array) -> jax.Array:
            return trees.vector(back(column.astype(out.dtype))[0])

        return jax.vmap(jax.vmap(row))(jnp.moveaxis(root, 0, -1))

    return jax.vmap(one)(x, root)


class _Entries:
    """What the two structures that keep entries of the matrix share."""

    letters: str

    def sums(self, f: Function, params: Any, x: Any, root: jax.Array, weight: jax.Array) -> Any:
        """Add up in tiles, so that Jacobians stay within a budget."""

        def of_tile(rows: Any) -> jax.Array:
            (x, root), weight = rows
            slopes = pull(f, params, x, root)
            return jnp.einsum(self.letters, weight, slopes, slopes)

        size = trees.vector(params).size
        tile = curvature.tile_rows(len(weight), root[0, 0].size, size, root.dtype.itemsize)
        return curvature.sum_tiles(of_tile, ((x, root), weight), tile)

    def prepare(
        self, sums: jax.Array, f: Function, params: Any, x: Any, tau: jax.Array
    ) -> jax.Array:
        return sums


@struct
class FullCurvature(_Entries):
    """All p x p entries."""

    letters = "n,ngrp,ngrq->gpq"

    def work(self, entries: int) -> int:
        return entries**2

    def sums(self, f: Function, params: Any, x: Any, root: jax.Array, weight: jax.Array) -> Any:
        tapped, layout = tap(f, params, x), kronecker.layout(f, params, x)
        if [product.positions for product in tapped.products] == [1]:
            (entries,) = layout.entries
            if entries.size == trees.count(params):
                return _one_product(tapped, entries, x, root, weight)
        return super().sums(f, params, x, root, weight)

    def precision(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> jax.Array:
        """Return the precision, (p, p); tau may be a matrix, of a prior with correlations."""
        own = tau if tau.ndim == 2 else jnp.diag(tau)
        return jnp.tensordot(factor, ready, 1) + own

    def covariance(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> Covariance:
        return from_precision(self.precision(ready, factor, tau))

    def log_det(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> jax.Array:
        lower = jnp.linalg.cholesky(self.precision(ready, factor, tau))
        return 2 * jnp.sum(jnp.log(jnp.diagonal(lower)))

    def diagonal(self, ready: jax.Array, factor: jax.Array) -> jax.Array:
        return factor @ jnp.diagonal(ready, axis1=1, axis2=2)


def _one_product(
    tapped: Tapped, entries: np.ndarray, x: Any, root: jax.Array, weight: jax.Array
) -> jax.Array:
    """Return the matrices (g, p, p) of a function with one product alone, as a last layer.

    The Jacobian of a row is an outer product of the input and a gradient: it is never formed.
    """

    def one(x: Any, root: jax.Array) -> tuple[jax.Array, jax.Array]:
        out, (inputs,), back = tapped.pull(x)
        columns = jnp.moveaxis(root, 0, -1).astype(out.dtype)
        (gradients,), _ = jax.vmap(jax.vmap(back))(columns)
        gradients = gradients[:, :, 0]
        return inputs[0], jnp.einsum("gra,grb->gab", gradients, gradients)

    def of_tile(rows: Any) -> jax.Array:
        (x, root), weight = rows
        inputs, outer = jax.vmap(one)(x, root)
        found = jnp.einsum("n,ni,nj,ngab->giajb", weight, inputs, inputs, outer)
        return found.reshape(-1, entries.size, entries.size)

    size = entries.size * entries.shape[1] * root.shape[2]
    tile = curvature.tile_rows(len(weight), 1, size, root.dtype.itemsize)
    found = curvature.sum_tiles(of_tile, ((x, root), weight), tile)
    order = np.argsort(entries.ravel())
    return found[:, order[:, None], order]


@struct
class DiagonalCurvature(_Entries):
    """The p entries of the diagonal."""

    letters = "n,ngrp,ngrp->gp"

    def work(self, entries: int) -> int:
        return entries

    def precision(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> jax.Array:
        """Return the diagonal of the precision, (p,)."""
        return factor @ ready + tau

    def covariance(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> Covariance:
        return Diagonal(1 / jnp.sqrt(self.precision(ready, factor, tau)))

    def log_det(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> jax.Array:
        return jnp.sum(jnp.log(self.precision(ready, factor, tau)))

    def diagonal(self, ready: jax.Array, factor: jax.Array) -> jax.Array:
        return factor @ ready
