"""Mixtures of Gaussians with weights: log weights, means and sds of the parts."""

from typing import ClassVar

import numpy as np
from scipy.special import logsumexp, ndtr, ndtri

from posterium.numerics.laws.base import Array, ContinuousLaw
from posterium.numerics.laws.nodes import smooth
from posterium.numerics.mixtures import REACH, mean_distance, normal_log_density


class GaussianMixtureLaw(ContinuousLaw):
    """Log weights, means and sds, a part each; a wide law."""

    positive: ClassVar[tuple[int, ...]] = (2,)
    wide: ClassVar[bool] = True

    def log_density(self, y: Array, *parameters: Array) -> Array:
        log_weight, mean, sd = parameters
        each = normal_log_density(np.asarray(y)[..., None], mean, sd)
        return logsumexp(log_weight + each, axis=-1)

    def cdf(self, y: Array, *parameters: Array) -> Array:
        log_weight, mean, sd = parameters
        below = ndtr((np.asarray(y)[..., None] - mean) / sd)
        return (_weights(log_weight) * below).sum(axis=-1)

    def survival(self, y: Array, *parameters: Array) -> Array:
        log_weight, mean, sd = parameters
        above = ndtr((mean - np.asarray(y)[..., None]) / sd)
        return (_weights(log_weight) * above).sum(axis=-1)

    def mean(self, *parameters: Array) -> Array:
        log_weight, mean, _ = parameters
        return (_weights(log_weight) * mean).sum(axis=-1)

    def variance(self, *parameters: Array) -> Array:
        log_weight, mean, sd = parameters
        spread = sd**2 + (mean - self.mean(*parameters)[..., None]) ** 2
        return (_weights(log_weight) * spread).sum(axis=-1)

    def quantile(self, q: float, *parameters: Array) -> Array:
        """Return the q-quantile of each part: that of the whole lies between them."""
        _, mean, sd = parameters
        return mean + sd * ndtri(q)

    def distance(self, y: Array, *parameters: Array) -> Array:
        log_weight, mean, sd = parameters
        each = mean_distance(np.asarray(y)[..., None] - mean, sd)
        return (_weights(log_weight) * each).sum(axis=-1)

    def width(self, *parameters: Array) -> Array:
        return parameters[2]

    def nodes(self, *parameters: Array) -> tuple[Array, Array]:
        _, mean, sd = (part.ravel() for part in parameters)
        return smooth(mean, sd, REACH * sd)

    def sample(self, generator: np.random.Generator, *parameters: Array) -> Array:
        log_weight, mean, sd = parameters
        z = generator.standard_normal((*mean.shape[:-1], 2))
        passed = np.cumsum(_weights(log_weight), axis=-1)[..., :-1]
        part = (ndtr(z[..., :1]) >= passed).sum(axis=-1, keepdims=True)
        mean, sd = (np.take_along_axis(values, part, axis=-1)[..., 0] for values in (mean, sd))
        return mean + sd * z[..., 1]

    def affine(self, shift: Array, scale: Array, *parameters: Array) -> tuple[Array, ...]:
        log_weight, mean, sd = parameters
        return log_weight, shift + scale * mean, np.abs(scale) * sd


def _weights(log_weight: Array) -> Array:
    """Return weights that sum to 1 over the parts in float64."""
    weight = np.exp(log_weight)
    return weight / weight.sum(axis=-1, keepdims=True)
