"""Covariance operators: what a Gaussian needs to know about its covariance, and no more.

Each is a record with `sqrt(z)` (a vector of unit normals to one with this covariance),
`variance()`, `quadratic(jacobian)`, `outputs(f, params, x)` and `log_det()`.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from posterium._struct import struct
from posterium.numerics import trees
from posterium.numerics.taps import Tapped, tap

ROWS = 32
"""Rows whose Jacobians are formed at a time."""


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

    def outputs(
        self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Return f(params, x), (n, k), and J S J^T of each row, (n, k, k).

        `f` takes a batch and treats rows alone. The Jacobian is formed a few rows at a time.
        """

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            value, slopes = jacobian_row(f, params, x)
            return value, self.quadratic(slopes)

        return jax.lax.map(one, x, batch_size=ROWS)

    def marginals(
        self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Return f(params, x) and the diagonal of J S J^T of each row, both (n, k)."""

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            value, slopes = jacobian_row(f, params, x)
            return value, jnp.diagonal(self.quadratic(slopes))

        return jax.lax.map(one, x, batch_size=ROWS)


def jacobian_row(
    f: Callable[[Any, Any], jax.Array], params: Any, x: Any
) -> tuple[jax.Array, jax.Array]:
    """Return f at one row, (k,), and its Jacobian in the weights as one vector, (k, p)."""
    center, unravel = trees.ravel(params)

    def row(vector: jax.Array) -> jax.Array:
        return f(unravel(vector), jax.tree.map(lambda a: a[None], x))[0]

    return row(center), jax.jacrev(row)(center)


@struct
class Diagonal(Covariance):
    """A diagonal covariance, by its standard deviations (p,)."""

    sd: jax.Array

    title: ClassVar[str] = "diagonal"

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
class Full(Covariance):
    """A dense covariance by any factor F (p, p) of it, S = F F^T."""

    factor: jax.Array

    title: ClassVar[str] = "full"

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


@struct
class KroneckerBlock:
    """The covariance of a weight matrix W (in, out): W = left Z right^T with Z independent.

    Parameters
    ----------
    left, right
        Matrices (in, in) and (out, out).
    sd
        Standard deviations of Z, (in, out).
    entries
        Where the entries of W stand in the vector of all weights, (in, out).
    """

    left: jax.Array
    right: jax.Array
    sd: jax.Array
    entries: jax.Array

    def outputs(self, inputs: jax.Array, gradients: jax.Array) -> jax.Array:
        """Return J S J^T, (k, k), for J = sum over positions t of outer products.

        `inputs` are (t, in), `gradients` of the outputs (k, t, out).
        """
        inputs, gradients = inputs @ self.left, gradients @ self.right
        if len(inputs) == 1:
            gradients = gradients[:, 0]
            return (gradients * (inputs[0] ** 2 @ self.sd**2)[None]) @ gradients.T
        slopes = jnp.einsum("ti,kto->kio", inputs, gradients) * self.sd[None]
        return jnp.einsum("kio,lio->kl", slopes, slopes)

    def marginals(self, inputs: jax.Array, gradients: jax.Array) -> jax.Array:
        """Return the diagonal of `outputs`, (k,)."""
        inputs, gradients = inputs @ self.left, gradients @ self.right
        if len(inputs) == 1:
            return gradients[:, 0] ** 2 @ (inputs[0] ** 2 @ self.sd**2)
        slopes = jnp.einsum("ti,kto->kio", inputs, gradients) * self.sd[None]
        return jnp.sum(slopes**2, axis=(1, 2))


@struct
class KroneckerCovariance(Covariance):
    """Independent Kronecker blocks, and independent weights besides.

    Parameters
    ----------
    blocks
        One a product of a weight matrix, in the order in which a function's products are met.
    sd
        Standard deviations of all other weights, (q,).
    places
        Where those stand in the vector of all weights, (q,).
    """

    blocks: tuple[KroneckerBlock, ...]
    sd: jax.Array
    places: jax.Array

    title: ClassVar[str] = "Kronecker"

    def sqrt(self, z: jax.Array) -> jax.Array:
        draw = z.at[self.places].multiply(self.sd)
        for block in self.blocks:
            inner = block.sd * z[block.entries]
            draw = draw.at[block.entries].set(block.left @ inner @ block.right.T)
        return draw

    def variance(self) -> jax.Array:
        found = jnp.zeros_like(self.sd, shape=self.size()).at[self.places].set(self.sd**2)
        for block in self.blocks:
            own = block.left**2 @ block.sd**2 @ (block.right**2).T
            found = found.at[block.entries].set(own)
        return found

    def quadratic(self, jacobian: jax.Array) -> jax.Array:
        rest = jacobian[:, self.places] * self.sd[None]
        total = rest @ rest.T
        for block in self.blocks:
            slopes = block.left.T @ jacobian[:, block.entries] @ block.right * block.sd[None]
            total += jnp.einsum("kio,lio->kl", slopes, slopes)
        return total

    def outputs(
        self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Return f (n, k) and J S J^T (n, k, k); no Jacobian of a weight matrix is formed."""
        tapped = tap(f, params, x)

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            out, pulled, rest = self._row(tapped, x)
            return out, sum((block.outputs(a, g) for block, a, g in pulled), rest @ rest.T)

        return jax.lax.map(one, x, batch_size=ROWS)

    def marginals(
        self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any
    ) -> tuple[jax.Array, jax.Array]:
        tapped = tap(f, params, x)

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            out, pulled, rest = self._row(tapped, x)
            parts = (block.marginals(a, g) for block, a, g in pulled)
            return out, sum(parts, jnp.sum(rest**2, axis=1))

        return jax.lax.map(one, x, batch_size=ROWS)

    def _row(self, tapped: Tapped, x: Any) -> tuple[jax.Array, Any, jax.Array]:
        """Return f at one row, each block with its inputs and gradients, and the rest's J sd."""
        out, inputs, back = tapped.pull(x)
        units = jnp.eye(out.size, dtype=out.dtype).reshape(-1, *out.shape)
        gradients, rest = jax.vmap(back)(units)
        slopes = [leaf.reshape(out.size, -1) for leaf in rest]
        slopes = jnp.concatenate([jnp.zeros((out.size, 0), out.dtype), *slopes], axis=1)
        pulled = zip(self.blocks, inputs, gradients, strict=True)
        return out.ravel(), tuple(pulled), slopes * self.sd[None]

    def log_det(self) -> jax.Array:
        total = 2 * jnp.sum(jnp.log(self.sd))
        for block in self.blocks:
            rows, columns = block.sd.shape
            turns = columns * jnp.linalg.slogdet(block.left)[1]
            turns += rows * jnp.linalg.slogdet(block.right)[1]
            total += 2 * (jnp.sum(jnp.log(block.sd)) + turns)
        return total

    def dense(self) -> jax.Array:
        return self.quadratic(jnp.diag(jnp.ones_like(self.sd, shape=self.size())))

    def size(self) -> int:
        """Return the number of weights p."""
        return self.places.size + sum(block.entries.size for block in self.blocks)


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
