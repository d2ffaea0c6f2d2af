"""Counts: Poisson, and negative binomial by mean and dispersion.

SciPy's distributions are imported for the first quantile: they take as long as all the rest.
"""

from typing import ClassVar

import numpy as np
from scipy.special import betainc, betaincc, betaln, gammainc, gammaincc, gammaln, xlogy

from posterium.numerics.laws.base import Array, CountLaw

LARGEST = 1e15
"""Mean up to which draws are counts; beyond it they are multiples of draws at it."""


class PoissonLaw(CountLaw):
    """The mean."""

    positive: ClassVar[tuple[int, ...]] = (0,)

    def log_density(self, y: Array, *parameters: Array) -> Array:
        (mean,) = parameters
        count, whole = _counts(y)
        return np.where(whole, xlogy(count, mean) - mean - gammaln(count + 1), -np.inf)

    def below(self, y: Array, *parameters: Array) -> Array:
        return gammaincc(y + 1, parameters[0])

    def above(self, y: Array, *parameters: Array) -> Array:
        return gammainc(y + 1, parameters[0])

    def mean(self, *parameters: Array) -> Array:
        return parameters[0]

    def variance(self, *parameters: Array) -> Array:
        return parameters[0]

    def quantile(self, q: float, *parameters: Array) -> Array:
        from scipy.stats import poisson

        return poisson.ppf(q, parameters[0])

    def sample(self, generator: np.random.Generator, *parameters: Array) -> Array:
        least, share = _drawable(parameters[0])
        return share * generator.poisson(least)


class NegativeBinomialLaw(CountLaw):
    """Mean and dispersion: the variance is mean + dispersion * mean^2."""

    positive: ClassVar[tuple[int, ...]] = (0, 1)

    def log_density(self, y: Array, *parameters: Array) -> Array:
        mean, dispersion = parameters
        count, whole = _counts(y)
        size = 1 / dispersion
        rest = -betaln(size, count + 1) - np.log(size + count)
        found = (
            rest + xlogy(count, dispersion * mean) - (count + size) * np.log1p(dispersion * mean)
        )
        return np.where(whole, found, -np.inf)

    def below(self, y: Array, *parameters: Array) -> Array:
        size, chance = _size(parameters)
        return betainc(size, y + 1, chance)

    def above(self, y: Array, *parameters: Array) -> Array:
        size, chance = _size(parameters)
        return betaincc(size, y + 1, chance)

    def mean(self, *parameters: Array) -> Array:
        return parameters[0]

    def variance(self, *parameters: Array) -> Array:
        mean, dispersion = parameters
        return mean + dispersion * mean**2

    def quantile(self, q: float, *parameters: Array) -> Array:
        from scipy.stats import nbinom

        return nbinom.ppf(q, *_size(parameters))

    def sample(self, generator: np.random.Generator, *parameters: Array) -> Array:
        least, share = _drawable(parameters[0])
        return share * generator.negative_binomial(*_size((least, parameters[1])))


def _drawable(mean: Array) -> tuple[Array, Array]:
    """Return means whose counts fit into integers, and what their draws are multiplied by."""
    least = np.minimum(mean, LARGEST)
    return least, mean / least


def _size(parameters: tuple[Array, ...]) -> tuple[Array, Array]:
    """Return number of failures and chance of each, as NumPy and SciPy have it."""
    mean, dispersion = parameters
    return 1 / dispersion, 1 / (1 + dispersion * mean)


def _counts(y: Array) -> tuple[Array, Array]:
    """Return y where it is a count, 0 elsewhere, and where it is one."""
    whole = (y >= 0) & (y == np.floor(y))
    return np.where(whole, y, 0), whole
