"""The structure of a Kronecker product for every product of a weight matrix."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import static, struct
from posterium.numerics import kronecker
from posterium.numerics.covariances.base import Covariance, Function
from posterium.numerics.covariances.kronecker import KroneckerBlock, KroneckerCovariance


@struct
class Spectrum:
    r"""A Kronecker block :math:`a \otimes b` of a weight matrix (in, out), taken apart once.

    All rows of the matrix have one tau but the last, which may be a bias: tau diag(1, ..., 1, r).
    Eigenvalues are those at the ratio r of the model at hand; another one is a change of rank one
    in each eigenspace of b.

    Parameters
    ----------
    a
        Sum of a a^T over the rows' inputs, by their number, (in, in).
    b
        Sums of g g^T over the rows' gradients, (g, out, out).
    ratio
        The ratio r.
    inner
        Eigenvalues (in,) and eigenvectors (in, in) of a / sqrt(r) on both sides.
    outer
        Those of b where there is one group, else None.
    entries
        Where the entries stand in the vector of all weights, (in, out).
    """

    a: jax.Array
    b: jax.Array
    ratio: jax.Array
    inner: tuple[jax.Array, jax.Array]
    outer: tuple[jax.Array, jax.Array] | None
    entries: jax.Array

    def outer_at(self, factor: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return eigenvalues (out,) and eigenvectors (out, out) of the sum over groups."""
        if self.outer is not None:
            return factor[0] * self.outer[0], self.outer[1]
        return eigh(jnp.tensordot(factor, self.b, 1))

    def precisions(self, tau: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the tau of the matrix, and the ratio to it of its last row's."""
        own = tau[self.entries[0, 0]]
        return own, tau[self.entries[-1, 0]] / own

    def log_det(self, factor: jax.Array, tau: jax.Array) -> jax.Array:
        """Return the log determinant of the block's precision: no eigenvalue is computed again."""
        own, ratio = self.precisions(tau)
        values = self.inner[0][:, None] * self.outer_at(factor)[0][None] + own
        change = own * (ratio / self.ratio - 1) * (self.inner[1][-1] ** 2 @ (1 / values))
        scale = self.entries.shape[1] * jnp.log(self.ratio)
        return jnp.sum(jnp.log(values)) + jnp.sum(jnp.log1p(change)) + scale

    def block(self, factor: jax.Array, tau: jax.Array) -> KroneckerBlock:
        """Return the covariance of the block."""
        own, ratio = self.precisions(tau)
        inner, left = jax.lax.cond(
            ratio == self.ratio, lambda: self.inner, lambda: whitened(self.a, ratio)
        )
        outer, right = self.outer_at(factor)
        values = inner[:, None] * outer[None] + own
        return KroneckerBlock(left / _last(left, ratio), right, 1 / jnp.sqrt(values), self.entries)


def eigh(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return eigenvalues, without those that rounding makes negative, and eigenvectors."""
    values, vectors = jnp.linalg.eigh(matrix)
    return jnp.maximum(values, 0), vectors


def whitened(a: jax.Array, ratio: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Take a matrix apart whose last row and column are divided by the root of a ratio."""
    scale = _last(a, ratio)
    return eigh(a / scale / scale.T)


def _last(matrix: jax.Array, ratio: jax.Array) -> jax.Array:
    """Return ones but for the root of a ratio at the end, (in, 1)."""
    return jnp.ones_like(matrix[:, :1]).at[-1, 0].set(jnp.sqrt(ratio))


@struct
class KroneckerReady:
    """The blocks of all products, and the diagonal of what is in none.

    Parameters
    ----------
    blocks
        One a product.
    rest
        Diagonals of the curvature of all other weights, (g, q); those that are never used last.
    places
        Where those stand in the vector of all weights, (q,).
    """

    blocks: tuple[Spectrum, ...]
    rest: jax.Array
    places: jax.Array


@struct
class KroneckerCurvature:
    """A Kronecker product for every product of a weight matrix, the exact diagonal elsewhere.

    The prior must have one precision for all weights of an array. A bias may have its own.

    Parameters
    ----------
    sharing
        ``"expand"`` or ``"reduce"``, for weights that positions of a row share; see `kronecker`.
    """

    sharing: str = static(default="expand")

    def __post_init__(self) -> None:
        if self.sharing not in kronecker.SHARING:
            known = " or ".join(map(repr, kronecker.SHARING))
            raise ValueError(f"sharing must be {known}; got {self.sharing!r}.")

    def work(self, outputs: int, weights: int) -> int:
        return outputs * weights

    def sums(self, f: Function, params: Any, x: Any, root: jax.Array, weight: jax.Array) -> Any:
        def of_group(root: jax.Array) -> kronecker.Factors:
            return kronecker.factors(f, params, x, root, weight, sharing=self.sharing)

        return jax.vmap(of_group, in_axes=2)(root)

    def prepare(
        self, sums: Any, f: Function, params: Any, x: Any, tau: jax.Array
    ) -> KroneckerReady:
        layout = kronecker.layout(f, params, x)
        pairs = zip(sums.blocks, layout.entries, strict=True)
        blocks = tuple(_spectrum(block, jnp.asarray(places), tau) for block, places in pairs)
        known = np.concatenate([layout.rest, *(entries.ravel() for entries in layout.entries)])
        unused = np.setdiff1d(np.arange(tau.size), known)
        rest = jnp.pad(sums.diagonal, ((0, 0), (0, unused.size)))
        return KroneckerReady(blocks, rest, jnp.asarray(np.concatenate([layout.rest, unused])))

    def covariance(self, ready: KroneckerReady, factor: jax.Array, tau: jax.Array) -> Covariance:
        blocks = tuple(block.block(factor, tau) for block in ready.blocks)
        rest = factor @ ready.rest + tau[ready.places]
        return KroneckerCovariance(blocks, 1 / jnp.sqrt(rest), ready.places)

    def log_det(self, ready: KroneckerReady, factor: jax.Array, tau: jax.Array) -> jax.Array:
        parts = [block.log_det(factor, tau) for block in ready.blocks]
        rest = jnp.sum(jnp.log(factor @ ready.rest + tau[ready.places]))
        return sum(parts, rest)

    def diagonal(self, ready: KroneckerReady, factor: jax.Array) -> jax.Array:
        size = ready.places.size + sum(block.entries.size for block in ready.blocks)
        found = jnp.zeros(size, factor.dtype).at[ready.places].set(factor @ ready.rest)
        for block in ready.blocks:
            inner = jnp.diagonal(block.a)
            outer = factor @ jnp.diagonal(block.b, axis1=1, axis2=2)
            found = found.at[block.entries].set(inner[:, None] * outer[None])
        return found


def _spectrum(block: kronecker.Block, entries: jax.Array, tau: jax.Array) -> Spectrum:
    """Take a block apart; its first factor is the same in all groups."""
    a = block.a[0] / jnp.where(block.count[0] > 0, block.count[0], 1)
    ratio = tau[entries[-1, 0]] / tau[entries[0, 0]]
    outer = eigh(block.b[0]) if len(block.b) == 1 else None
    return Spectrum(a, block.b, ratio, whitened(a, ratio), outer, entries)
