r"""Student-t noise: Gaussian in the middle, tails that forgive single bad rows.

.. math:: \log p(y \mid f) = \log\Gamma\tfrac{\nu+1}{2} - \log\Gamma\tfrac{\nu}{2}
    - \tfrac12\log(\pi\nu) - \log\sigma
    - \tfrac{\nu+1}{2}\log\bigl(1 + (y-f)^2 / (\nu\sigma^2)\bigr)

The degrees of freedom df (nu) say how heavy the tails are: 1 is Cauchy noise, infinity Gaussian.
The variance is scale^2 df / (df - 2), infinite up to df = 2; the mean exists above df = 1. Expected
Fisher information as in lange1989.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from posterium._struct import struct
from posterium.model.hyper import learn, value
from posterium.model.likelihoods.base import LEAST_NOISE, diagonal, softplus_scale
from posterium.model.priors.base import LOG_2PI
from posterium.model.priors.scales import HalfNormal

STEPS = 10
"""By which a gamma function's argument is moved up."""
SERIES = (-1 / 8, 1 / 192, -1 / 640, 17 / 14336, -31 / 18432)
"""Of log Gamma(x + 1/2) - log Gamma(x) - log(x) / 2 in odd powers of 1 / x."""


def log_constant(df: Any) -> jax.Array:
    """Return log Gamma((df + 1) / 2) - log Gamma(df / 2) - log(pi df) / 2, to 1e-13.

    By its series at an argument ten steps up, and the ratios on the way there: the digits of a
    difference of gamma functions stay, and it takes a third of their time to compile.
    """
    x = jnp.asarray(df) / 2
    steps = jnp.arange(STEPS, dtype=x.dtype).reshape((1,) * x.ndim + (STEPS,))
    down = jnp.sum(jnp.log1p(-1 / (2 * (x[..., None] + steps) + 1)), axis=-1)
    r = 1 / (x + STEPS)
    series = r * jnp.polyval(jnp.array(SERIES[::-1], x.dtype), r**2)
    return down + 0.5 * jnp.log1p(STEPS / x) - 0.5 * LOG_2PI + series


def student_t_log_prob(y: Any, location: Any, scale: Any, df: Any) -> jax.Array:
    """Return the Student-t log density in nats, summed over the last axis."""
    z = (y - location) / scale
    each = log_constant(df) - jnp.log(scale) - 0.5 * (df + 1) * jnp.log1p(z**2 / df)
    return jnp.sum(each, axis=-1)


def student_t_moments(location: Any, scale: Any, df: Any) -> tuple[jax.Array, jax.Array]:
    """Return mean and variance: NaN where there is none, the variance infinite up to df = 2."""
    spread = jnp.where(df > 2, df / jnp.where(df > 2, df - 2, 1), jnp.inf)
    mean = jnp.where(df > 1, location, jnp.nan)
    return mean, jnp.where(df > 1, spread, jnp.nan) * scale**2


def few_degrees() -> Any:
    """Return degrees of freedom that are learned, above 2, where the noise has a variance."""
    return learn(6.0, floor=2.0, prior=HalfNormal(30.0))


@struct
class StudentT:
    """Student-t noise of one scale for all rows: y ~ f + scale * t(df).

    Several targets are independent given f.

    Parameters
    ----------
    scale
        Scale in target units (the sd where df is infinite): a number, or `learn(...)`; one, or
        one a target column. The default is learned from 0.5 with floor 1e-3, for a standardised
        target.
    df
        Degrees of freedom, likewise. The default is learned from 6 with floor 2, under a
        half-normal density of scale 30.
    """

    scale: Any = None
    df: Any = None
    task: ClassVar[str] = "regression"
    linear_mean: ClassVar[bool] = False
    distribution: ClassVar[str] = "student_t"
    positive: ClassVar[tuple[str, ...]] = ("df",)

    def __post_init__(self) -> None:
        if self.scale is None:
            object.__setattr__(self, "scale", learn(0.5, floor=LEAST_NOISE))
        if self.df is None:
            object.__setattr__(self, "df", few_degrees())

    def outputs(self, targets: int) -> int:
        return targets

    def parameters(self, f: jax.Array) -> tuple[jax.Array, ...]:
        """Return location, scale and degrees of freedom of the target, (n, k) each."""
        scale, df = (jnp.broadcast_to(value(h), f.shape) for h in (self.scale, self.df))
        return f, scale.astype(f.dtype), df.astype(f.dtype)

    def log_prob(self, f: jax.Array, y: jax.Array) -> jax.Array:
        return student_t_log_prob(y, *self.parameters(f))

    def moments(self, f: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return mean and noise variance of the target, each (n, k)."""
        return student_t_moments(*self.parameters(f))

    def fisher(self, f: jax.Array) -> jax.Array:
        _, scale, df = self.parameters(f)
        return diagonal((df + 1) / (df + 3) / scale**2)

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        _, scale, df = self.parameters(f)
        return f + scale * jax.random.t(key, df, f.shape, f.dtype)


@struct
class HeteroscedasticStudentT:
    """Student-t noise whose scale the network predicts: f = (locations, raw scales).

    The scale of a row is floor + softplus(raw), in target units. Several targets are independent
    given f; the network has 2 outputs a target.

    Parameters
    ----------
    floor
        Least scale: one number, or one a target column.
    df
        Degrees of freedom: a number, or `learn(...)`; one, or one a target column. The default is
        learned from 6 with floor 2, under a half-normal density of scale 30.
    """

    floor: Any = LEAST_NOISE
    df: Any = None
    task: ClassVar[str] = "regression"
    linear_mean: ClassVar[bool] = False
    distribution: ClassVar[str] = "student_t"
    positive: ClassVar[tuple[str, ...]] = ("df",)

    def __post_init__(self) -> None:
        if self.df is None:
            object.__setattr__(self, "df", few_degrees())

    def outputs(self, targets: int) -> int:
        return 2 * targets

    def parameters(self, f: jax.Array) -> tuple[jax.Array, ...]:
        """Return location, scale and degrees of freedom of the target, (n, k) each."""
        location, raw = jnp.split(f, 2, axis=-1)
        scale, _ = softplus_scale(raw, self.floor)
        return location, scale, jnp.broadcast_to(value(self.df), raw.shape).astype(f.dtype)

    def log_prob(self, f: jax.Array, y: jax.Array) -> jax.Array:
        return student_t_log_prob(y, *self.parameters(f))

    def moments(self, f: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return mean and noise variance of the target, each (n, k)."""
        return student_t_moments(*self.parameters(f))

    def fisher(self, f: jax.Array) -> jax.Array:
        _, scale, df = self.parameters(f)
        slope = jax.nn.sigmoid(jnp.split(f, 2, axis=-1)[1])
        of_scale = 2 * df / (df + 3) * (slope / scale) ** 2
        return diagonal(jnp.concatenate([(df + 1) / (df + 3) / scale**2, of_scale], axis=-1))

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        location, scale, df = self.parameters(f)
        return location + scale * jax.random.t(key, df, location.shape, f.dtype)
