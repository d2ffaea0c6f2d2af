"""The structure of low rank, by a random sketch of the curvature."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from posterium._struct import static, struct
from posterium.numerics import curvature, trees
from posterium.numerics.covariances.base import Covariance, Function
from posterium.numerics.covariances.low_rank import LowRankCovariance


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

    def work(self, outputs: int, weights: int) -> int:
        return outputs * weights * self.rank

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
