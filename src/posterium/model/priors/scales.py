"""Priors of positive numbers: of a noise sd, of the precision of weights, of a scale.

Each is a record with `log_prob(value)`, by entries in nats, and `sample(key, shape)`. `vanishes`
names the ends, 0 or infinity, towards which its density falls faster than any power of the value:
there it holds a mode back, however many weights draw it on. `positive` names its own numbers, which
must be above 0.
"""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from posterium._struct import struct
from posterium.model.priors.base import INFINITY, LOG_2PI, ZERO


@struct
class HalfNormal:
    """Half-normal density of a positive scale, with the sd of the untruncated normal."""

    scale: Any = 1.0

    vanishes: ClassVar[tuple[str, ...]] = (INFINITY,)
    positive: ClassVar[tuple[str, ...]] = ("scale",)

    def log_prob(self, value: jax.Array) -> jax.Array:
        """Return the log density in nats at a positive value."""
        return 0.5 * (math.log(2 / math.pi) - (value / self.scale) ** 2) - jnp.log(self.scale)

    def sample(self, key: jax.Array, shape: tuple[int, ...] = ()) -> jax.Array:
        """Draw positive values."""
        return self.scale * jnp.abs(jax.random.normal(key, shape))


@struct
class HalfCauchy:
    """Half-Cauchy density of a positive scale; `scale` is its median."""

    scale: Any = 1.0

    vanishes: ClassVar[tuple[str, ...]] = ()
    positive: ClassVar[tuple[str, ...]] = ("scale",)

    def log_prob(self, value: jax.Array) -> jax.Array:
        """Return the log density in nats at a positive value."""
        return math.log(2 / math.pi) - jnp.log(self.scale) - jnp.log1p((value / self.scale) ** 2)

    def sample(self, key: jax.Array, shape: tuple[int, ...] = ()) -> jax.Array:
        """Draw positive values."""
        return self.scale * jnp.abs(jax.random.cauchy(key, shape))


@struct
class Gamma:
    """Gamma density of a positive number with mean shape / rate.

    The one for a precision: with it a normal weight is a Student-t one with 2 shape degrees of
    freedom and scale sqrt(rate / shape), and it keeps a mode from running away.
    """

    shape: Any = 1.0
    rate: Any = 1.0

    vanishes: ClassVar[tuple[str, ...]] = (INFINITY,)
    positive: ClassVar[tuple[str, ...]] = ("shape", "rate")

    def log_prob(self, value: jax.Array) -> jax.Array:
        """Return the log density in nats at a positive value."""
        norm = self.shape * jnp.log(self.rate) - gammaln(self.shape)
        return norm + (self.shape - 1) * jnp.log(value) - self.rate * value

    def sample(self, key: jax.Array, shape: tuple[int, ...] = ()) -> jax.Array:
        """Draw positive values."""
        return jax.random.gamma(key, self.shape, shape) / self.rate


@struct
class InverseGamma:
    """Inverse gamma density of a positive number, a variance say, with mode scale / (shape + 1)."""

    shape: Any = 1.0
    scale: Any = 1.0

    vanishes: ClassVar[tuple[str, ...]] = (ZERO,)
    positive: ClassVar[tuple[str, ...]] = ("shape", "scale")

    def log_prob(self, value: jax.Array) -> jax.Array:
        """Return the log density in nats at a positive value."""
        norm = self.shape * jnp.log(self.scale) - gammaln(self.shape)
        return norm - (self.shape + 1) * jnp.log(value) - self.scale / value

    def sample(self, key: jax.Array, shape: tuple[int, ...] = ()) -> jax.Array:
        """Draw positive values."""
        return self.scale / jax.random.gamma(key, self.shape, shape)


@struct
class LogNormal:
    """Log-normal density of a positive number; `sd` is that of its logarithm."""

    median: Any = 1.0
    sd: Any = 1.0

    vanishes: ClassVar[tuple[str, ...]] = (ZERO, INFINITY)
    positive: ClassVar[tuple[str, ...]] = ("median", "sd")

    def log_prob(self, value: jax.Array) -> jax.Array:
        """Return the log density in nats at a positive value."""
        z = jnp.log(value / self.median) / self.sd
        return -0.5 * (z**2 + LOG_2PI) - jnp.log(self.sd) - jnp.log(value)

    def sample(self, key: jax.Array, shape: tuple[int, ...] = ()) -> jax.Array:
        """Draw positive values."""
        return self.median * jnp.exp(self.sd * jax.random.normal(key, shape))
