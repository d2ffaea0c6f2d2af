r"""Conformal sets of classes: how unlikely a class was, in place of a distance.

With classes in order of their probability and u uniform, or 1,

.. math:: \text{LAC: } 1 - p_c, \qquad \text{APS: } \sum_{c' \text{ before } c} p_{c'} + u\, p_c,
   \qquad \text{RAPS: } \text{APS} + \lambda \max(0, \text{place}(c) - k)

(Sadinle, Lei and Wasserman 2019; Romano, Sesia and Candès 2020; Angelopoulos et al. 2021).
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from posterium._struct import static, struct
from posterium.evaluate.recalibration.ranks import Scores
from posterium.evaluate.recalibration.rows import row_weights
from posterium.posterior.predictive import ClassPredictive, Key, generator_from


class ClassMeasure(Protocol):
    """How unlikely each class was."""

    def score(self, probs: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return the scores of all classes, (n, c), given probabilities and u (n,)."""
        ...


@struct
class LAC:
    """One minus the probability of the class: the smallest sets on average, some of them empty."""

    def score(self, probs: np.ndarray, u: np.ndarray) -> np.ndarray:
        return 1 - probs


@struct
class APS:
    """The probability of the classes before it and of the share u of its own.

    Sets are large where a row is hard and small where it is easy, so that coverage differs less
    from row to row than that of `LAC`. Summed from behind, so that the last class of every row has
    the same score when u is 1, whatever the rounding.
    """

    def score(self, probs: np.ndarray, u: np.ndarray) -> np.ndarray:
        order = np.argsort(-probs, axis=1, kind="stable")
        ranked = np.take_along_axis(probs, order, axis=1)
        behind = np.cumsum(ranked[:, ::-1], axis=1)[:, ::-1] - ranked
        found = np.empty_like(behind)
        np.put_along_axis(found, order, 1 - behind - (1 - u[:, None]) * ranked, axis=1)
        return found


@struct
class RAPS:
    """`APS` with a penalty for each class beyond the first few: no long sets of unlikely classes.

    Parameters
    ----------
    penalty
        What every place beyond adds, lambda, at least 0.
    free
        Places without a penalty, k.
    """

    penalty: float = static(default=0.01)
    free: int = static(default=5)

    def __post_init__(self) -> None:
        if self.penalty < 0 or self.free < 0:
            raise ValueError(
                f"penalty and free must be at least 0; got {self.penalty} and {self.free}."
            )

    def score(self, probs: np.ndarray, u: np.ndarray) -> np.ndarray:
        place = np.argsort(np.argsort(-probs, axis=1, kind="stable"), axis=1) + 1
        return APS().score(probs, u) + self.penalty * np.maximum(0, place - self.free)


@struct
class ConformalClasses:
    """Scores of calibration rows with classes.

    Parameters
    ----------
    measure
        What scores them.
    scores
        Of each row's class, in order.
    random
        Whether u was drawn: it then has to be drawn for new rows too.
    """

    measure: Any
    scores: Scores
    random: bool = static(default=False)

    @classmethod
    def of(
        cls, measure: Any, predictive: ClassPredictive, y: np.ndarray, weight: np.ndarray,
        group: Any, key: Key | None,
    ) -> "ConformalClasses":  # fmt: skip
        """Return the scores of rows with classes, weights and groups (n,)."""
        found = measure.score(predictive.probs, _shares(key, len(y)))
        chosen = found[np.arange(len(y)), y][:, None]
        return cls(measure, Scores.of(chosen, weight, group), key is not None)

    def __call__(
        self, predictive: ClassPredictive, *, group: Any = None, weight: Any = None
    ) -> "ConformalSets":
        """Return the sets of new rows; arguments are those of `ConformalNumbers`."""
        weight = row_weights(weight, len(predictive))
        return ConformalSets(predictive, self, weight, group)


@dataclass(frozen=True)
class ConformalSets:
    """Sets of classes that hold the class of a new row with the probability asked for, or more.

    The promise is that of `ConformalIntervals`. Where scores were randomised it is less than
    1 / (n + 1) above the probability asked for; without, sets by `APS` hold more than that.

    Parameters
    ----------
    of
        The predictive, unchanged: probabilities and all the rest are its own.
    calibrator
        What was learned.
    weight, group
        Those of the rows, (m,).
    """

    of: ClassPredictive
    calibrator: ConformalClasses
    weight: np.ndarray
    group: Any = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.of)

    def __repr__(self) -> str:
        return f"ConformalSets({self.of!r}, by={type(self.calibrator.measure).__name__})"

    def sets(self, level: float = 0.9, *, key: Key | None = None) -> np.ndarray:
        """Return which classes are in the set of each row, (m, c) booleans.

        A set may be empty: such a row is unlike those of any class. All classes are in it, with a
        warning, where the calibration rows are fewer than level / (1 - level).

        Parameters
        ----------
        level
            Probability of holding the class.
        key
            Seed, JAX key, or NumPy generator, where scores were randomised when calibrating; not
            the one used there.
        """
        if (key is not None) != self.calibrator.random:
            came = "none" if key is None else "one"
            raise ValueError(
                f"Expected {'a key' if self.calibrator.random else 'no key'}, as when calibrating; "
                f"got {came}."
            )
        threshold = self.calibrator.scores.threshold(level, self.weight, self.group)
        probs = self.of.probs
        return self.calibrator.measure.score(probs, _shares(key, len(probs))) <= threshold


def _shares(key: Key | None, rows: int) -> np.ndarray:
    """Return what share of its own probability a class takes, (n,): uniform, or 1 without a key."""
    return np.ones(rows) if key is None else generator_from(key).random(rows)
