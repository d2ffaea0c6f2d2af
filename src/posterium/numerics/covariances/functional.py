r"""The functional form of a Gaussian over weights: by kernels between rows, not between weights.

Where the p weights outnumber the m = n k directions that n rows inform, the linearised posterior
costs m^3, not p^3 (immer2021glm, section 3). With J the Jacobian of the outputs at those rows, R a
square root of the loss' curvature in them, tau the prior precision and D = diag(tau)^(-1/2),

.. math:: S = (\mathrm{diag}(\tau) + J^T R R^T J)^{-1} = D (I - B (I + K)^{-1} B^T) D, \quad
    B = D J^T R, \quad K = B^T B

so that the covariance of two outputs is the prior's kernel :math:`J D^2 J^T` less what the rows
explain of it: a Gaussian process with the network's tangent kernel. Nothing is left out.

With :math:`I + K = L L^T`, roots of S and of its inverse are (Andrews 1968)

.. math:: D (I - B L^{-T} (I + L)^{-1} B^T), \quad (I + B (I + L^T)^{-1} B^T) D^{-1} .

B is never kept: each use of it is one pass through the network, forwards or backwards.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from posterium._struct import struct
from posterium.numerics import curvature, trees
from posterium.numerics.covariances.base import ROWS, Covariance, rows_at_once


@struct
class Columns:
    """The matrix B (p, m), by passes through the network, some rows at a time.

    Parameters
    ----------
    f
        The network as a function of its parameters and a batch; a record, since it is kept.
    params, x
        Its parameters, and the n rows.
    root
        R of each row, (n, k, r), so that m = n r.
    scale
        The diagonal of D, (p,).
    """

    f: Any
    params: Any
    x: Any
    root: jax.Array
    scale: jax.Array

    def times(self, v: jax.Array) -> jax.Array:
        """Return B v, (p,)."""
        rows, _, columns = self.root.shape
        pulls = jnp.einsum("nkr,nr->nk", self.root, v.reshape(rows, columns))

        def of_tile(rows: Any) -> jax.Array:
            (x, pulls), weight = rows
            _, back = jax.vjp(lambda params: self.f(params, x), self.params)
            return trees.vector(back(weight[:, None] * pulls)[0])

        whole = (self.x, pulls), jnp.ones_like(pulls[:, 0])
        return self.scale * curvature.sum_tiles(of_tile, whole, ROWS)

    def seen(self, v: jax.Array) -> jax.Array:
        """Return B^T v, (m,)."""
        _, unravel = trees.ravel(self.params)
        tangent = unravel(self.scale * v)

        def row(one: Any) -> jax.Array:
            x, root = one
            alone = jax.tree.map(lambda a: a[None], x)
            _, shift = jax.jvp(lambda params: self.f(params, alone), (self.params,), (tangent,))
            return shift[0] @ root

        return jax.lax.map(row, (self.x, self.root), batch_size=ROWS).reshape(-1)

    def squares(self) -> jax.Array:
        """Return the diagonal of B B^T, (p,)."""
        return self.explained(jnp.diag(jnp.ones_like(self.root[:, 0].ravel())))

    def explained(self, directions: jax.Array) -> jax.Array:
        """Return the diagonal of B V V^T B^T, (p,), for the rows (q, m) of V^T."""

        def of_tile(rows: Any) -> jax.Array:
            directions, weight = rows
            return weight @ jax.vmap(self.times)(directions) ** 2

        tile = rows_at_once(self.scale.size, self.scale.dtype)
        return curvature.sum_tiles(of_tile, (directions, jnp.ones_like(directions[:, 0])), tile)


@struct
class FunctionalCovariance(Covariance):
    """A covariance by the kernel between rows.

    Parameters
    ----------
    columns
        The matrix B.
    lower
        The Cholesky factor L of I + K, (m, m).
    """

    columns: Columns
    lower: jax.Array

    title: ClassVar[str] = "functional"

    def sqrt(self, z: jax.Array) -> jax.Array:
        inner = solve_triangular(self._shifted(), self.columns.seen(z), lower=True)
        inner = solve_triangular(self.lower, inner, lower=True, trans="T")
        return self.columns.scale * (z - self.columns.times(inner))

    def inverse_sqrt(self, offset: jax.Array) -> jax.Array:
        """Undo `sqrt`: map an offset from the mean (p,) to unit normals (p,)."""
        v = offset / self.columns.scale
        inner = solve_triangular(self._shifted(), self.columns.seen(v), lower=True, trans="T")
        return v + self.columns.times(inner)

    def _shifted(self) -> jax.Array:
        """Return I + L, (m, m)."""
        return self.lower + jnp.diag(jnp.ones_like(self.lower[0]))

    def variance(self) -> jax.Array:
        units = jnp.diag(jnp.ones_like(self.lower[0]))
        directions = solve_triangular(self.lower, units, lower=True)
        return self.columns.scale**2 * (1 - self.columns.explained(directions))

    def quadratic(self, jacobian: jax.Array) -> jax.Array:
        scaled = jacobian * self.columns.scale[None]
        seen = jax.lax.map(self.columns.seen, scaled)
        explained = solve_triangular(self.lower, seen.T, lower=True)
        return scaled @ scaled.T - explained.T @ explained

    def log_det(self) -> jax.Array:
        own = jnp.sum(jnp.log(self.columns.scale))
        return 2 * (own - jnp.sum(jnp.log(jnp.diagonal(self.lower))))

    def dense(self) -> jax.Array:
        return self.quadratic(jnp.diag(jnp.ones_like(self.columns.scale)))
