"""Priors with heavier tails than the normal one: a few weights may be large."""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from posterium._struct import static, struct
from posterium.model.hyper import value
from posterium.model.priors.base import ZERO, Independent, Layout


@struct
class LaplacePrior(Independent):
    """Independent double-exponential weights, ``p(w) = exp(-|w| / scale) / (2 scale)``.

    Its mode has weights at exactly 0 (the lasso; Williams 1995), its tails fall exponentially. The
    sd is sqrt(2) scale. It has no curvature: a Gaussian at the mode refuses it.

    Parameters
    ----------
    scale
        Mean absolute weight. `learn(...)` marks it as free.
    scaling, layout
        As of `Normal`: the variance is divided by the number of inputs.
    """

    scale: Any = 1.0
    scaling: str = static(default="fan_in")
    layout: Layout = static(default=())

    narrows: ClassVar[dict[str, str]] = {"scale": ZERO}
    smooth: ClassVar[bool] = False

    def log_density(self, w: jax.Array) -> jax.Array:
        scale = value(self.scale)
        return -jnp.abs(w) / scale - jnp.log(2 * scale)

    def draw(self, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        return value(self.scale) * jax.random.laplace(key, shape, dtype)


@struct
class StudentTPrior(Independent):
    """Independent Student-t weights: normal ones, each with a variance of its own.

    Tails fall like a power, ``|w|^-(df + 1)``; `df` = 1 is the Cauchy distribution. The sd is
    scale sqrt(df / (df - 2)). The density is not log-concave: beyond scale sqrt(df) its curvature
    is negative, which Laplace with structure ``"full"`` or ``"diagonal"`` takes as it is, and fails
    where the posterior's is.

    Parameters
    ----------
    df
        Degrees of freedom: the fewer, the heavier the tails.
    scale
        Of the distribution, not its sd. `learn(...)` marks either as free.
    scaling, layout
        As of `Normal`: the variance is divided by the number of inputs.
    """

    df: Any = 4.0
    scale: Any = 1.0
    scaling: str = static(default="fan_in")
    layout: Layout = static(default=())

    narrows: ClassVar[dict[str, str]] = {"scale": ZERO}
    positive: ClassVar[tuple[str, ...]] = ("df",)

    def log_density(self, w: jax.Array) -> jax.Array:
        df, scale = jnp.asarray(value(self.df), w.dtype), value(self.scale)
        norm = gammaln(0.5 * (df + 1)) - gammaln(0.5 * df) - 0.5 * jnp.log(df * math.pi)
        return norm - jnp.log(scale) - 0.5 * (df + 1) * jnp.log1p((w / scale) ** 2 / df)

    def draw(self, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        df = jnp.asarray(value(self.df), dtype)
        return value(self.scale) * jax.random.t(key, df, shape, dtype)
