"""Gaussian noise: one sd for all rows, or one that the network predicts."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from posterium._struct import struct
from posterium.model.hyper import learn, value
from posterium.model.likelihoods.base import LEAST_NOISE, diagonal
from posterium.model.priors.base import LOG_2PI


def normal_log_prob(y: jax.Array, mean: jax.Array, scale: jax.Array) -> jax.Array:
    """Return the Gaussian log density in nats, summed over the last axis."""
    z = (y - mean) / scale
    return jnp.sum(-0.5 * (z**2 + LOG_2PI) - jnp.log(scale) * jnp.ones_like(z), axis=-1)


def _unit_noise() -> Any:
    return learn(1.0, floor=LEAST_NOISE)


@struct
class Gaussian:
    """Gaussian noise of one standard deviation for all rows: y ~ N(f, scale^2).

    Several targets are independent given f; with one scale a column each has a noise of its own.

    Parameters
    ----------
    scale
        Noise sd in target units: a number (fixed), or `learn(...)` (learned; sampled by samplers
        when it has a prior). One number, or one a target column. The default is learned from 1
        with floor 1e-3, for a standardised target.
    """

    scale: Any = None
    task: ClassVar[str] = "regression"
    linear_mean: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.scale is None:
            object.__setattr__(self, "scale", _unit_noise())

    def outputs(self, targets: int) -> int:
        return targets

    def log_prob(self, f: jax.Array, y: jax.Array) -> jax.Array:
        return normal_log_prob(y, f, self._spread(f))

    def _spread(self, f: jax.Array) -> jax.Array:
        """Return the noise sd of every output, (n, k)."""
        return jnp.broadcast_to(value(self.scale), f.shape)

    def moments(self, f: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return mean and noise variance of the target, each (n, k)."""
        return f, self._spread(f) ** 2

    def fisher(self, f: jax.Array) -> jax.Array:
        return diagonal(1 / self._spread(f) ** 2)

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        return f + self._spread(f) * jax.random.normal(key, f.shape, f.dtype)


@struct
class HeteroscedasticGaussian:
    """Gaussian noise whose sd the network predicts: f = (means, raw scales), 2 outputs a target.

    The sd of a row is floor + softplus(raw), in target units; `floor` is one number, or one a
    target column. Several targets are independent given f.
    """

    floor: Any = LEAST_NOISE
    task: ClassVar[str] = "regression"
    linear_mean: ClassVar[bool] = False

    def outputs(self, targets: int) -> int:
        return 2 * targets

    def split(self, f: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return mean and noise sd, each (n, k)."""
        mean, raw = jnp.split(f, 2, axis=-1)
        return mean, jnp.broadcast_to(self.floor, raw.shape) + jax.nn.softplus(raw)

    def log_prob(self, f: jax.Array, y: jax.Array) -> jax.Array:
        mean, scale = self.split(f)
        return normal_log_prob(y, mean, scale)

    def moments(self, f: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return mean and noise variance of the target, each (n, k)."""
        mean, scale = self.split(f)
        return mean, scale**2

    def fisher(self, f: jax.Array) -> jax.Array:
        _, raw = jnp.split(f, 2, axis=-1)
        _, scale = self.split(f)
        slope = jax.nn.sigmoid(raw)
        return diagonal(jnp.concatenate([1 / scale**2, 2 * (slope / scale) ** 2], axis=-1))

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        mean, scale = self.split(f)
        return mean + scale * jax.random.normal(key, mean.shape, mean.dtype)
