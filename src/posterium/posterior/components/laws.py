"""Predictions by any law of one number, one a draw: Student-t, counts, times and the rest."""

from dataclasses import dataclass

import numpy as np

from posterium.numerics import mixtures
from posterium.numerics.laws import mixed
from posterium.numerics.laws.base import CountLaw, Law
from posterium.posterior.components.base import Moments, draws_last, over_draws


@dataclass(frozen=True)
class LawComponents:
    """Predictions of s draws for n rows and k outputs, independent given the draw.

    Parameters
    ----------
    law
        The distribution of each.
    parameters
        Its parameters, (s, n, k) each, or (s, n, k, m) of a wide law.

    Raises
    ------
    ValueError
        Where a parameter is not finite, or not positive though it must be.
    """

    law: Law
    parameters: tuple[np.ndarray, ...]

    def __post_init__(self) -> None:
        """Bring the parameters to float64, and check them."""
        found = tuple(np.asarray(part, np.float64) for part in self.parameters)
        object.__setattr__(self, "parameters", found)
        sound = np.ones(self.shape, bool)
        for place, part in enumerate(found):
            fine = np.isfinite(part) & ((part > 0) | (place not in self.law.positive))
            sound &= fine.all(axis=-1) if self.law.wide else fine
        if not sound.all():
            raise ValueError(
                f"Expected finite parameters of every draw, and positive scales; "
                f"{int((~sound).any(axis=(0, 2)).sum())} of {self.shape[1]} rows have others. "
                "Check the inputs of these rows and the verdict of the fit."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Draws, rows, outputs: (s, n, k)."""
        return self.parameters[0].shape[:3]

    @property
    def mean(self) -> np.ndarray:
        """Mean of the target under each draw, (s, n, k)."""
        return np.asarray(self.law.mean(*self.parameters))

    @property
    def variance(self) -> np.ndarray:
        """Variance of the target under each draw, (s, n, k); not finite where there is none."""
        return np.asarray(self.law.variance(*self.parameters))

    @property
    def function_variance(self) -> np.ndarray:
        """Variance of the mean that is not in the spread of the draws: none, (s, n, k)."""
        return np.broadcast_to(0.0, self.shape)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(part.nbytes for part in self.parameters)

    def rows(self, start: int, stop: int) -> "LawComponents":
        """Return the components of some of the rows, without a copy."""
        part = object.__new__(LawComponents)
        object.__setattr__(part, "law", self.law)
        held = tuple(values[:, start:stop] for values in self.parameters)
        object.__setattr__(part, "parameters", held)
        return part

    def moments(self) -> Moments:
        """Return mean, aleatoric and epistemic variance, (n, k), by the law of total variance."""
        each = self.mean
        mean, noise = over_draws(each), over_draws(self.variance)
        return mean, noise, over_draws((each - mean) ** 2)

    def log_prob(self, y: np.ndarray) -> np.ndarray:
        """Return the joint log density of each row of targets y (n, k): (n,), in nats."""
        each = self.law.log_target(y[None], *self.parameters).sum(axis=2)
        return mixtures.log_mean_exp(np.ascontiguousarray(each.T))

    def log_density(self, y: np.ndarray) -> np.ndarray:
        """Return the log density of targets under each draw and output, y and answer (s, n, k)."""
        return np.asarray(self.law.log_density(y, *self.parameters))

    def cdf(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y <= y) of each output, (n, k)."""
        return mixed.cdf(self.law, self._marginals(), y.reshape(-1)).reshape(y.shape)

    def survival(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y > y) of each output, (n, k)."""
        return mixed.survival(self.law, self._marginals(), y.reshape(-1)).reshape(y.shape)

    def pit(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y < y) + P(Y = y) / 2 of each output, (n, k)."""
        if not isinstance(self.law, CountLaw):
            return self.cdf(y)
        return 0.5 * (self.cdf(y) + self.cdf(np.ceil(y) - 1))

    def quantile(self, q: float) -> np.ndarray:
        """Return the q-quantile of each output, (n, k)."""
        return mixed.quantile(self.law, self._marginals(), q).reshape(self.shape[1:])

    def crps(self, y: np.ndarray) -> np.ndarray:
        """Return the continuous ranked probability score of each output, (n, k)."""
        return mixed.crps(self.law, self._marginals(), y.reshape(-1)).reshape(y.shape)

    def sample(self, generator: np.random.Generator, index: np.ndarray) -> np.ndarray:
        """Draw a target from component index[i] for each i and row: (n, len(index), k)."""
        chosen = (np.moveaxis(part[index], 0, 1) for part in self.parameters)
        return self.law.sample(generator, *chosen)

    def affine(self, shift: np.ndarray, scale: np.ndarray) -> "LawComponents":
        """Return the components of shift + scale * y."""
        more = (1,) if self.law.wide else ()
        shift, scale = (np.reshape(part, np.shape(part) + more) for part in (shift, scale))
        return LawComponents(self.law, self.law.affine(shift, scale, *self.parameters))

    def _marginals(self) -> tuple[np.ndarray, ...]:
        """Return the parameters as rows of mixtures, (n * k, s), or (n * k, s, m)."""
        if not self.law.wide:
            rows = (draws_last(part) for part in self.parameters)
            return tuple(part.reshape(-1, part.shape[-1]) for part in rows)
        rows = (np.ascontiguousarray(np.moveaxis(part, 0, 2)) for part in self.parameters)
        return tuple(part.reshape(-1, *part.shape[2:]) for part in rows)
