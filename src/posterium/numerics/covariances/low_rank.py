"""Covariances whose precision is a diagonal and a part of low rank."""

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
