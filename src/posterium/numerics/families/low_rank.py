r"""Gaussians whose covariance is a diagonal plus a part of low rank.

.. math:: S = D (I + V V^\top) D, \qquad V \in R^{p \times r}

The density goes by the r x r matrix :math:`I + V^\top V` (Woodbury; the determinant lemma). V is
relative to the diagonal, so that weights of any scale have coordinates of one size.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from posterium._struct import static, struct
from posterium.numerics import random
from posterium.numerics.covariances.low_rank import DiagonalPlusLowRank, log_det_inner, stacked_qr
from posterium.numerics.divergence import gaussian_log_prob
from posterium.numerics.families.base import (
    GaussianFamily,
    Shapes,
    floored,
    log_positive,
    positive,
    raw_of,
)

SPREAD = 0.01
"""Standard deviation of V's entries at the start; V = 0 is a saddle, which exact slopes keep."""


@struct
class LowRank(GaussianFamily):
    """A diagonal covariance plus one of low rank (Ong, Nott and Smith 2018).

    A draw takes p + r unit normals and about 2 p r multiplications; a density about 6 p r^2.

    Parameters
    ----------
    rank
        The rank r: directions in which weights may vary together.
    """

    rank: int = static(default=10)

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(
                f"LowRank expects a rank of at least 1; got {self.rank}. Without the part of low "
                "rank it is family='mean_field'."
            )

    def start(self, mean: jax.Array, sd: jax.Array, shapes: Shapes) -> dict[str, jax.Array]:
        """Return coordinates of nearly independent weights: their correlations are about 1e-4."""
        shape = mean.size, self.rank
        factor = SPREAD * jax.random.normal(jax.random.key(0), shape, mean.dtype)
        scale = sd / jnp.sqrt(1 + jnp.sum(factor**2, axis=1))
        return {"mean": mean, "scale": raw_of(scale), "factor": factor}

    def noise(self, key: jax.Array, raw: Any, draws: int) -> jax.Array:
        """Return unit normals (s, p + r): those of the diagonal, then those of the columns."""
        count = raw["mean"].size + self.rank
        return random.normal(key, (draws, count), raw["mean"].dtype)

    def draw(self, raw: Any, z: jax.Array) -> jax.Array:
        return raw["mean"] + positive(raw["scale"]) * self._spread(raw, z)

    def log_prob(self, raw: Any, w: jax.Array) -> jax.Array:
        return self._density(raw, (w - raw["mean"]) / floored(log_positive(raw["scale"])))

    def log_prob_of(self, raw: Any, z: jax.Array) -> jax.Array:
        return self._density(raw, self._spread(raw, z))

    def covariance(self, raw: Any) -> DiagonalPlusLowRank:
        return DiagonalPlusLowRank(positive(raw["scale"]), raw["factor"])

    def log_det(self, raw: Any) -> jax.Array:
        return self._log_det(raw, stacked_qr(raw["factor"])[1])

    def _spread(self, raw: Any, z: jax.Array) -> jax.Array:
        """Return the offset of a draw from the mean, in units of the diagonal."""
        return z[: -self.rank] + raw["factor"] @ z[-self.rank :]

    def _density(self, raw: Any, offset: jax.Array) -> jax.Array:
        """Return the log density at an offset from the mean in units of the diagonal, (p,).

        The quadratic form is the least of |offset - V e|^2 + |e|^2 over e (r,): a sum of squares,
        where Woodbury's formula is a difference of large numbers.
        """
        q, root = stacked_qr(raw["factor"])
        shared = solve_triangular(root, q[self.rank :].T @ offset)
        own = offset - raw["factor"] @ shared
        density = gaussian_log_prob(own, self._log_det(raw, root))
        return density - 0.5 * jnp.sum(shared**2)

    def _log_det(self, raw: Any, root: jax.Array) -> jax.Array:
        return 2 * jnp.sum(log_positive(raw["scale"])) + log_det_inner(root)
