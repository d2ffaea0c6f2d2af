"""Split conformal prediction: intervals or sets by the ranks of scores on calibration rows."""

from typing import Any, ClassVar

import numpy as np

from posterium._struct import static, struct
from posterium.evaluate.recalibration.intervals import (
    AbsoluteResidual,
    ConformalNumbers,
    NormalisedResidual,
)
from posterium.evaluate.recalibration.rows import class_rows, number_rows
from posterium.evaluate.recalibration.sets import APS, LAC, RAPS, ConformalClasses
from posterium.posterior.predictive import ClassPredictive, Key, RegressionPredictive

OF_NUMBERS = {"normalised": NormalisedResidual(), "absolute": AbsoluteResidual()}
OF_CLASSES = {"aps": APS(), "lac": LAC(), "raps": RAPS()}


@struct
class SplitConformal:
    """Learn intervals of numbers, or sets of classes, that hold what they promise.

    Whatever the fit, a new row that is exchangeable with the calibration rows has its target inside
    with the probability asked for, or more (vovk2005; lei2018); see `ConformalIntervals`. How good
    the fit is decides how wide they are. Counts will do.

    Parameters
    ----------
    score
        Of numbers ``"normalised"``, intervals around the mean that are as wide as the predicted sd
        times a number, or ``"absolute"``, all of one width. Of classes ``"aps"``, adaptive sets,
        ``"raps"``, the same with a penalty for many classes, or ``"lac"``, the smallest on average.
        A record, `RAPS(penalty, free)`, or one of your own: a `Measure` or a `ClassMeasure`. None:
        the first of each.

    Notes
    -----
    With a `key` for `recalibrate`, and one for `sets`, the scores of ``"aps"`` and ``"raps"`` are
    randomised. Without, no chance is in a set, and sets are larger.
    """

    score: Any = static(default=None)

    takes: ClassVar[tuple[str, ...]] = ("group", "key")

    def learn(
        self, predictive: RegressionPredictive | ClassPredictive, y: Any, weight: np.ndarray, *,
        group: Any = None, key: Key | None = None,
    ) -> ConformalNumbers | ConformalClasses:  # fmt: skip
        if isinstance(predictive, ClassPredictive):
            y, measure = class_rows(predictive, y, self), self._measure(OF_CLASSES)
            return ConformalClasses.of(measure, predictive, y, weight, group, key)
        if key is not None:
            raise TypeError("SplitConformal takes no key for numbers: their intervals are certain.")
        y, measure = number_rows(predictive, y, self), self._measure(OF_NUMBERS)
        return ConformalNumbers.of(measure, predictive, y, weight, group)

    def _measure(self, known: dict[str, Any]) -> Any:
        """Return the record that scores."""
        if self.score is None:
            return next(iter(known.values()))
        if not isinstance(self.score, str):
            return self.score
        if self.score not in known:
            raise ValueError(
                f"score must be one of {', '.join(map(repr, known))} for these predictions, or a "
                f"record; got {self.score!r}."
            )
        return known[self.score]
