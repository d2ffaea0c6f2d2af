"""Covariances by their entries: diagonal and full."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from posterium._struct import struct
from posterium.numerics.covariances.base import Covariance, Function, pulled, rows_at_once
from posterium.numerics.kronecker import layout
from posterium.numerics.taps import tap

SUBSTITUTED = 512
"""Rows of a triangle up to which it is inverted by substitution."""
HEAD_ROWS = 256
"""Rows of which a last layer's variances are computed at a time."""


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
    """A dense covariance by any factor F (p, p) of it, S = F F^T.

    Of several outputs it sees the input of each product before the gradients at it: J F for one
    row then costs about p^2 multiplications, not k p^2.
    """

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

    def outputs(self, f: Function, params: Any, x: Any) -> tuple[jax.Array, jax.Array]:
        return self._map(lambda seen: seen @ seen.T, f, params, x)

    def marginals(self, f: Function, params: Any, x: Any) -> tuple[jax.Array, jax.Array]:
        return self._map(lambda seen: jnp.sum(seen**2, axis=1), f, params, x)

    def _map(
        self,
        told: Callable[[jax.Array], jax.Array],
        f: Function,
        params: Any,
        x: Any,
    ) -> tuple[jax.Array, jax.Array]:
        """Return f of each row, and something of J F, (k, p)."""
        tapped = tap(f, params, x)
        blocks, others = self._blocks(f, params, x)

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            out, inputs, gradients, rest = pulled(tapped, x)
            seen = rest @ others
            for block, a, g in zip(blocks, inputs, gradients, strict=True):
                seen += _through(block, a, g)
            return out, told(seen)

        width = max((p.outputs for p in tapped.products), default=1)
        rows = rows_at_once(width * len(self.factor), self.factor.dtype)
        return jax.lax.map(one, x, batch_size=rows)

    def _blocks(self, f: Function, params: Any, x: Any) -> tuple[list[jax.Array], jax.Array]:
        """Return the rows of F of each product (in, out, p), and of all other weights (q, p)."""
        found = layout(f, params, x)
        return [self.factor[at] for at in found.entries], self.factor[found.rest]

    def ready(self, f: Function, params: Any, x: Any) -> "FullHead | None":
        """Take the gradients of several outputs in, where they are alike for all rows.

        So they are in a last layer: the variance of an output is then a quadratic form in what
        enters it, and the covariance of that form is p / k wide.
        """
        tapped = tap(f, params, x)
        if any(p.positions > 1 for p in tapped.products):
            return None

        def slopes(x: Any) -> tuple[list[jax.Array], jax.Array]:
            return pulled(tapped, x)[2:]

        try:
            gradients, rest = jax.vmap(slopes, out_axes=None)(jax.tree.map(lambda a: a[:1], x))
        except ValueError:  # a gradient depends on the row
            return None
        if len(rest) == 1:
            return None
        found = layout(f, params, x)
        pairs = zip(found.entries, gradients, strict=True)
        rows = [jnp.einsum("ko,oip->kip", g[:, 0], self.factor[at.T]) for at, g in pairs]
        rows.append((rest @ self.factor[found.rest])[:, None])
        rows = jnp.concatenate(rows, axis=1)
        return FullHead(jax.lax.map(lambda part: part @ part.T, rows))


def _through(block: jax.Array, inputs: jax.Array, gradients: jax.Array) -> jax.Array:
    """Return J F, (k, p), for J = sum over positions of outer products, F as (in, out, p)."""
    if len(inputs) == 1:
        return gradients[:, 0] @ jnp.einsum("i,iop->op", inputs[0], block)
    return jnp.einsum("ti,kto,iop->kp", inputs, gradients, block, optimize=[(0, 1), (0, 1)])


@struct
class FullHead:
    """What `Full` says of outputs whose gradients at all products are alike for all rows.

    Parameters
    ----------
    inner
        Of each output, the covariance of its inputs' coefficients, (k, in, in): all products'
        inputs side by side, and 1 for what is in none.
    """

    inner: jax.Array

    def marginals(self, f: Function, params: Any, x: Any) -> tuple[jax.Array, jax.Array]:
        """As of `Covariance`."""
        tapped = tap(f, params, x)

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            out, inputs, _ = tapped.pull(x)
            a = jnp.concatenate([*(a[0] for a in inputs), jnp.ones(1, out.dtype)])
            return out.ravel(), jnp.einsum("i,kij->kj", a, self.inner) @ a

        return jax.lax.map(one, x, batch_size=HEAD_ROWS)


def from_precision(precision: jax.Array) -> Full:
    """Return the dense covariance whose inverse is a positive definite matrix (p, p).

    A matrix that is not positive definite gives NaN, which the caller must report.
    """
    return Full(triangular_inverse(jnp.linalg.cholesky(precision)).T)


def triangular_inverse(lower: jax.Array) -> jax.Array:
    """Return the inverse of a lower triangular matrix (p, p), by halves.

    Their products are a third of the work that substitution does for all columns, and quicker.
    """
    half = len(lower) // 2
    if len(lower) <= SUBSTITUTED:
        return solve_triangular(lower, jnp.eye(len(lower), dtype=lower.dtype), lower=True)
    first, last = triangular_inverse(lower[:half, :half]), triangular_inverse(lower[half:, half:])
    below = -(last @ lower[half:, :half]) @ first
    above = jnp.zeros((half, len(lower) - half), lower.dtype)
    return jnp.block([[first, above], [below, last]])
