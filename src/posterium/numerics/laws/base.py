"""What a law is: the formulas of one distribution, elementwise, in NumPy and float64.

Parameters come as arrays that broadcast with y. A *wide* law takes parameters with one axis more,
at the end: the parts that one distribution is made of.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

Array = np.ndarray


class Law(ABC):
    """The distribution of one number, given its parameters.

    Attributes
    ----------
    positive
        Which parameters must be above 0, by place.
    wide
        Whether parameters have an axis more than y.
    columns
        How many columns a target has: 2 where the second says whether the time was seen.
    """

    positive: ClassVar[tuple[int, ...]] = ()
    wide: ClassVar[bool] = False
    columns: ClassVar[int] = 1

    @abstractmethod
    def log_density(self, y: Array, *parameters: Array) -> Array:
        """Return the log density, or log probability of a count, in nats."""

    @abstractmethod
    def cdf(self, y: Array, *parameters: Array) -> Array:
        """Return P(Y <= y)."""

    @abstractmethod
    def survival(self, y: Array, *parameters: Array) -> Array:
        """Return P(Y > y), with its digits where it is small."""

    @abstractmethod
    def mean(self, *parameters: Array) -> Array:
        """Return the mean, NaN where there is none."""

    @abstractmethod
    def variance(self, *parameters: Array) -> Array:
        """Return the variance, infinite or NaN where there is none."""

    @abstractmethod
    def quantile(self, q: float, *parameters: Array) -> Array:
        """Return the q-quantile; of a wide law one a part, between which it lies."""

    @abstractmethod
    def sample(self, generator: np.random.Generator, *parameters: Array) -> Array:
        """Draw one number for each set of parameters."""

    @abstractmethod
    def affine(self, shift: Array, scale: Array, *parameters: Array) -> tuple[Array, ...]:
        """Return the parameters of the law of shift + scale * y."""

    def log_target(self, y: Array, *parameters: Array) -> Array:
        """Return the log density of targets whose columns are the last axis."""
        return self.log_density(y, *parameters)


class ContinuousLaw(Law):
    """A law with a density, and what the CRPS of its mixtures needs."""

    @abstractmethod
    def distance(self, y: Array, *parameters: Array) -> Array:
        """Return E|Y - y|, infinite where there is none."""

    @abstractmethod
    def width(self, *parameters: Array) -> Array:
        """Return a length over which the density changes, for one distribution or a part each."""

    @abstractmethod
    def nodes(self, *parameters: Array) -> tuple[Array, Array]:
        """Return nodes and weights, (e,), that integrate F (1 - F) of the mixture of one row."""


class CountLaw(Law):
    """A law of counts 0, 1, 2, ..."""

    @abstractmethod
    def below(self, y: Array, *parameters: Array) -> Array:
        """Return P(Y <= y) of counts y, and between them the analytic function through it."""

    @abstractmethod
    def above(self, y: Array, *parameters: Array) -> Array:
        """Return P(Y > y), likewise."""

    def cdf(self, y: Array, *parameters: Array) -> Array:
        y = np.floor(y)
        return np.where(y < 0, 0.0, self.below(np.maximum(y, 0), *parameters))

    def survival(self, y: Array, *parameters: Array) -> Array:
        y = np.floor(y)
        return np.where(y < 0, 1.0, self.above(np.maximum(y, 0), *parameters))

    def affine(self, shift: Array, scale: Array, *parameters: Array) -> tuple[Array, ...]:
        if np.any(shift != 0) or np.any(scale != 1):
            raise ValueError(
                f"Expected counts to keep their unit; got shift {shift} and scale {scale}."
            )
        return parameters
