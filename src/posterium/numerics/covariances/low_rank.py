"""Covariances of a diagonal and a part of low rank, which either adds to it or takes away."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from posterium._struct import struct
from posterium.numerics.covariances.base import Covariance


@struct
class LowRankCovariance(Covariance):
    r"""The inverse of a diagonal precision plus one of low rank.

    With D the diagonal matrix of `scale`, :math:`S = D (I + B B^T)^{-1} D`.

    Parameters
    ----------
    scale
        Standard deviations without the second part, (p,).
    basis
        B (p, q), with orthogonal columns.
    values
        The squared norms of its columns, (q,).
    """

    scale: jax.Array
    basis: jax.Array
    values: jax.Array

    title: ClassVar[str] = "low-rank"

    def sqrt(self, z: jax.Array) -> jax.Array:
        shrunk = 1 / jnp.sqrt(1 + self.values)
        inner = shrunk**2 / (1 + shrunk) * (self.basis.T @ z)
        return self.scale * (z - self.basis @ inner)

    def variance(self) -> jax.Array:
        return self.scale**2 * (1 - self.basis**2 @ (1 / (1 + self.values)))

    def quadratic(self, jacobian: jax.Array) -> jax.Array:
        scaled = jacobian * self.scale[None]
        seen = scaled @ self.basis
        return scaled @ scaled.T - (seen / (1 + self.values)[None]) @ seen.T

    def log_det(self) -> jax.Array:
        return 2 * jnp.sum(jnp.log(self.scale)) - jnp.sum(jnp.log1p(self.values))

    def dense(self) -> jax.Array:
        return self.quadratic(jnp.diag(jnp.ones_like(self.scale)))


@struct
class DiagonalPlusLowRank(Covariance):
    r"""A diagonal plus a part of low rank, relative to one another.

    With D the diagonal matrix of `scale`, :math:`S = D (I + V V^T) D`.

    Parameters
    ----------
    scale
        Standard deviations without the second part, (p,).
    factor
        V (p, r), any columns.
    """

    scale: jax.Array
    factor: jax.Array

    title: ClassVar[str] = "diagonal plus low-rank"

    def sqrt(self, z: jax.Array) -> jax.Array:
        values, vectors = jnp.linalg.eigh(self.factor.T @ self.factor)
        shrunk = 1 / (1 + jnp.sqrt(1 + jnp.maximum(values, 0)))
        inner = vectors @ (shrunk * (vectors.T @ (self.factor.T @ z)))
        return self.scale * (z + self.factor @ inner)

    def variance(self) -> jax.Array:
        return self.scale**2 * (1 + jnp.sum(self.factor**2, axis=1))

    def quadratic(self, jacobian: jax.Array) -> jax.Array:
        scaled = jacobian * self.scale[None]
        seen = scaled @ self.factor
        return scaled @ scaled.T + seen @ seen.T

    def log_det(self) -> jax.Array:
        return 2 * jnp.sum(jnp.log(self.scale)) + log_det_inner(stacked_qr(self.factor)[1])

    def dense(self) -> jax.Array:
        return self.quadratic(jnp.diag(jnp.ones_like(self.scale)))


def stacked_qr(factor: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the QR decomposition of I (r, r) above V (p, r), so that R^T R = I + V^T V.

    It keeps its digits where V^T V, with the squares of V's singular values, has lost the I.
    """
    identity = jnp.eye(factor.shape[1], dtype=factor.dtype)
    return jnp.linalg.qr(jnp.concatenate([identity, factor]))


def log_det_inner(root: jax.Array) -> jax.Array:
    """Return the log determinant of I + V V^T, which is that of R^T R."""
    return 2 * jnp.sum(jnp.log(jnp.abs(jnp.diagonal(root))))
