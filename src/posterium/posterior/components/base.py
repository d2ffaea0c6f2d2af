"""What components share: their protocol, and sums whose order does not depend on the rows.

A record holds s equally weighted draws for n rows as NumPy arrays and knows the formulas of their
mixture, row by row, in float64. Any memory layout will do; the quickest keeps the draws of a row
side by side.
"""

from typing import Any, Protocol, Self

import numpy as np

Moments = tuple[np.ndarray, np.ndarray, np.ndarray]


class Components(Protocol):
    """The mixture over draws for one block of rows with numeric targets."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Draws, rows, outputs: (s, n, k)."""
        ...

    @property
    def mean(self) -> np.ndarray:
        """Mean of the target under each draw, (s, n, k)."""
        ...

    @property
    def variance(self) -> np.ndarray:
        """Variance of the noise under each draw, (s, n, k)."""
        ...

    @property
    def function_variance(self) -> np.ndarray | float:
        """Variance of the mean that is not in the spread of the draws, (s, n, k)."""
        ...

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        ...

    def rows(self, start: int, stop: int) -> Self:
        """Return the components of some of the rows, without a copy."""
        ...

    def moments(self) -> Moments:
        """Return mean, aleatoric variance and epistemic variance, each (n, k)."""
        ...

    def log_prob(self, y: np.ndarray) -> np.ndarray:
        """Return the joint log density of each row of targets y (n, k): (n,), in nats."""
        ...

    def log_density(self, y: np.ndarray) -> np.ndarray:
        """Return the log density of targets under each draw and output, y and answer (s, n, k)."""
        ...

    def cdf(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y <= y) of each output, (n, k)."""
        ...

    def survival(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y > y) of each output, (n, k)."""
        ...

    def pit(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y < y) + P(Y = y) / 2 of each output, (n, k)."""
        ...

    def quantile(self, q: float) -> np.ndarray:
        """Return the q-quantile of each output, (n, k)."""
        ...

    def crps(self, y: np.ndarray) -> np.ndarray:
        """Return the continuous ranked probability score of each output, (n, k)."""
        ...

    def sample(self, generator: np.random.Generator, index: np.ndarray) -> np.ndarray:
        """Draw a target from component index[i] for each i and row: (rows, len(index), k)."""
        ...

    def affine(self, shift: np.ndarray, scale: np.ndarray) -> Self:
        """Return the components of shift + scale * y."""
        ...


def part_of(whole: Any, start: int, stop: int) -> Any:
    """Return the components of some rows: views that were checked with the whole."""
    part = object.__new__(type(whole))
    for name, value in vars(whole).items():
        object.__setattr__(part, name, value[:, start:stop])
    return part


def draws_last(values: np.ndarray) -> np.ndarray:
    """Bring the draws, first in the shape, side by side in memory."""
    return np.ascontiguousarray(np.moveaxis(values, 0, -1))


def over_draws(values: np.ndarray) -> np.ndarray:
    """Average over the first axis, in an order that does not depend on the number of rows."""
    return draws_last(values).mean(axis=-1)
