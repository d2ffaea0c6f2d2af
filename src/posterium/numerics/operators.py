"""Covariance operators: what a Gaussian needs to know about its covariance, and no more.

Each is a record with `sqrt(z)` (a vector of unit normals to one with this covariance),
`variance()`, `quadratic(jacobian)` and `log_det()`.
"""

from typing import Protocol

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from posterium._struct import struct


class Covariance(Protocol):
    """A covariance matrix over p weights, (p, p), by what can be done with it."""

    def sqrt(self, z: jax.Array) -> jax.Array:
        """Map unit normals (p,) to a draw (p,) with this covariance."""
        ...

    def variance(self) -> jax.Array:
        """Return the diagonal, (p,)."""
        ...

    def quadratic(self, jacobian: jax.Array) -> jax.Array:
        """Return J S J^T, (k, k), for J of shape (k, p)."""
        ...

    def log_det(self) -> jax.Array:
        """Return the log determinant."""
        ...

    def dense(self) -> jax.Array:
        """Return the matrix, (p, p)."""
        ...


@struct
class Diagonal:
    """A diagonal covariance, by its standard deviations (p,)."""

    sd: jax.Array

    def sqrt(self, z: jax.Array) -> jax.Array:
        return self.sd * z

    def variance(self) -> jax.Array:
        return self.sd**2

    def quadratic(self, jacobian: jax.Array) -> jax.Array:
        scaled = jacobian * self.sd[None, :]
        return scaled @ scaled.T

    def log_det(self) -> jax.Array:
        return 2 * jnp.sum(jnp.log(self.sd))

    def dense(self) -> jax.Array:
        return jnp.diag(self.sd**2)


@struct
class Full:
    """A dense covariance by any factor F (p, p) of it, S = F F^T."""

    factor: jax.Array

    def sqrt(self, z: jax.Array) -> jax.Array:
        return self.factor @ z

    def variance(self) -> jax.Array:
        return jnp.sum(self.factor**2, axis=1)

    def quadratic(self, jacobian: jax.Array) -> jax.Array:
        scaled = jacobian @ self.factor
        return scaled @ scaled.T

    def log_det(self) -> jax.Array:
        return 2 * jnp.linalg.slogdet(self.factor)[1]

    def dense(self) -> jax.Array:
        return self.factor @ self.factor.T


def from_precision(precision: jax.Array) -> Full:
    """Return the dense covariance whose inverse is a positive definite matrix (p, p).

    A matrix that is not positive definite gives NaN, which the caller must report.
    """
    lower = jnp.linalg.cholesky(precision)
    identity = jnp.eye(precision.shape[0], dtype=precision.dtype)
    return Full(solve_triangular(lower, identity, lower=True, trans="T"))
