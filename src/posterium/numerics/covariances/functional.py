r"""The functional form of a Gaussian over weights: by kernels between rows, not between weights.

Where the p weights outnumber the m = n k directions that n rows inform, the linearised posterior
costs m^3, not p^3 (immer2021glm, section 3). With J the Jacobian of the outputs at those rows, R a
square root of the loss' curvature in them, tau the prior precision and D = diag(tau)^(-1/2),

.. math:: S = (\mathrm{diag}(\tau) + J^T R R^T J)^{-1} = D (I - B (I + K)^{-1} B^T) D, \quad
    B = D J^T R, \quad K = B^T B

so that the covariance of two outputs is the prior's kernel :math:`J D^2 J^T` less what the rows
explain of it: a Gaussian process with the network's tangent kernel. Nothing is left out.

The columns of B are kept where they fit a budget; else each use of them is one pass through the
network, forwards (B^T v) or backwards (B v), over all rows.
"""

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from posterium._struct import struct
from posterium.numerics import curvature, trees
from posterium.numerics.covariances.base import Covariance, Function, rows_at_once

KEPT_BYTES = 2**28
"""What the columns may take to be kept."""


class Columns(Protocol):
    """The matrix B (p, m)."""

    def times(self, v: jax.Array) -> jax.Array:
        """Return B v, (p,)."""
        ...

    def seen(self, v: jax.Array) -> jax.Array:
        """Return B^T v, (m,)."""
        ...


@struct
class KeptColumns:
    """The matrix by its entries, (p, m)."""

    entries: jax.Array

    def times(self, v: jax.Array) -> jax.Array:
        return self.entries @ v

    def seen(self, v: jax.Array) -> jax.Array:
        return v @ self.entries


@struct
class PassedColumns:
    """The matrix by passes through the network.

    Parameters
    ----------
    f
        The network as a function of its parameters and a batch: a record, since it is a part of
        this one.
    params, x
        Its parameters, and the n rows.
    root
        R of each row, (n, k, r).
    scale
        The diagonal of D, (p,).
    """

    f: Any
    params: Any
    x: Any
    root: jax.Array
    scale: jax.Array

    def _outputs(self, params: Any) -> jax.Array:
        return self.f(params, self.x)

    def times(self, v: jax.Array) -> jax.Array:
        rows, _, columns = self.root.shape
        _, back = jax.vjp(self._outputs, self.params)
        cotangent = jnp.einsum("nkr,nr->nk", self.root, v.reshape(rows, columns))
        return trees.vector(back(cotangent)[0]) * self.scale

    def seen(self, v: jax.Array) -> jax.Array:
        _, unravel = trees.ravel(self.params)
        _, shift = jax.jvp(self._outputs, (self.params,), (unravel(self.scale * v),))
        return jnp.einsum("nkr,nk->nr", self.root, shift).reshape(-1)


@struct
class FunctionalCovariance(Covariance):
    """A covariance by the kernel between rows.

    Parameters
    ----------
    scale
        Standard deviations of the prior, (p,): the diagonal of D.
    columns
        The matrix B.
    values, vectors
        Eigenvalues (m,) and eigenvectors (m, m) of K.
    """

    scale: jax.Array
    columns: Columns
    values: jax.Array
    vectors: jax.Array

    def sqrt(self, z: jax.Array) -> jax.Array:
        spread = jnp.sqrt(1 + self.values)
        inner = self.vectors.T @ self.columns.seen(z) / (spread * (1 + spread))
        return self.scale * (z - self.columns.times(self.vectors @ inner))

    def variance(self) -> jax.Array:
        def explained(rows: Any) -> jax.Array:
            directions, weight = rows
            return weight @ jax.vmap(self.columns.times)(directions) ** 2

        directions = (self.vectors / jnp.sqrt(1 + self.values)[None]).T
        tile = rows_at_once(self.scale.size, self.scale.dtype)
        whole = directions, jnp.ones_like(self.values)
        return self.scale**2 * (1 - curvature.sum_tiles(explained, whole, tile))

    def quadratic(self, jacobian: jax.Array) -> jax.Array:
        scaled = jacobian * self.scale[None]
        seen = jax.vmap(self.columns.seen)(scaled) @ self.vectors
        return scaled @ scaled.T - (seen / (1 + self.values)[None]) @ seen.T

    def log_det(self) -> jax.Array:
        return 2 * jnp.sum(jnp.log(self.scale)) - jnp.sum(jnp.log1p(self.values))

    def dense(self) -> jax.Array:
        return self.quadratic(jnp.diag(jnp.ones_like(self.scale)))


def functional(
    f: Function,
    params: Any,
    x: Any,
    root: jax.Array,
    tau: jax.Array,
    *,
    max_bytes: int = KEPT_BYTES,
) -> FunctionalCovariance:
    """Return the inverse of diag(tau) plus the curvature of some rows.

    Parameters
    ----------
    f, params, x
        The network as a function of its parameters and a batch, batch in, outputs (n, k) out; it
        must treat rows alone. A record where the columns are not kept.
    root
        A square root of each row's curvature in the outputs, (n, k, r), its weight and the
        precision of the noise included.
    tau
        Prior precisions, (p,), all above 0.
    max_bytes
        Columns that take no more are kept.
    """
    scale = 1 / jnp.sqrt(tau)
    passed = PassedColumns(f, params, x, root, scale)
    columns: Columns = passed
    count = root.shape[0] * root.shape[2]
    if count * scale.size * scale.dtype.itemsize <= max_bytes:
        entries = _over_rows(lambda own: own, passed)
        columns = KeptColumns(entries.T)
        gram = entries @ entries.T
    else:
        gram = _over_rows(jax.vmap(passed.seen), passed)
    values, vectors = jnp.linalg.eigh((gram + gram.T) / 2)
    return FunctionalCovariance(scale, columns, jnp.maximum(values, 0), vectors)


def _over_rows(ask: Callable[[jax.Array], jax.Array], of: PassedColumns) -> jax.Array:
    """Return something of the columns of each row, (r, p), one below another, (m, ...)."""

    def one(row: Any) -> jax.Array:
        x, root = row
        alone = jax.tree.map(lambda a: a[None], x)
        _, back = jax.vjp(lambda params: of.f(params, alone)[0], of.params)
        return ask(jax.vmap(lambda c: trees.vector(back(c)[0]) * of.scale)(root.T))

    count = of.root.shape[2]
    tile = rows_at_once(count * of.scale.size, of.scale.dtype)
    found = jax.lax.map(one, (of.x, of.root), batch_size=tile)
    return found.reshape(-1, found.shape[-1])
