"""What a family is: distributions over p weights as one vector, by coordinates.

The coordinates, called raw, are a pytree of arrays that an optimiser may move freely: values and
gradients stay finite in float32 for coordinates from -1e4 to 1e4.
"""

import abc
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from posterium.numerics.covariances.base import Covariance
from posterium.numerics.divergence import gaussian_entropy

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
"""Path and shape of every array of weights, in the order of the vector."""
LEAST_LOG_SCALE = -30.0
"""Smaller scales, below any weight's last digit, count as this one where one divides by them."""


class Family(abc.ABC):
    """A set of distributions over p weights; its members are records' methods at coordinates."""

    gaussian: ClassVar[bool]
    """Whether every member is a Gaussian: then there are `covariance` and `log_det` too."""

    @abc.abstractmethod
    def start(self, mean: jax.Array, sd: jax.Array, shapes: Shapes) -> Any:
        """Return coordinates of weights around a mean (p,), independent, with one sd."""

    @abc.abstractmethod
    def noise(self, key: jax.Array, raw: Any, draws: int) -> Any:
        """Return the base noise of some draws: leading axis s."""

    @abc.abstractmethod
    def draw(self, raw: Any, z: Any) -> jax.Array:
        """Return the weights (p,) that the base noise of one draw is mapped to."""

    @abc.abstractmethod
    def log_prob(self, raw: Any, w: jax.Array) -> jax.Array:
        """Return the log density of weights (p,) in nats, differentiable in both arguments."""

    @abc.abstractmethod
    def mean(self, raw: Any) -> jax.Array:
        """Return the mean, or where there is no closed form the centre, (p,)."""

    def log_prob_of(self, raw: Any, z: Any) -> jax.Array:
        """Return the log density in nats of the draw from base noise z.

        A family overrides it where that needs no way back from the weights to the noise.
        """
        return self.log_prob(raw, self.draw(raw, z))


class GaussianFamily(Family):
    """A family of Gaussians: coordinates `{"mean": (p,), ...}` and a covariance operator."""

    gaussian: ClassVar[bool] = True

    @abc.abstractmethod
    def covariance(self, raw: Any) -> Covariance:
        """Return the covariance operator."""

    @abc.abstractmethod
    def log_det(self, raw: Any) -> jax.Array:
        """Return the covariance's log determinant, also where a scale underflows."""

    def mean(self, raw: Any) -> jax.Array:
        return raw["mean"]

    def variance(self, raw: Any) -> jax.Array:
        """Return the variance of every weight, (p,)."""
        return self.covariance(raw).variance()

    def entropy(self, raw: Any) -> jax.Array:
        """Return the entropy in nats."""
        return gaussian_entropy(self.log_det(raw), raw["mean"].size)


def positive(raw: jax.Array) -> jax.Array:
    """Return a positive scale: exp(raw) up to 1, the line 1 + raw above."""
    return jnp.exp(jnp.minimum(raw, 0)) + jnp.maximum(raw, 0)


def log_positive(raw: jax.Array) -> jax.Array:
    """Return the log of `positive(raw)` without forming it."""
    return jnp.minimum(raw, 0) + jnp.log1p(jnp.maximum(raw, 0))


def raw_of(scale: jax.Array) -> jax.Array:
    """Return the coordinate of a positive scale."""
    return jnp.where(scale > 1, scale - 1, jnp.log(scale))


def floored(log_scale: jax.Array) -> jax.Array:
    """Return a scale that one may divide by: `LEAST_LOG_SCALE` stands for all that is less."""
    return jnp.exp(jnp.maximum(log_scale, LEAST_LOG_SCALE))


def triangular(raw: jax.Array) -> jax.Array:
    """Return the Cholesky factor of coordinates (a, a), of which the lower half counts.

    The diagonal is mapped to positive numbers; what is below it is taken as it stands.
    """
    return jnp.tril(raw, -1) + jnp.diag(positive(jnp.diagonal(raw)))


def triangular_log_det(raw: jax.Array) -> jax.Array:
    """Return the log determinant of `triangular(raw)`, also where a scale underflows."""
    return jnp.sum(log_positive(jnp.diagonal(raw)))


def triangular_solve(raw: jax.Array, offset: jax.Array) -> jax.Array:
    """Return what `triangular(raw)` maps to an offset (a, ...), its diagonal floored."""
    diagonal = floored(log_positive(jnp.diagonal(raw)))
    return solve_triangular(jnp.tril(raw, -1) + jnp.diag(diagonal), offset, lower=True)
