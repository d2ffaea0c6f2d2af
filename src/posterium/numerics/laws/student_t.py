"""Student-t distributions: location, scale, degrees of freedom."""

from typing import ClassVar

import numpy as np
from scipy.special import gammaln, poch, stdtr, stdtrit

from posterium.numerics.laws.base import Array, ContinuousLaw
from posterium.numerics.laws.nodes import smooth

LOST = 1e-10
"""What the tails beyond the outer nodes may hold of the integral of F (1 - F)."""


class StudentTLaw(ContinuousLaw):
    """Location, scale and degrees of freedom."""

    positive: ClassVar[tuple[int, ...]] = (1, 2)

    def log_density(self, y: Array, *parameters: Array) -> Array:
        location, scale, df = parameters
        z = (y - location) / scale
        return _log_constant(df) - np.log(scale) - 0.5 * (df + 1) * np.log1p(z**2 / df)

    def cdf(self, y: Array, *parameters: Array) -> Array:
        location, scale, df = parameters
        return stdtr(df, (y - location) / scale)

    def survival(self, y: Array, *parameters: Array) -> Array:
        location, scale, df = parameters
        return stdtr(df, (location - y) / scale)

    def mean(self, *parameters: Array) -> Array:
        location, _, df = parameters
        return np.where(df > 1, location, np.nan)

    def variance(self, *parameters: Array) -> Array:
        _, scale, df = parameters
        spread = np.where(df > 2, df / np.where(df > 2, df - 2, 1.0), np.inf)
        return np.where(df > 1, spread, np.nan) * scale**2

    def quantile(self, q: float, *parameters: Array) -> Array:
        location, scale, df = parameters
        different, which = np.unique(df, return_inverse=True)  # few: stdtrit is slow
        return location + scale * stdtrit(different, q)[which].reshape(df.shape)

    def distance(self, y: Array, *parameters: Array) -> Array:
        location, scale, df = parameters
        z = (y - location) / scale
        more = np.where(df > 1, df - 1, 1.0)
        density = np.exp(_log_constant(df) - 0.5 * (df + 1) * np.log1p(z**2 / df))
        found = z * (2 * stdtr(df, z) - 1) + 2 * density * (df + z**2) / more
        return scale * np.where(df > 1, found, np.inf)

    def width(self, *parameters: Array) -> Array:
        return parameters[1]

    def nodes(self, *parameters: Array) -> tuple[Array, Array]:
        """Place nodes by the singularities of F, sqrt(df) scales beside the location."""
        location, scale, df = parameters
        reach = scale * np.sqrt(np.minimum(df, 4.0))
        return smooth(location, reach, reach * 4 * LOST ** (-1 / (df - 1)))

    def sample(self, generator: np.random.Generator, *parameters: Array) -> Array:
        location, scale, df = parameters
        return location + scale * generator.standard_t(df)

    def affine(self, shift: Array, scale: Array, *parameters: Array) -> tuple[Array, ...]:
        location, own, df = parameters
        return shift + scale * location, np.abs(scale) * own, df


def _log_constant(df: Array) -> Array:
    """Return log Gamma((df + 1) / 2) - log Gamma(df / 2) - log(pi df) / 2."""
    few = gammaln((np.minimum(df, 50.0) + 1) / 2) - gammaln(np.minimum(df, 50.0) / 2)
    many = np.log(poch(np.maximum(df, 50.0) / 2, 0.5))
    return np.where(df < 50.0, few, many) - 0.5 * np.log(np.pi * df)
