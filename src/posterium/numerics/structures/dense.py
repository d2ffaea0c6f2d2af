"""Structures that keep entries of the curvature: all of them, or the diagonal."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from posterium._struct import struct
from posterium.numerics import curvature, kronecker, trees
from posterium.numerics.covariances.base import Covariance, Function
from posterium.numerics.covariances.dense import Diagonal, from_precision, triangular_inverse
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

    def work(self, outputs: int, weights: int) -> int:
        return outputs * weights**2

    def sums(self, f: Function, params: Any, x: Any, root: jax.Array, weight: jax.Array) -> Any:
        """Return the matrices (g, p, p), or of a function with one product its blocks."""
        entries = _only_product(f, params, x)
        if entries is None:
            return super().sums(f, params, x, root, weight)
        return _blocks(tap(f, params, x), entries, x, root, weight)

    def prepare(
        self, sums: jax.Array, f: Function, params: Any, x: Any, tau: jax.Array
    ) -> jax.Array:
        entries = None if sums.ndim == 3 else _only_product(f, params, x)
        return sums if entries is None else _assembled(sums, entries)

    def precision(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> jax.Array:
        """Return the precision, (p, p); tau may be a matrix, of a prior with correlations."""
        own = tau if tau.ndim == 2 else jnp.diag(tau)
        return jnp.tensordot(factor, ready, 1) + own

    def covariance(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> Covariance:
        return from_precision(self.precision(ready, factor, tau))

    def log_det(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> jax.Array:
        return _log_det(ready, factor, tau)

    def diagonal(self, ready: jax.Array, factor: jax.Array) -> jax.Array:
        return factor @ jnp.diagonal(ready, axis1=1, axis2=2)


@jax.custom_jvp
def _log_det(ready: jax.Array, factor: jax.Array, tau: jax.Array) -> jax.Array:
    """Return the log determinant of `FullCurvature.precision`."""
    lower = jnp.linalg.cholesky(FullCurvature().precision(ready, factor, tau))
    return 2 * jnp.sum(jnp.log(jnp.diagonal(lower)))


@partial(_log_det.defjvp, symbolic_zeros=True)
def _log_det_slope(primals: Any, changes: Any) -> tuple[jax.Array, jax.Array]:
    """Return it and what it changes by: the trace of the covariance times that of the precision.

    Only what moves is computed. For precisions of weights alone that is the covariance's diagonal,
    a third of the work of the Cholesky factor's own derivative.
    """
    ready, factor, tau = primals
    lower = jnp.linalg.cholesky(FullCurvature().precision(ready, factor, tau))
    value = 2 * jnp.sum(jnp.log(jnp.diagonal(lower)))
    root = triangular_inverse(lower)
    entries, counts, own = (None if type(c) is SymbolicZero else c for c in changes)
    slope = jnp.zeros_like(value)
    if own is not None and tau.ndim == 1:
        slope += jnp.sum(root**2, axis=0) @ own
        own = None
    if entries is None and counts is None and own is None:
        return value, slope
    covariance = root.T @ root
    if entries is not None:
        slope += jnp.sum(covariance * jnp.tensordot(factor, entries, 1))
    if counts is not None:
        slope += jnp.einsum("pq,gpq->g", covariance, ready) @ counts
    if own is not None:
        slope += jnp.sum(covariance * own)
    return value, slope


def _only_product(f: Function, params: Any, x: Any) -> np.ndarray | None:
    """Return where the weights of a function with one product alone are, as a last layer's.

    By input and output, (in, out); None for other functions.
    """
    if [product.positions for product in tap(f, params, x).products] != [1]:
        return None
    (entries,) = kronecker.layout(f, params, x).entries
    return entries if entries.size == trees.count(params) else None


def _blocks(
    tapped: Tapped, entries: np.ndarray, x: Any, root: jax.Array, weight: jax.Array
) -> jax.Array:
    """Return a block of each pair of outputs, (g, pairs, in, in), for one product alone.

    The Jacobian of a row is an outer product of the input and a gradient: it is never formed. A
    block sums products of inputs, weighted by those of the two outputs' gradients.
    """
    (inputs, outputs), groups = entries.shape, root.shape[2]
    first, second = np.tril_indices(outputs)

    def one(x: Any, root: jax.Array) -> tuple[jax.Array, jax.Array]:
        out, (inputs,), back = tapped.pull(x)
        columns = jnp.moveaxis(root, 0, -1).astype(out.dtype)
        (gradients,), _ = jax.vmap(jax.vmap(back))(columns)
        gradients = gradients[:, :, 0]
        return inputs[0], jnp.einsum("gra,grb->gab", gradients, gradients)

    def of_tile(rows: Any) -> jax.Array:
        (x, root), weight = rows
        seen, outer = jax.vmap(one)(x, root)
        scales = weight[:, None, None] * outer[:, :, first, second]
        scales = jnp.moveaxis(scales, 0, -1).reshape(-1, len(weight))
        return jax.lax.map(lambda scale: (seen * scale[:, None]).T @ seen, scales)

    size = inputs + groups * outputs**2
    tile = curvature.tile_rows(len(weight), 1, size, root.dtype.itemsize)
    found = curvature.sum_tiles(of_tile, ((x, root), weight), tile)
    return found.reshape(groups, len(first), inputs, inputs)


def _assembled(blocks: jax.Array, entries: np.ndarray) -> jax.Array:
    """Return the matrices (g, p, p) that these blocks make up."""
    outputs = entries.shape[1]
    first, second = np.tril_indices(outputs)
    pair = np.zeros((outputs, outputs), int)
    pair[first, second] = pair[second, first] = np.arange(len(first))
    by_place = np.argsort(entries[:, 0])
    sorted_blocks = blocks[:, :, by_place[:, None], by_place]
    whole = jnp.einsum("gabij->giajb", sorted_blocks[:, pair])
    whole = whole.reshape(-1, entries.size, entries.size)
    order = np.argsort(entries[by_place].ravel())
    in_place = np.array_equal(order, np.arange(len(order)))
    return whole if in_place else whole[:, order[:, None], order]


@struct
class DiagonalCurvature(_Entries):
    """The p entries of the diagonal."""

    letters = "n,ngrp,ngrp->gp"

    def work(self, outputs: int, weights: int) -> int:
        return outputs * weights

    def precision(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> jax.Array:
        """Return the diagonal of the precision, (p,)."""
        return factor @ ready + tau

    def covariance(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> Covariance:
        return Diagonal(1 / jnp.sqrt(self.precision(ready, factor, tau)))

    def log_det(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> jax.Array:
        return jnp.sum(jnp.log(self.precision(ready, factor, tau)))

    def diagonal(self, ready: jax.Array, factor: jax.Array) -> jax.Array:
        return factor @ ready
