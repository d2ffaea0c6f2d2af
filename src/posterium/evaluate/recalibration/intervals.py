"""Conformal intervals of numbers: how far a target lies from its prediction, and back.

A measure has two sides: the score of a target, larger the worse it was predicted, and the ends
between which targets have scores of at most a threshold.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from posterium._struct import static, struct
from posterium.evaluate.recalibration.ranks import Scores
from posterium.evaluate.recalibration.rows import number_rows, row_weights
from posterium.posterior.predictive import RegressionPredictive

Ends = tuple[np.ndarray, np.ndarray]


class Measure(Protocol):
    """How far targets lie from predictions."""

    def score(self, predictive: RegressionPredictive, y: np.ndarray) -> np.ndarray:
        """Return the scores of targets, (n, k); NaN where a prediction allows none."""
        ...

    def ends(self, predictive: RegressionPredictive, threshold: np.ndarray) -> Ends:
        """Return between which ends, shaped as predictions, scores are at most those of (n, k)."""
        ...


@struct
class AbsoluteResidual:
    """The distance from the mean, in target units: intervals of one width (lei2018)."""

    def score(self, predictive: RegressionPredictive, y: np.ndarray) -> np.ndarray:
        return np.abs(y - np.reshape(predictive.mean, y.shape))

    def ends(self, predictive: RegressionPredictive, threshold: np.ndarray) -> Ends:
        half = threshold.reshape(predictive.mean.shape)
        return predictive.mean - half, predictive.mean + half


@struct
class NormalisedResidual:
    """The distance from the mean in predicted sds: intervals as wide as predicted, times a factor.

    The sd includes the observation noise (lei2018, section 5.2).
    """

    def score(self, predictive: RegressionPredictive, y: np.ndarray) -> np.ndarray:
        mean, sd = (np.reshape(part, y.shape) for part in (predictive.mean, predictive.sd))
        return np.where(np.isfinite(sd), np.abs(y - mean) / sd, np.nan)

    def ends(self, predictive: RegressionPredictive, threshold: np.ndarray) -> Ends:
        half = threshold.reshape(predictive.mean.shape) * predictive.sd
        return predictive.mean - half, predictive.mean + half


@struct
class BeyondQuantiles:
    """How far a target lies outside of the central interval, negative inside (romano2019, eq. 6).

    Parameters
    ----------
    level
        Probability of the interval.
    """

    level: float = static(default=0.9)

    def score(self, predictive: RegressionPredictive, y: np.ndarray) -> np.ndarray:
        lower, upper = (np.reshape(end, y.shape) for end in predictive.interval(self.level))
        return np.maximum(lower - y, y - upper)

    def ends(self, predictive: RegressionPredictive, threshold: np.ndarray) -> Ends:
        lower, upper = predictive.interval(self.level)
        move, middle = threshold.reshape(lower.shape), 0.5 * (lower + upper)
        return np.minimum(lower - move, middle), np.maximum(upper + move, middle)


@struct
class ConformalisedQuantiles:
    """Move the ends of the predicted central intervals so that they hold what they promise.

    Conformalised quantile regression (romano2019) on the quantiles of any fit: both ends move by
    the same distance in target units, outwards or inwards. A new row that is exchangeable with the
    calibration rows lies inside with the probability asked for or more, whatever the fit; see
    `ConformalIntervals`. Intervals keep how wide they are predicted to be from row to row, and
    their asymmetry, where `SplitConformal` has intervals around the mean. Counts will do.

    Parameters
    ----------
    level
        Probability of the predicted interval whose ends are moved: that which will be asked for.
        Intervals of another probability hold their promise too, but are worse ones.

    Raises
    ------
    ValueError
        Where `level` is not inside (0, 1).
    """

    level: float = static(default=0.9)

    takes: ClassVar[tuple[str, ...]] = ("group",)

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"level must be inside (0, 1); got {self.level}.")

    def learn(
        self, predictive: RegressionPredictive, y: Any, weight: np.ndarray, *, group: Any = None
    ) -> "ConformalNumbers":
        y = number_rows(predictive, y, self)
        return ConformalNumbers.of(BeyondQuantiles(self.level), predictive, y, weight, group)


@struct
class ConformalNumbers:
    """Scores of calibration rows with numeric targets.

    Parameters
    ----------
    measure
        What scores them.
    scores
        Of each row and output, in order.
    """

    measure: Any
    scores: Scores

    @classmethod
    def of(
        cls, measure: Any, predictive: Any, y: np.ndarray, weight: np.ndarray, group: Any
    ) -> "ConformalNumbers":
        """Return the scores of rows with targets (n, k), weights (n,) and groups (n,)."""
        found = measure.score(predictive, y)
        if not np.isfinite(found).all():
            raise ValueError(
                f"Expected a finite distance of every target from its prediction; "
                f"{int((~np.isfinite(found)).any(axis=1).sum())} of {len(y)} rows have none: the "
                "predictions have no mean or sd there. Take ConformalisedQuantiles()."
            )
        return cls(measure, Scores.of(found, weight, group))

    def __call__(
        self, predictive: RegressionPredictive, *, group: Any = None, weight: Any = None
    ) -> "ConformalIntervals":
        """Return the intervals of new rows.

        Parameters
        ----------
        predictive
            Predictions of the same fit, at m rows.
        group
            Group of each row, (m,), where there were groups when calibrating.
        weight
            Weight of each row, (m,); None for 1 each. With weights that are the ratio of the
            densities of new and calibration inputs, for both, the promise holds for inputs from
            elsewhere (tibshirani2019).
        """
        weight = row_weights(weight, len(predictive))
        return ConformalIntervals(predictive, self, weight, group)


@dataclass(frozen=True)
class ConformalIntervals:
    """Intervals that hold the target of a new row with the probability asked for, or more.

    That is so on average over calibration rows and new rows, where these are exchangeable (drawn
    alike and independently, for example): not for every single row, nor given this set of n
    calibration rows, among which the share held varies with an sd of about
    sqrt(level (1 - level) / n). Where targets have no ties it is less than 1 / (n + 1) above the
    probability asked for. Of several outputs each holds its own.

    Parameters
    ----------
    of
        The predictive, unchanged: mean, sd and all the rest are its own.
    calibrator
        What was learned.
    weight, group
        Those of the rows, (m,).
    """

    of: RegressionPredictive
    calibrator: ConformalNumbers
    weight: np.ndarray
    group: Any = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.of)

    def __repr__(self) -> str:
        return f"ConformalIntervals({self.of!r}, by={type(self.calibrator.measure).__name__})"

    def interval(self, level: float = 0.9) -> Ends:
        """Return the lower and upper ends of the intervals of this probability, in target units.

        They are infinite, with a warning, where the calibration rows are fewer than
        level / (1 - level): no finite interval keeps the promise. Ends of quantiles that would
        cross meet halfway.
        """
        threshold = self.calibrator.scores.threshold(level, self.weight, self.group)
        return self.calibrator.measure.ends(self.of, threshold)
