"""Covariance operators: what a Gaussian needs to know about its covariance, and no more.

Each is a record with `sqrt(z)` (a vector of unit normals to one with this covariance),
`variance()`, `quadratic(jacobian)`, `outputs(f, params, x)` and `log_det()`.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from posterium.numerics import trees
from posterium.numerics.taps import Tapped

Function = Callable[[Any, Any], jax.Array]
"""`f(params, x)`: batch in, outputs (n, k) out; it treats rows alone."""

ROWS = 32
"""Rows that go through at a time, at most."""
ROWS_BYTES = 2**26
"""What their Jacobians may take, or what stands in their place."""


class Covariance(abc.ABC):
    """A covariance matrix over p weights, (p, p), by what can be done with it."""

    title: ClassVar[str]
    """What its kind is called, in words."""

    @abc.abstractmethod
    def sqrt(self, z: jax.Array) -> jax.Array:
        """Map unit normals (p,) to a draw (p,) with this covariance."""

    @abc.abstractmethod
    def variance(self) -> jax.Array:
        """Return the diagonal, (p,)."""

    @abc.abstractmethod
    def quadratic(self, jacobian: jax.Array) -> jax.Array:
        """Return J S J^T, (k, k), for J of shape (k, p)."""

    @abc.abstractmethod
    def log_det(self) -> jax.Array:
        """Return the log determinant."""

    @abc.abstractmethod
    def dense(self) -> jax.Array:
        """Return the matrix, (p, p)."""

    def outputs(self, f: Function, params: Any, x: Any) -> tuple[jax.Array, jax.Array]:
        """Return f(params, x), (n, k), and J S J^T of each row, (n, k, k).

        `f` takes a batch and treats rows alone. The Jacobian is formed a few rows at a time.
        """

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            value, slopes = jacobian_row(f, params, x)
            return value, self.quadratic(slopes)

        return jax.lax.map(one, x, batch_size=_jacobians(f, params, x))

    def marginals(self, f: Function, params: Any, x: Any) -> tuple[jax.Array, jax.Array]:
        """Return f(params, x) and the diagonal of J S J^T of each row, both (n, k)."""

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            value, slopes = jacobian_row(f, params, x)
            return value, jnp.diagonal(self.quadratic(slopes))

        return jax.lax.map(one, x, batch_size=_jacobians(f, params, x))

    def rows(self, f: Function, params: Any, x: Any) -> tuple[jax.Array, jax.Array]:
        """Return f(params, x), (n, k), and the covariance of each output over rows, (k, n, n)."""

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            return jacobian_row(f, params, x)

        value, slopes = jax.lax.map(one, x, batch_size=_jacobians(f, params, x))
        return value, jax.lax.map(self.quadratic, jnp.moveaxis(slopes, 1, 0))

    def row_width(self, f: Function, params: Any, x: Any) -> int:
        """Return how many numbers `rows` holds at most for a row and output besides its answer."""
        return trees.count(params)

    def ready(self, f: Function, params: Any, x: Any) -> Any:
        """Return a record with the same `marginals` at any inputs like x, for less work.

        What all rows share is done once there. None where they share nothing.
        """
        return None


def rows_at_once(numbers: int, dtype: Any) -> int:
    """Return how many rows go through at a time that hold so many numbers each.

    A power of two: it divides every tile of a prediction, so that no row meets another program.
    """
    fit = ROWS_BYTES // (numbers * jnp.dtype(dtype).itemsize)
    return 1 << max(0, min(fit, ROWS).bit_length() - 1)


def _jacobians(f: Function, params: Any, x: Any) -> int:
    """Return how many rows go through at a time where their Jacobians are formed."""
    out = jax.eval_shape(f, params, x)
    return rows_at_once(out.size // out.shape[0] * trees.count(params), out.dtype)


def jacobian_row(f: Function, params: Any, x: Any) -> tuple[jax.Array, jax.Array]:
    """Return f at one row, (k,), and its Jacobian in the weights as one vector, (k, p)."""
    center, unravel = trees.ravel(params)

    def row(vector: jax.Array) -> jax.Array:
        return f(unravel(vector), jax.tree.map(lambda a: a[None], x))[0]

    return row(center), jax.jacrev(row)(center)


def pulled(tapped: Tapped, x: Any) -> tuple[jax.Array, list[jax.Array], list[jax.Array], jax.Array]:
    """Return what the Jacobian of a tapped function is made of at one row.

    Returns
    -------
    out
        The outputs, (k,).
    inputs, gradients
        Of each product (t, in), and (k, t, out) at what comes out of it.
    rest
        The Jacobian in the weights that are in none, (k, q).
    """
    out, inputs, back = tapped.pull(x)
    units = jnp.eye(out.size, dtype=out.dtype).reshape(-1, *out.shape)
    gradients, rest = jax.vmap(back)(units)
    slopes = [leaf.reshape(out.size, -1) for leaf in rest]
    empty = jnp.zeros((out.size, 0), out.dtype)
    return out.ravel(), inputs, gradients, jnp.concatenate([empty, *slopes], axis=1)
