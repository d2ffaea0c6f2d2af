"""Weibull distributions of times, which may be right-censored: scale and shape."""

from typing import ClassVar

import numpy as np
from scipy.special import gamma, gammainc

from posterium.numerics.laws.base import Array, ContinuousLaw

LEAST = 1e-10
"""Share of the shortest scale below which a time is nothing beside it."""
TAIL = 37.0
"""Cumulative hazard at which 1e-16 are left."""


class WeibullLaw(ContinuousLaw):
    """Scale and shape; a target has two columns, the time and whether the event was seen."""

    positive: ClassVar[tuple[int, ...]] = (0, 1)
    columns: ClassVar[int] = 2

    def log_density(self, y: Array, *parameters: Array) -> Array:
        scale, shape = parameters
        with np.errstate(divide="ignore", invalid="ignore"):
            log_z = np.log(np.maximum(y, 0) / scale)
            found = np.log(shape / scale) + (shape - 1) * log_z - np.exp(shape * log_z)
        return np.where(y > 0, found, -np.inf)

    def log_target(self, y: Array, *parameters: Array) -> Array:
        """Return the log density of times that were seen, else the log survival."""
        time, seen = y[..., :1], y[..., 1:]
        return np.where(seen > 0, self.log_density(time, *parameters), -_hazard(time, *parameters))

    def cdf(self, y: Array, *parameters: Array) -> Array:
        return -np.expm1(-_hazard(y, *parameters))

    def survival(self, y: Array, *parameters: Array) -> Array:
        return np.exp(-_hazard(y, *parameters))

    def mean(self, *parameters: Array) -> Array:
        scale, shape = parameters
        return scale * gamma(1 + 1 / shape)

    def variance(self, *parameters: Array) -> Array:
        scale, shape = parameters
        return scale**2 * (gamma(1 + 2 / shape) - gamma(1 + 1 / shape) ** 2)

    def quantile(self, q: float, *parameters: Array) -> Array:
        scale, shape = parameters
        return scale * (-np.log1p(-q)) ** (1 / shape)

    def distance(self, y: Array, *parameters: Array) -> Array:
        """Return y (2 F(y) - 1) + E[Y] - 2 E[Y; Y < y], the last by an incomplete gamma."""
        _, shape = parameters
        mean, hazard = self.mean(*parameters), _hazard(y, *parameters)
        below = -np.expm1(-hazard)
        return y * (2 * below - 1) + mean * (1 - 2 * gammainc(1 + 1 / shape, hazard))

    def width(self, *parameters: Array) -> Array:
        scale, shape = parameters
        return scale / np.maximum(shape, 1)

    def nodes(self, *parameters: Array) -> tuple[Array, Array]:
        """Place nodes at even steps of log time, where F is analytic in a strip of pi / shape."""
        scale, shape = parameters
        low = float(np.log(LEAST * scale.min()))
        high = float((np.log(scale) + np.log(TAIL) / shape).max())
        step = 0.4 * min(1.0, 1 / float(shape.max()))
        x = np.exp(np.arange(low, high + step, step))
        return x, step * x

    def sample(self, generator: np.random.Generator, *parameters: Array) -> Array:
        scale, shape = parameters
        return scale * generator.standard_exponential(scale.shape) ** (1 / shape)

    def affine(self, shift: Array, scale: Array, *parameters: Array) -> tuple[Array, ...]:
        if np.any(shift != 0) or np.any(scale <= 0):
            raise ValueError(
                f"Expected times to keep their origin; got shift {shift} and scale {scale}."
            )
        return scale * parameters[0], parameters[1]


def _hazard(y: Array, scale: Array, shape: Array) -> Array:
    """Return the cumulative hazard (y / scale)^shape, 0 for times below 0."""
    with np.errstate(over="ignore"):
        return (np.maximum(y, 0) / scale) ** shape
