r"""Precision operators: a Gaussian by a root W of its precision, :math:`S^{-1} = W^T W`.

A density needs the precision where draws need the covariance. Each operator is a record with
`whiten(v)` (W v: unit normals from an offset), `colour(z)` (its inverse), `diagonal()` and
`dense()` of the precision, and `log_det()` of it. `precision` makes one from a covariance.
"""

from functools import singledispatch
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from scipy import linalg

from posterium._struct import static, struct
from posterium.numerics.covariances.blocks import BlockDiagonal, by_place
from posterium.numerics.covariances.dense import Diagonal, Full
from posterium.numerics.covariances.embedded import Embedded
from posterium.numerics.covariances.functional import FunctionalCovariance
from posterium.numerics.covariances.kronecker import KroneckerCovariance
from posterium.numerics.covariances.low_rank import DiagonalPlusLowRank, LowRankCovariance


class Precision(Protocol):
    """A precision matrix over p weights, (p, p), by what can be done with a root of it."""

    def whiten(self, offset: jax.Array) -> jax.Array:
        """Map an offset from the mean (p,) to unit normals (p,)."""
        ...

    def colour(self, z: jax.Array) -> jax.Array:
        """Map unit normals (p,) to an offset from the mean (p,)."""
        ...

    def diagonal(self) -> jax.Array:
        """Return the diagonal of the precision, (p,)."""
        ...

    def dense(self) -> jax.Array:
        """Return the precision, (p, p)."""
        ...

    def log_det(self) -> jax.Array:
        """Return its log determinant."""
        ...


@struct
class DiagonalPrecision:
    """Independent weights, by the inverse of their standard deviations (p,)."""

    root: Any

    def whiten(self, offset: jax.Array) -> jax.Array:
        return self.root * offset

    def colour(self, z: jax.Array) -> jax.Array:
        return z / self.root

    def diagonal(self) -> jax.Array:
        return self.root**2

    def dense(self) -> jax.Array:
        return jnp.diag(self.root**2)

    def log_det(self) -> jax.Array:
        return 2 * jnp.sum(jnp.log(self.root))


@struct
class FullPrecision:
    """A dense precision, by its lower triangular root W (p, p) with a positive diagonal."""

    root: Any

    def whiten(self, offset: jax.Array) -> jax.Array:
        return self.root @ offset

    def colour(self, z: jax.Array) -> jax.Array:
        return solve_triangular(self.root, z, lower=True)

    def diagonal(self) -> jax.Array:
        return jnp.sum(self.root**2, axis=0)

    def dense(self) -> jax.Array:
        return self.root.T @ self.root

    def log_det(self) -> jax.Array:
        return 2 * jnp.sum(jnp.log(jnp.diagonal(self.root)))


@struct
class KroneckerRoot:
    """A block of weights V (in, out) with left V right^T / sd independent unit normals.

    Parameters
    ----------
    left, right
        Matrices (in, in) and (out, out).
    left_inverse, right_inverse
        Their inverses.
    sd
        Standard deviations, (in, out).
    entries
        Where the entries of V stand in the vector of all weights, (in, out).
    """

    left: Any
    right: Any
    left_inverse: Any
    right_inverse: Any
    sd: Any
    entries: Any


@struct
class KroneckerPrecision:
    """Independent Kronecker blocks, and independent weights besides.

    Parameters
    ----------
    blocks
        One a matrix of weights.
    root
        Inverse standard deviations of all other weights, (q,).
    places
        Where those stand in the vector of all weights, (q,).
    """

    blocks: tuple[KroneckerRoot, ...]
    root: Any
    places: Any

    def whiten(self, offset: jax.Array) -> jax.Array:
        found = offset.at[self.places].multiply(self.root)
        for b in self.blocks:
            inner = b.left @ offset[b.entries] @ b.right.T / b.sd
            found = found.at[b.entries].set(inner)
        return found

    def colour(self, z: jax.Array) -> jax.Array:
        found = z.at[self.places].divide(self.root)
        for b in self.blocks:
            inner = b.left_inverse @ (b.sd * z[b.entries]) @ b.right_inverse.T
            found = found.at[b.entries].set(inner)
        return found

    def diagonal(self) -> jax.Array:
        found = jnp.zeros_like(self.root, shape=self.size()).at[self.places].set(self.root**2)
        for b in self.blocks:
            own = (b.left**2).T @ (1 / b.sd**2) @ b.right**2
            found = found.at[b.entries].set(own)
        return found

    def dense(self) -> jax.Array:
        root = jax.vmap(self.whiten, in_axes=1, out_axes=1)(
            jnp.diag(jnp.ones_like(self.root, shape=self.size()))
        )
        return root.T @ root

    def log_det(self) -> jax.Array:
        total = 2 * jnp.sum(jnp.log(self.root))
        for b in self.blocks:
            rows, columns = b.sd.shape
            turns = columns * jnp.linalg.slogdet(b.left)[1]
            turns += rows * jnp.linalg.slogdet(b.right)[1]
            total += 2 * (turns - jnp.sum(jnp.log(b.sd)))
        return total

    def size(self) -> int:
        """Return the number of weights p."""
        return self.places.size + sum(block.entries.size for block in self.blocks)


@struct
class LowRankPrecision:
    r"""A diagonal precision and one of low rank, :math:`D^{-1} (I + B B^T)^{\pm 1} D^{-1}`.

    Parameters
    ----------
    scale
        The diagonal of D, (p,).
    basis
        B (p, q), with orthogonal columns.
    values
        The squared norms of its columns, (q,).
    power
        1 where the second part adds to the precision, -1 where it adds to the covariance.
    """

    scale: Any
    basis: Any
    values: Any
    power: int = static(default=1)

    def whiten(self, offset: jax.Array) -> jax.Array:
        scaled = offset / self.scale
        return scaled + self.basis @ (self._gain(0.5 * self.power) * (self.basis.T @ scaled))

    def colour(self, z: jax.Array) -> jax.Array:
        inner = self._gain(-0.5 * self.power) * (self.basis.T @ z)
        return self.scale * (z + self.basis @ inner)

    def _gain(self, power: float) -> jax.Array:
        """Return g (q,) with I + B diag(g) B^T = (I + B B^T)^power."""
        length = jnp.where(self.values > 0, self.values, 1)
        return jnp.expm1(power * jnp.log1p(self.values)) / length

    def diagonal(self) -> jax.Array:
        return (1 + self.basis**2 @ self._gain(self.power)) / self.scale**2

    def dense(self) -> jax.Array:
        scaled = self.basis / self.scale[:, None]
        return jnp.diag(1 / self.scale**2) + (scaled * self._gain(self.power)[None]) @ scaled.T

    def log_det(self) -> jax.Array:
        return self.power * jnp.sum(jnp.log1p(self.values)) - 2 * jnp.sum(jnp.log(self.scale))


@struct
class FunctionalPrecision:
    """The inverse of a covariance by the kernel between rows, which it is made of."""

    covariance: FunctionalCovariance

    def whiten(self, offset: jax.Array) -> jax.Array:
        return self.covariance.inverse_sqrt(offset)

    def colour(self, z: jax.Array) -> jax.Array:
        return self.covariance.sqrt(z)

    def diagonal(self) -> jax.Array:
        columns = self.covariance.columns
        return (1 + columns.squares()) / columns.scale**2

    def dense(self) -> jax.Array:
        units = jnp.diag(jnp.ones_like(self.covariance.columns.scale))
        root = jax.lax.map(self.whiten, units)
        return root @ root.T

    def log_det(self) -> jax.Array:
        return -self.covariance.log_det()


@singledispatch
def precision(covariance: Any) -> Precision:
    """Return the precision of a covariance whose arrays are on the host, in their precision."""
    return precision(Full(_cholesky(covariance)))


def _cholesky(covariance: Any) -> Any:
    return np.linalg.cholesky(np.asarray(covariance.dense()))


@precision.register
def _(covariance: Embedded) -> Precision:
    raise ValueError(
        "Expected a posterior in which all weights vary; some of this one have a point estimate, "
        "so it has no precision and cannot be a prior. Fit it without point estimates."
    )


@precision.register
def _(covariance: Diagonal) -> DiagonalPrecision:
    return DiagonalPrecision(1 / np.asarray(covariance.sd))


@precision.register
def _(covariance: Full) -> FullPrecision:
    upper: Any = np.linalg.qr(np.asarray(covariance.factor).T, mode="r")
    upper *= np.sign(np.diagonal(upper))[:, None]
    identity = np.eye(len(upper), dtype=upper.dtype)
    return FullPrecision(linalg.solve_triangular(upper, identity, trans="T"))


@precision.register
def _(covariance: KroneckerCovariance) -> KroneckerPrecision:
    def root(block: Any) -> KroneckerRoot:
        left, right = np.asarray(block.left), np.asarray(block.right)
        inverses = np.linalg.inv(left), np.linalg.inv(right)
        sd, entries = np.asarray(block.sd), np.asarray(block.entries)
        return KroneckerRoot(*inverses, left, right, sd, entries)

    blocks = tuple(map(root, covariance.blocks))
    return KroneckerPrecision(blocks, 1 / np.asarray(covariance.sd), np.asarray(covariance.places))


@precision.register
def _(covariance: LowRankCovariance) -> LowRankPrecision:
    own = covariance.scale, covariance.basis, covariance.values
    scale, basis, values = map(np.asarray, own)
    return LowRankPrecision(scale, basis, values)


@precision.register
def _(covariance: DiagonalPlusLowRank) -> LowRankPrecision:
    factor = np.asarray(covariance.factor)
    _, roots, directions = np.linalg.svd(factor, full_matrices=False)
    basis: Any = factor @ directions.T
    return LowRankPrecision(np.asarray(covariance.scale), basis, roots**2, power=-1)


@precision.register
def _(covariance: BlockDiagonal) -> Precision:
    """Kronecker products and independent weights by their factors, others by the whole matrix."""
    placed = by_place(covariance)
    return precision(Full(_cholesky(covariance)) if placed is None else placed)
