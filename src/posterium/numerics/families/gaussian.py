"""Gaussians whose covariance is diagonal, or any."""

from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import struct
from posterium.numerics import random
from posterium.numerics.covariances.dense import Diagonal, Full
from posterium.numerics.divergence import gaussian_log_prob
from posterium.numerics.families.base import (
    GaussianFamily,
    Shapes,
    floored,
    log_positive,
    positive,
    raw_of,
    triangular,
    triangular_log_det,
    triangular_solve,
)


class Whitened(GaussianFamily):
    """A Gaussian whose draws are mean + F z, from p unit normals z and a square factor F."""

    def noise(self, key: jax.Array, raw: Any, draws: int) -> jax.Array:
        mean = raw["mean"]
        return random.normal(key, (draws, mean.size), mean.dtype)

    def draw(self, raw: Any, z: jax.Array) -> jax.Array:
        return raw["mean"] + self.covariance(raw).sqrt(z)

    def log_prob_of(self, raw: Any, z: jax.Array) -> jax.Array:
        return gaussian_log_prob(z, self.log_det(raw))


@struct
class MeanField(Whitened):
    """Independent weights, a coordinate of the scale each.

    Parameters
    ----------
    cap
        Largest standard deviation, approached as cap * sigmoid(raw); None for no limit.
    """

    cap: Any = None

    def start(self, mean: jax.Array, sd: jax.Array, shapes: Shapes) -> dict[str, jax.Array]:
        raw = raw_of(sd) if self.cap is None else jnp.log(sd) - jnp.log(self.cap - sd)
        return {"mean": mean, "scale": jnp.full(mean.size, raw)}

    def sd(self, raw: Any) -> jax.Array:
        """Return the standard deviation of every weight, (p,)."""
        scale = raw["scale"]
        return positive(scale) if self.cap is None else self.cap * jax.nn.sigmoid(scale)

    def covariance(self, raw: Any) -> Diagonal:
        return Diagonal(self.sd(raw))

    def log_det(self, raw: Any) -> jax.Array:
        return 2 * jnp.sum(self._log_sd(raw))

    def log_prob(self, raw: Any, w: jax.Array) -> jax.Array:
        z = (w - raw["mean"]) / floored(self._log_sd(raw))
        return gaussian_log_prob(z, self.log_det(raw))

    def _log_sd(self, raw: Any) -> jax.Array:
        if self.cap is None:
            return log_positive(raw["scale"])
        return jax.nn.log_sigmoid(raw["scale"]) + jnp.log(self.cap)


@struct
class FullRank(Whitened):
    """Any covariance, by its Cholesky factor: coordinates (p, p), of which the lower half counts.

    The diagonal is mapped to positive numbers; what is below it is taken as it stands.
    """

    def start(self, mean: jax.Array, sd: jax.Array, shapes: Shapes) -> dict[str, jax.Array]:
        return {"mean": mean, "scale": raw_of(sd) * jnp.eye(mean.size, dtype=sd.dtype)}

    def covariance(self, raw: Any) -> Full:
        return Full(triangular(raw["scale"]))

    def log_det(self, raw: Any) -> jax.Array:
        return 2 * triangular_log_det(raw["scale"])

    def log_prob(self, raw: Any, w: jax.Array) -> jax.Array:
        z = triangular_solve(raw["scale"], w - raw["mean"])
        return gaussian_log_prob(z, self.log_det(raw))
