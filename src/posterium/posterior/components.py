"""Components: what a likelihood predicts for a block of rows, one distribution a draw.

A record holds s equally weighted draws for n rows as NumPy arrays and knows the formulas of their
mixture, row by row, in float64. Any memory layout will do; the quickest keeps the draws of a row
side by side. A likelihood of another family adds one record with the same methods.
"""

import functools
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from scipy.special import digamma, entr

from posterium.numerics import mixtures

Moments = tuple[np.ndarray, np.ndarray, np.ndarray]


class Components(Protocol):
    """The mixture over draws for one block of rows with numeric targets."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Draws, rows, outputs: (s, n, k)."""
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
        """Return the joint log density of the k outputs of each row y (n, k): (n,), in nats."""
        ...

    def cdf(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y <= y) of each output, (n, k)."""
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


@dataclass(frozen=True)
class GaussianComponents:
    """Gaussian predictions of s draws for n rows and k outputs, independent given the draw.

    Parameters
    ----------
    mean
        (s, n, k), in target units. A closed form has s = 1.
    variance
        Variance of the observation noise of each draw, broadcast to (s, n, k): aleatoric.
    function_variance
        Variance of the mean itself that is not in the spread of the draws, as a linearised
        Gaussian posterior has it with s = 1: epistemic.

    Raises
    ------
    ValueError
        Where a mean is not finite, or a total variance is not positive and finite.
    """

    mean: np.ndarray
    variance: np.ndarray
    function_variance: np.ndarray | float = 0.0

    def __post_init__(self) -> None:
        """Bring the fields to float64 and one shape, and check them."""
        mean = np.asarray(self.mean, np.float64)
        if mean.ndim != 3:
            raise ValueError(f"Expected means of shape (draws, rows, outputs); got {mean.shape}.")
        object.__setattr__(self, "mean", mean)
        for name in ("variance", "function_variance"):
            value = np.asarray(getattr(self, name), np.float64)
            object.__setattr__(self, name, np.broadcast_to(value, mean.shape))
        total = self.variance + self.function_variance
        sound = np.isfinite(mean) & np.isfinite(total) & (total > 0)
        if not sound.all():
            bad = int((~sound).any(axis=(0, 2)).sum())
            raise ValueError(
                "Expected finite means and positive, finite variances of every draw; "
                f"{bad} of {mean.shape[1]} rows have others. Check the inputs of these rows and "
                "the verdict of the fit."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Draws, rows, outputs: (s, n, k)."""
        return self.mean.shape

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes; upper bound where variances are shared."""
        return 3 * self.mean.nbytes

    def rows(self, start: int, stop: int) -> "GaussianComponents":
        """Return the components of some of the rows, without a copy."""
        return _rows(self, start, stop)

    def moments(self) -> Moments:
        """Return mean, aleatoric and epistemic variance, (n, k), by the law of total variance."""
        mean = _over_draws(self.mean)
        spread = _over_draws((self.mean - mean) ** 2)
        return (
            mean,
            _over_draws(self.variance),
            spread + _over_draws(np.asarray(self.function_variance)),
        )

    def log_prob(self, y: np.ndarray) -> np.ndarray:
        """Return the joint log density of the outputs of each row y (n, k): (n,), in nats."""
        each = mixtures.normal_log_density(y, self.mean, self._sd()).sum(axis=2)
        return mixtures.log_mean_exp(np.ascontiguousarray(each.T))

    def cdf(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y <= y) of each output, (n, k)."""
        return mixtures.cdf(*self._marginals(), y.reshape(-1)).reshape(y.shape)

    def quantile(self, q: float) -> np.ndarray:
        """Return the q-quantile of each output, (n, k)."""
        return mixtures.quantile(*self._marginals(), q).reshape(self.shape[1:])

    def crps(self, y: np.ndarray) -> np.ndarray:
        """Return the continuous ranked probability score of each output, (n, k)."""
        return mixtures.crps(*self._marginals(), y.reshape(-1)).reshape(y.shape)

    def sample(self, generator: np.random.Generator, index: np.ndarray) -> np.ndarray:
        """Draw a target from component index[i] for each i and row: (n, len(index), k)."""
        _, n, k = self.shape
        out = generator.standard_normal((n, len(index), k))
        out *= np.moveaxis(self._sd()[index], 0, 1)
        out += np.moveaxis(self.mean[index], 0, 1)
        return out

    def affine(self, shift: np.ndarray, scale: np.ndarray) -> "GaussianComponents":
        """Return the components of shift + scale * y."""
        return GaussianComponents(
            shift + scale * self.mean, scale**2 * self.variance, scale**2 * self.function_variance
        )

    def _sd(self) -> np.ndarray:
        return np.sqrt(self.variance + self.function_variance)

    def _marginals(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and sd as rows of mixtures, (n * k, s)."""
        mean, sd = _draws_last(self.mean), _draws_last(self._sd())
        return mean.reshape(-1, mean.shape[-1]), sd.reshape(-1, sd.shape[-1])


@dataclass(frozen=True)
class ClassComponents:
    """Class probabilities of s draws for n rows and c classes.

    Parameters
    ----------
    log_probs
        (s, n, c), in nats. Logarithms, since a probability below 1e-45 is 0 in float32 and a
        single such row makes a mean log score infinite. Their rounding is taken out in float64:
        each row is scaled to the sum 1.
    spread
        How far the probabilities of a draw are themselves uncertain, broadcast to (s, n, 1): one
        over the sum of the concentrations of a Dirichlet distribution whose mean they are. 0: not
        at all; NaN: not known, as of an average that was taken before.

    Raises
    ------
    ValueError
        Where the probabilities of a row and draw do not sum to 1 within 1e-3, NaN included.
    """

    log_probs: np.ndarray
    spread: np.ndarray | float = 0.0

    def __post_init__(self) -> None:
        """Check the fields; the first stays in the precision it came in."""
        log_probs = np.asarray(self.log_probs)
        if log_probs.ndim != 3:
            raise ValueError(
                "Expected log probabilities of shape (draws, rows, classes); "
                f"got {log_probs.shape}."
            )
        object.__setattr__(self, "log_probs", log_probs)
        spread = np.asarray(self.spread, np.float64)
        object.__setattr__(self, "spread", np.broadcast_to(spread, (*log_probs.shape[:2], 1)))
        total = _over_classes(np.exp(part) for part in np.moveaxis(log_probs, 2, 0))
        sound = np.abs(total - 1) <= 1e-3
        if not sound.all():
            raise ValueError(
                "Expected log probabilities whose exponentials sum to 1 over the classes; "
                f"{int((~sound).any(axis=0).sum())} of {log_probs.shape[1]} rows have another "
                "sum or are not finite. Probabilities go in by ClassComponents.from_probs(p)."
            )

    @classmethod
    def from_probs(cls, probs: np.ndarray) -> "ClassComponents":
        """Return the components with these probabilities, (s, n, c)."""
        with np.errstate(divide="ignore"):
            return cls(np.log(np.asarray(probs, np.float64)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Draws, rows, classes: (s, n, c)."""
        return self.log_probs.shape

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.log_probs.nbytes

    def rows(self, start: int, stop: int) -> "ClassComponents":
        """Return the components of some of the rows, without a copy."""
        return _rows(self, start, stop)

    def probs(self) -> np.ndarray:
        """Return the probabilities averaged over draws, (n, c)."""
        return _over_draws(self._scaled()[0])

    def expected_entropy(self) -> np.ndarray:
        """Return the entropy of a draw averaged over draws, (n,), in nats.

        Raises
        ------
        ValueError
            Where the spread is not known.
        """
        spread = np.asarray(self.spread)[:, :, 0]
        if np.isnan(spread).any():
            raise ValueError(
                "Expected draws of the probabilities, or how far they vary, for a split into "
                "aleatoric and epistemic; how='probit' gives averages. Use how='linear' or "
                "how='bridge'."
            )
        probs, _ = self._scaled()
        sure = _over_classes(entr(part) for part in np.moveaxis(probs, 2, 0))
        if not spread.any():
            return _over_draws(sure)
        total = 1 / np.where(spread > 0, spread, 1.0)
        inner = _over_classes(p * digamma(total * p + 1) for p in np.moveaxis(probs, 2, 0))
        return _over_draws(np.where(spread > 0, digamma(total + 1) - inner, sure))

    def log_prob(self, y: np.ndarray) -> np.ndarray:
        """Return the log probability of each row's class index y (n,): (n,), in nats."""
        _, total = self._scaled()
        chosen = self.log_probs[:, np.arange(len(y)), y] - np.log(total)
        return mixtures.log_mean_exp(np.ascontiguousarray(chosen.T))

    def sample(self, generator: np.random.Generator, index: np.ndarray) -> np.ndarray:
        """Draw a class from component index[i] for each i and row: (n, len(index))."""
        level = generator.random((self.shape[1], len(index)))
        steps = np.cumsum(self._scaled()[0], axis=2)[:, :, :-1]
        below = np.zeros(level.shape, np.int64)
        for step in np.moveaxis(steps, 2, 0):
            below += level >= step[index].T
        return below

    def _scaled(self) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities that sum to 1, (s, n, c), and what they were divided by, (s, n)."""
        probs = np.exp(np.asarray(self.log_probs, np.float64))
        total = _over_classes(np.moveaxis(probs, 2, 0))
        return probs / total[:, :, None], total


def _rows(whole: Any, start: int, stop: int) -> Any:
    """Return the components of some rows: views that were checked with the whole."""
    part = object.__new__(type(whole))
    for name, value in vars(whole).items():
        object.__setattr__(part, name, value[:, start:stop])
    return part


def _over_classes(parts: Any) -> np.ndarray:
    """Add arrays one after another: an order that does not depend on their shape."""
    return functools.reduce(np.add, parts)


def _draws_last(values: np.ndarray) -> np.ndarray:
    """Bring the draws, first in the shape, side by side in memory."""
    return np.ascontiguousarray(np.moveaxis(values, 0, -1))


def _over_draws(values: np.ndarray) -> np.ndarray:
    """Average over the first axis, in an order that does not depend on the number of rows."""
    return _draws_last(values).mean(axis=-1)
