r"""Structures: how the curvature of a sum over rows is kept, and what a Gaussian takes from it.

The curvature in the weights is :math:`C = \sum_g c_g \sum_i w_i J_i^T R_{ig} R_{ig}^T J_i` with J
the Jacobian of the outputs, R a square root of the loss' curvature in them and groups g of columns,
each counted by a factor c (the precision of an output's noise) that may still move. The precision
of the weights is C + diag(tau).

A structure is a record with `work` (what a row costs), `sums` (of a batch, added up leaf by leaf),
`prepare` (once, after the last batch), and then `covariance`, `log_det` and `diagonal` at any
factors and any tau.
"""

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from posterium._struct import static, struct
from posterium.numerics import curvature, kronecker, trees
from posterium.numerics.operators import (
    Covariance,
    Diagonal,
    KroneckerBlock,
    KroneckerCovariance,
    LowRankCovariance,
    from_precision,
)
from posterium.numerics.taps import Tapped, tap

Function = Callable[[Any, Any], jax.Array]
"""`f(params, x)`: batch in, outputs (n, k) out; it treats rows alone."""


class Structure(Protocol):
    """What is kept of the curvature."""

    def work(self, entries: int) -> int:
        """Return about how many multiplications a row takes whose Jacobian has so many entries."""
        ...

    def sums(self, f: Function, params: Any, x: Any, root: jax.Array, weight: jax.Array) -> Any:
        """Return the curvature summed over the rows of a batch: a pytree to be added up.

        Parameters
        ----------
        f, params, x
            A function, its weights, and a batch with leading axis n.
        root
            A square root of each row's curvature in the outputs, (n, k, g, r): r columns for each
            of g groups.
        weight
            Weights of the rows, (n,), 0 for padding.
        """
        ...

    def prepare(self, sums: Any, f: Function, params: Any, x: Any, tau: jax.Array) -> Any:
        """Return what the methods below take, at any factors and tau; soonest at this tau."""
        ...

    def covariance(self, ready: Any, factor: jax.Array, tau: jax.Array) -> Covariance:
        """Return the inverse of the precision, at factors (g,) and tau (p,)."""
        ...

    def log_det(self, ready: Any, factor: jax.Array, tau: jax.Array) -> jax.Array:
        """Return the log determinant of the precision, differentiable in both."""
        ...

    def diagonal(self, ready: Any, factor: jax.Array) -> jax.Array:
        """Return the diagonal of the curvature, (p,)."""
        ...


def pull(f: Function, params: Any, x: Any, root: jax.Array) -> jax.Array:
    """Return (R^T J) of every row, (n, g, r, p): the Jacobian in the coordinates of the root."""

    def one(x: Any, root: jax.Array) -> jax.Array:
        out, back = jax.vjp(lambda params: f(params, jax.tree.map(lambda a: a[None], x))[0], params)

        def row(column: jax.Array) -> jax.Array:
            return trees.vector(back(column.astype(out.dtype))[0])

        return jax.vmap(jax.vmap(row))(jnp.moveaxis(root, 0, -1))

    return jax.vmap(one)(x, root)


class _Entries:
    """What the two structures that keep entries of the matrix share."""

    letters: str

    def sums(self, f: Function, params: Any, x: Any, root: jax.Array, weight: jax.Array) -> Any:
        """Add up in tiles, so that Jacobians stay within a budget."""

        def of_tile(rows: Any) -> jax.Array:
            (x, root), weight = rows
            slopes = pull(f, params, x, root)
            return jnp.einsum(self.letters, weight, slopes, slopes)

        size = trees.vector(params).size
        tile = curvature.tile_rows(len(weight), root[0, 0].size, size, root.dtype.itemsize)
        return curvature.sum_tiles(of_tile, ((x, root), weight), tile)

    def prepare(
        self, sums: jax.Array, f: Function, params: Any, x: Any, tau: jax.Array
    ) -> jax.Array:
        return sums


@struct
class FullCurvature(_Entries):
    """All p x p entries."""

    letters = "n,ngrp,ngrq->gpq"

    def work(self, entries: int) -> int:
        return entries**2

    def sums(self, f: Function, params: Any, x: Any, root: jax.Array, weight: jax.Array) -> Any:
        tapped, layout = tap(f, params, x), kronecker.layout(f, params, x)
        if [product.positions for product in tapped.products] == [1]:
            (entries,) = layout.entries
            if entries.size == trees.count(params):
                return _one_product(tapped, entries, x, root, weight)
        return super().sums(f, params, x, root, weight)

    def precision(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> jax.Array:
        """Return the precision, (p, p); tau may be a matrix, of a prior with correlations."""
        own = tau if tau.ndim == 2 else jnp.diag(tau)
        return jnp.tensordot(factor, ready, 1) + own

    def covariance(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> Covariance:
        return from_precision(self.precision(ready, factor, tau))

    def log_det(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> jax.Array:
        lower = jnp.linalg.cholesky(self.precision(ready, factor, tau))
        return 2 * jnp.sum(jnp.log(jnp.diagonal(lower)))

    def diagonal(self, ready: jax.Array, factor: jax.Array) -> jax.Array:
        return factor @ jnp.diagonal(ready, axis1=1, axis2=2)


def _one_product(
    tapped: Tapped, entries: np.ndarray, x: Any, root: jax.Array, weight: jax.Array
) -> jax.Array:
    """Return the matrices (g, p, p) of a function with one product alone, as a last layer.

    The Jacobian of a row is an outer product of the input and a gradient: it is never formed.
    """

    def one(x: Any, root: jax.Array) -> tuple[jax.Array, jax.Array]:
        out, (inputs,), back = tapped.pull(x)
        columns = jnp.moveaxis(root, 0, -1).astype(out.dtype)
        (gradients,), _ = jax.vmap(jax.vmap(back))(columns)
        gradients = gradients[:, :, 0]
        return inputs[0], jnp.einsum("gra,grb->gab", gradients, gradients)

    def of_tile(rows: Any) -> jax.Array:
        (x, root), weight = rows
        inputs, outer = jax.vmap(one)(x, root)
        found = jnp.einsum("n,ni,nj,ngab->giajb", weight, inputs, inputs, outer)
        return found.reshape(-1, entries.size, entries.size)

    size = entries.size * entries.shape[1] * root.shape[2]
    tile = curvature.tile_rows(len(weight), 1, size, root.dtype.itemsize)
    found = curvature.sum_tiles(of_tile, ((x, root), weight), tile)
    order = np.argsort(entries.ravel())
    return found[:, order[:, None], order]


@struct
class DiagonalCurvature(_Entries):
    """The p entries of the diagonal."""

    letters = "n,ngrp,ngrp->gp"

    def work(self, entries: int) -> int:
        return entries

    def precision(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> jax.Array:
        """Return the diagonal of the precision, (p,)."""
        return factor @ ready + tau

    def covariance(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> Covariance:
        return Diagonal(1 / jnp.sqrt(self.precision(ready, factor, tau)))

    def log_det(self, ready: jax.Array, factor: jax.Array, tau: jax.Array) -> jax.Array:
        return jnp.sum(jnp.log(self.precision(ready, factor, tau)))

    def diagonal(self, ready: jax.Array, factor: jax.Array) -> jax.Array:
        return factor @ ready


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

    def work(self, entries: int) -> int:
        return entries

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


@struct
class Sketch:
    """What a matrix H makes of a random one, Omega, for each group.

    Parameters
    ----------
    image
        H Omega, (g, p, q).
    core
        Omega^T H Omega, (g, q, q).
    """

    image: jax.Array
    core: jax.Array

    def root(self, factor: jax.Array) -> jax.Array:
        """Return F (p, q) with F F^T the part of H that was seen: its Nystrom approximation.

        Rounding makes a core of lower rank indefinite; what is added is of its size.
        """
        core = jnp.tensordot(factor, self.core, 1)
        shift = 4 * jnp.finfo(core.dtype).eps * jnp.trace(core)
        lower = jnp.linalg.cholesky(0.5 * (core + core.T) + shift * jnp.eye(len(core)))
        image = jnp.tensordot(factor, self.image, 1)
        return solve_triangular(lower, image.T, lower=True).T


@struct
class LowRankCurvature:
    """A matrix of low rank, found in one pass by a random sketch (Tropp et al. 2017).

    It is exact where the rank of the curvature, at most the number of rows times outputs, does not
    exceed `rank`; what is left out makes the Gaussian wider.

    Parameters
    ----------
    rank
        Columns q of the sketch; p x q numbers are kept for each output with a noise of its own.
    seed
        Of the sketch.
    """

    rank: int = static(default=100)
    seed: int = static(default=0)

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank must be at least 1; got {self.rank}.")

    def work(self, entries: int) -> int:
        return entries * self.rank

    def _omega(self, size: int, dtype: Any) -> jax.Array:
        """Return the random matrix (p, q); units where it would be square."""
        if self.rank >= size:
            return jnp.diag(jnp.ones(size, dtype))
        return jax.random.normal(jax.random.key(self.seed), (size, self.rank), dtype)

    def sums(
        self, f: Function, params: Any, x: Any, root: jax.Array, weight: jax.Array
    ) -> jax.Array:
        vector, unravel = trees.ravel(params)
        omega = self._omega(vector.size, vector.dtype)

        def of_tile(rows: Any) -> jax.Array:
            (x, root), weight = rows
            out, push = jax.linearize(lambda v: f(unravel(v), x), vector)
            back = jax.linear_transpose(push, vector)

            def column(direction: jax.Array) -> jax.Array:
                seen = jnp.einsum("nkgr,nk->ngr", root, push(direction)) * weight[:, None, None]
                pushed = jnp.einsum("nkgr,ngr->gnk", root, seen).astype(out.dtype)
                return jax.vmap(lambda u: back(u)[0])(pushed)

            columns = jax.lax.map(column, omega.T, batch_size=curvature.TANGENTS)
            return jnp.moveaxis(columns, 0, -1)

        tile = curvature.tile_rows(len(weight), 1, vector.size, vector.dtype.itemsize)
        return curvature.sum_tiles(of_tile, ((x, root), weight), tile)

    def prepare(self, sums: jax.Array, f: Function, params: Any, x: Any, tau: jax.Array) -> Sketch:
        omega = self._omega(sums.shape[1], sums.dtype)
        return Sketch(sums, jnp.einsum("pq,gpr->gqr", omega, sums))

    def covariance(self, ready: Sketch, factor: jax.Array, tau: jax.Array) -> Covariance:
        scale = 1 / jnp.sqrt(tau)
        root = scale[:, None] * ready.root(factor)
        values, vectors = jnp.linalg.eigh(root.T @ root)
        return LowRankCovariance(scale, root @ vectors, jnp.maximum(values, 0))

    def log_det(self, ready: Sketch, factor: jax.Array, tau: jax.Array) -> jax.Array:
        root = ready.root(factor) / jnp.sqrt(tau)[:, None]
        seen = jnp.linalg.slogdet(jnp.eye(root.shape[1]) + root.T @ root)[1]
        return jnp.sum(jnp.log(tau)) + seen

    def diagonal(self, ready: Sketch, factor: jax.Array) -> jax.Array:
        return jnp.sum(ready.root(factor) ** 2, axis=1)


NAMED: dict[str, Structure] = {
    "full": FullCurvature(),
    "kronecker": KroneckerCurvature(),
    "low_rank": LowRankCurvature(),
    "diagonal": DiagonalCurvature(),
}
"""Structures by name, with their default settings."""
