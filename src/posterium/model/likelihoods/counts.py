r"""Counts: Poisson, and negative binomial where they vary more than that.

The network gives the logarithm of the mean over a `unit`:

.. math:: \mu = \mathrm{unit} \cdot e^f, \qquad \mathrm{Var}[y] = \mu
    \quad\text{or}\quad \mu + \alpha\mu^2 .
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from posterium._struct import struct
from posterium.model.hyper import learn, value
from posterium.model.likelihoods.base import diagonal
from posterium.model.priors.scales import HalfNormal

COUNTS = "a count, a whole number of at least 0"
MANY = 50.0
"""Sizes 1 / dispersion from which the normalising constant is taken from its series."""
LARGEST_LOG = 50.0
"""Logarithms of means beyond it are taken as it, so that nothing overflows."""


def is_count(y: np.ndarray) -> np.ndarray:
    """Say of which rows every target is a whole number of at least 0, (n,)."""
    cells = y.reshape(len(y), -1)
    return ((cells >= 0) & (cells == np.floor(cells))).all(axis=1)


def log_mean(f: jax.Array, unit: Any) -> jax.Array:
    """Return the logarithm of the mean count, (n, k)."""
    return jnp.clip(f, -LARGEST_LOG, LARGEST_LOG) + jnp.log(jnp.broadcast_to(unit, f.shape))


def log_rising(size: jax.Array, y: jax.Array) -> jax.Array:
    """Return log(Gamma(size + y) / (Gamma(size) size^y)), which goes to 0 as the size grows.

    From `MANY` on by Stirling's series, where the difference has lost its digits.
    """
    few, many = jnp.minimum(size, MANY), jnp.maximum(size, MANY)
    exact = gammaln(few + y) - gammaln(few) - y * jnp.log(few)
    top = many + y
    series = (top - 0.5) * jnp.log1p(y / many) - y + _stirling(top) - _stirling(many)
    return jnp.where(size < MANY, exact, series)


def _stirling(x: jax.Array) -> jax.Array:
    """Return what Stirling's formula leaves of log Gamma(x), to 1e-16 from x = 50 on."""
    return (1 / 12 - (1 / 360 - 1 / (1260 * x**2)) / x**2) / x


@struct
class Poisson:
    """Counts whose variance is their mean: y ~ Poisson(unit * exp(f)).

    Several targets are independent given f.

    Parameters
    ----------
    unit
        What a network output of 0 predicts, in counts: one number, or one a target column. A mean
        count, so that outputs are near 0. The estimators take that of the rows fitted.
    """

    unit: Any = 1.0
    task: ClassVar[str] = "regression"
    linear_mean: ClassVar[bool] = False
    distribution: ClassVar[str] = "poisson"
    units: ClassVar[str] = "fixed"
    support: ClassVar[str] = COUNTS
    positive: ClassVar[tuple[str, ...]] = ("unit",)

    def holds(self, y: np.ndarray) -> np.ndarray:
        """Say which rows of targets are counts, (n,)."""
        return is_count(y)

    def outputs(self, targets: int) -> int:
        return targets

    def parameters(self, f: jax.Array) -> tuple[jax.Array, ...]:
        """Return the mean count, (n, k)."""
        return (jnp.exp(log_mean(f, self.unit)),)

    def log_prob(self, f: jax.Array, y: jax.Array) -> jax.Array:
        of_mean = log_mean(f, self.unit)
        return jnp.sum(y * of_mean - jnp.exp(of_mean) - gammaln(y + 1), axis=-1)

    def moments(self, f: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return mean and variance of the target, each (n, k)."""
        (mean,) = self.parameters(f)
        return mean, mean

    def fisher(self, f: jax.Array) -> jax.Array:
        return diagonal(self.parameters(f)[0])

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        (mean,) = self.parameters(f)
        return jax.random.poisson(key, mean).astype(f.dtype)


@struct
class NegativeBinomial:
    """Counts that vary more than Poisson ones: mean unit * exp(f), variance mean + d * mean^2.

    A Poisson count whose rate has a gamma distribution. Several targets are independent given f.

    Parameters
    ----------
    dispersion
        The d above, squared coefficient of variation of the rate; 0 would be Poisson. A number,
        or `learn(...)`; one, or one a target column. The default is learned from 0.5 with floor
        1e-4, under a half-normal density of scale 3.
    unit
        As in `Poisson`.
    """

    dispersion: Any = None
    unit: Any = 1.0
    task: ClassVar[str] = "regression"
    linear_mean: ClassVar[bool] = False
    distribution: ClassVar[str] = "negative_binomial"
    units: ClassVar[str] = "fixed"
    support: ClassVar[str] = COUNTS
    positive: ClassVar[tuple[str, ...]] = ("dispersion", "unit")

    def __post_init__(self) -> None:
        if self.dispersion is None:
            free = learn(0.5, floor=1e-4, prior=HalfNormal(3.0))
            object.__setattr__(self, "dispersion", free)

    def holds(self, y: np.ndarray) -> np.ndarray:
        """Say which rows of targets are counts, (n,)."""
        return is_count(y)

    def outputs(self, targets: int) -> int:
        return targets

    def parameters(self, f: jax.Array) -> tuple[jax.Array, ...]:
        """Return mean count and dispersion, (n, k) each."""
        mean = jnp.exp(log_mean(f, self.unit))
        return mean, jnp.broadcast_to(value(self.dispersion), f.shape).astype(f.dtype)

    def log_prob(self, f: jax.Array, y: jax.Array) -> jax.Array:
        mean, dispersion = self.parameters(f)
        size = 1 / dispersion
        odds = dispersion * mean
        each = log_rising(size, y) + y * jnp.log(mean) - gammaln(y + 1)
        return jnp.sum(each - (y + size) * jnp.log1p(odds), axis=-1)

    def moments(self, f: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return mean and variance of the target, each (n, k)."""
        mean, dispersion = self.parameters(f)
        return mean, mean + dispersion * mean**2

    def fisher(self, f: jax.Array) -> jax.Array:
        mean, dispersion = self.parameters(f)
        return diagonal(mean / (1 + dispersion * mean))

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        mean, dispersion = self.parameters(f)
        first, second = jax.random.split(key)
        rate = mean * dispersion * jax.random.gamma(first, 1 / dispersion, f.shape, f.dtype)
        return jax.random.poisson(second, rate).astype(f.dtype)
