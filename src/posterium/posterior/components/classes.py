"""Probabilities of classes, one set a draw."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import digamma, entr

from posterium.numerics import mixtures
from posterium.posterior.components.base import over_draws, part_of


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
        refuse_sums(_over_classes(np.exp(part) for part in np.moveaxis(log_probs, 2, 0)))

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
        return part_of(self, start, stop)

    def probs(self) -> np.ndarray:
        """Return the probabilities averaged over draws, (n, c)."""
        return over_draws(self._scaled()[0])

    def each(self) -> np.ndarray:
        """Return the probabilities under each draw, (s, n, c)."""
        return self._scaled()[0]

    def each_log(self) -> np.ndarray:
        """Return the log probabilities under each draw, (s, n, c), in nats."""
        return self.log_probs - np.log(self._scaled()[1])[:, :, None]

    def known_spread(self) -> np.ndarray:
        """Return the spread, (s, n, 1).

        Raises
        ------
        ValueError
            Where it is not known.
        """
        spread = np.asarray(self.spread)
        if np.isnan(spread).any():
            raise ValueError(
                "Expected draws of the probabilities, or how far they vary, for a split into "
                "aleatoric and epistemic; how='probit' gives averages. Use how='linear' or "
                "how='bridge'. Of a recalibrated predictive, ask the one before."
            )
        return spread

    def each_entropy(self) -> np.ndarray:
        """Return what every class adds to the entropy of each draw, (s, n, c), in nats.

        Of probabilities that are uncertain themselves, the mean of it.

        Raises
        ------
        ValueError
            Where the spread is not known.
        """
        spread, probs = self.known_spread(), self.each()
        if not spread.any():
            return entr(probs)
        total = 1 / np.where(spread > 0, spread, 1.0)
        inner = probs * (digamma(total + 1) - digamma(total * probs + 1))
        return np.where(spread > 0, inner, entr(probs))

    def expected_entropy(self) -> np.ndarray:
        """Return the entropy of a draw averaged over draws, (n,), in nats.

        Raises
        ------
        ValueError
            Where the spread is not known.
        """
        return over_draws(_over_classes(np.moveaxis(self.each_entropy(), 2, 0)))

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


def _over_classes(parts: Any) -> np.ndarray:
    """Add arrays one after another: an order that does not depend on their shape."""
    return functools.reduce(np.add, parts)


def refuse_sums(total: np.ndarray) -> None:
    """Refuse probabilities whose sums over the classes, (s, n), are not 1 within 1e-3."""
    sound = np.abs(total - 1) <= 1e-3
    if not sound.all():
        raise ValueError(
            "Expected log probabilities whose exponentials sum to 1 over the classes; "
            f"{int((~sound).any(axis=0).sum())} of {total.shape[1]} rows have another "
            "sum or are not finite. Probabilities go in by ClassComponents.from_probs(p)."
        )
