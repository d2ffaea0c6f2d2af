"""Families of Gaussians in coordinates that an optimiser may move freely.

Each is a record with `start(count, sd)` (coordinates of independent weights with one sd),
`covariance(raw)` (an operator) and `log_det(raw)`. Values and gradients stay finite in float32 for
coordinates from -1e4 to 1e4.
"""

from typing import Any, Protocol

import jax
import jax.numpy as jnp

from posterium._struct import struct
from posterium.numerics.covariances.base import Covariance
from posterium.numerics.covariances.dense import Diagonal, Full


class Family(Protocol):
    """A set of covariances over p weights."""

    def start(self, count: int, sd: jax.Array) -> jax.Array:
        """Return the coordinates of `count` independent weights with one standard deviation."""
        ...

    def covariance(self, raw: jax.Array) -> Covariance:
        """Return the covariance operator."""
        ...

    def log_det(self, raw: jax.Array) -> jax.Array:
        """Return the covariance's log determinant, also where a scale underflows."""
        ...


def positive(raw: jax.Array) -> jax.Array:
    """Return a positive scale: exp(raw) up to 1, the line 1 + raw above."""
    return jnp.exp(jnp.minimum(raw, 0)) + jnp.maximum(raw, 0)


def log_positive(raw: jax.Array) -> jax.Array:
    """Return the log of `positive(raw)` without forming it."""
    return jnp.minimum(raw, 0) + jnp.log1p(jnp.maximum(raw, 0))


def raw_of(scale: jax.Array) -> jax.Array:
    """Return the coordinate of a positive scale."""
    return jnp.where(scale > 1, scale - 1, jnp.log(scale))


@struct
class MeanField:
    """Independent weights, a coordinate each.

    Parameters
    ----------
    cap
        Largest standard deviation, approached as cap * sigmoid(raw); None for no limit.
    """

    cap: Any = None

    def start(self, count: int, sd: jax.Array) -> jax.Array:
        raw = raw_of(sd) if self.cap is None else jnp.log(sd) - jnp.log(self.cap - sd)
        return jnp.full(count, raw)

    def covariance(self, raw: jax.Array) -> Diagonal:
        sd = positive(raw) if self.cap is None else self.cap * jax.nn.sigmoid(raw)
        return Diagonal(sd)

    def log_det(self, raw: jax.Array) -> jax.Array:
        if self.cap is None:
            return 2 * jnp.sum(log_positive(raw))
        return 2 * (jnp.sum(jax.nn.log_sigmoid(raw)) + raw.size * jnp.log(self.cap))


@struct
class FullRank:
    """Any covariance, by its Cholesky factor: coordinates (p, p), of which the lower half counts.

    The diagonal is mapped to positive numbers; what is below it is taken as it stands.
    """

    def start(self, count: int, sd: jax.Array) -> jax.Array:
        return raw_of(sd) * jnp.eye(count, dtype=sd.dtype)

    def covariance(self, raw: jax.Array) -> Full:
        return Full(jnp.tril(raw, -1) + jnp.diag(positive(jnp.diagonal(raw))))

    def log_det(self, raw: jax.Array) -> jax.Array:
        return 2 * jnp.sum(log_positive(jnp.diagonal(raw)))
