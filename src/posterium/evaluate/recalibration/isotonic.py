r"""Isotonic recalibration: probabilities, or predicted levels, through an increasing function.

.. math:: F'(y \mid x) = R(F(y \mid x)), \qquad p'(c \mid x) \propto R_c(p(c \mid x))

R is learned on the calibration rows, of numbers as the share of rows whose target lies below its
predicted p-quantile (Kuleshov, Fenner and Ermon 2018), of classes as the share of rows of the class
among those given a probability (Zadrozny and Elkan 2002).
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from posterium._struct import struct
from posterium.evaluate.recalibration.ranks import CalibrationWarning
from posterium.evaluate.recalibration.rows import class_rows, number_rows, refuse_steps
from posterium.posterior.components.classes import ClassComponents
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive

LOWEST, HIGHEST = 2.0**-53, 1 - 2.0**-53
"""Levels whose quantiles are still asked for."""


@struct
class IsotonicRecalibration:
    """Learn an increasing function of the predicted levels, or of the class probabilities.

    It can correct any shape, where scaling has one number, and needs more rows for it: some hundred
    at least. Of numbers it corrects coverage on average over rows, at every level at once, and
    gives quantiles and distribution function; see `RecalibratedPredictive`. Each output has a
    function of its own. Of two classes it is the pool-adjacent-violators fit to the probability of
    class 1; of more classes each is fitted against the rest, and the probabilities are scaled to
    the sum 1 (equal ones where all are 0). They may be exactly 0 then, with an infinite loss where
    the class comes, and labels can change.

    Raises
    ------
    ValueError
        Where the target has no density (counts), or a class is not among the rows.

    Warns
    -----
    CalibrationWarning
        Where targets lie beyond all levels that float64 has, some 8 sds from what was predicted:
        quantiles beyond theirs are cut there. Learn `VarianceScaling` first, and this behind it.

    Notes
    -----
    Of numbers the i-th of n sorted levels is mapped to i / (n + 1), and 0 and 1 to themselves, in
    place of i / n (kuleshov2018): beyond the outermost calibration row there remains a probability
    of 1 / (n + 1). Both are fitted by scikit-learn's `IsotonicRegression`.
    """

    takes: ClassVar[tuple[str, ...]] = ()

    def learn(
        self, predictive: RegressionPredictive | ClassPredictive, y: Any, weight: np.ndarray
    ) -> "IsotonicLevels | IsotonicClasses":
        if isinstance(predictive, ClassPredictive):
            y = class_rows(predictive, y, self)
            return IsotonicClasses(_of_classes(predictive.probs, y, weight))
        y = number_rows(predictive, y, self)
        refuse_steps(predictive, y, self)
        levels = np.reshape(predictive.cdf(y), y.shape)
        found = IsotonicLevels(tuple(_of_levels(column, weight) for column in levels.T))
        _tell_outside(levels[weight > 0], found)
        return found


@struct
class Increasing:
    """An increasing function: lines between knots, constant outside of them.

    Parameters
    ----------
    at, value
        The knots, (m,) each.
    """

    at: Any
    value: Any

    @classmethod
    def fit(cls, at: np.ndarray, value: np.ndarray, weight: np.ndarray) -> "Increasing":
        """Return the increasing function with values in [0, 1] of least weighted squared error."""
        from sklearn.isotonic import IsotonicRegression

        fitted = IsotonicRegression(y_min=0.0, y_max=1.0).fit(at, value, sample_weight=weight)
        return cls(fitted.X_thresholds_, fitted.y_thresholds_)

    def __call__(self, at: np.ndarray) -> np.ndarray:
        """Return the values there."""
        return np.interp(at, self.at, self.value)

    def inverse(self, value: np.ndarray) -> np.ndarray:
        """Return where a strictly increasing function has these values."""
        return np.interp(value, self.value, self.at)


@struct
class IsotonicClasses:
    """Increasing functions of class probabilities that were learned.

    Parameters
    ----------
    functions
        One a class; of two classes that of class 1 alone.
    """

    functions: tuple[Increasing, ...]

    def __call__(self, predictive: ClassPredictive) -> ClassPredictive:
        """Return the predictive with the corrected probabilities; it has no split into parts."""

        def blocks() -> Iterator[ClassComponents]:
            with np.errstate(divide="ignore"):
                yield ClassComponents(np.log(self._corrected(predictive.probs))[None], np.nan)

        return ClassPredictive(blocks, predictive.shape, ordered=predictive.ordered)

    def _corrected(self, probs: np.ndarray) -> np.ndarray:
        if len(self.functions) == 1:
            one = self.functions[0](probs[:, 1])
            return np.stack([1 - one, one], axis=1)
        found = np.stack(
            [function(p) for function, p in zip(self.functions, probs.T, strict=True)], axis=1
        )
        total = found.sum(axis=1, keepdims=True)
        equal = np.full_like(found, 1 / found.shape[1])
        return np.divide(found, total, out=equal, where=total > 0)


@struct
class IsotonicLevels:
    """Increasing functions of predicted levels that were learned.

    Parameters
    ----------
    functions
        One an output, from 0 to 1 onto 0 to 1.
    """

    functions: tuple[Increasing, ...]

    def __call__(self, predictive: RegressionPredictive) -> "RecalibratedPredictive":
        """Return the predictive with the corrected levels."""
        return RecalibratedPredictive(predictive, self.functions)


@dataclass(frozen=True)
class RecalibratedPredictive:
    """A predictive whose levels were corrected: quantiles, intervals and distribution function.

    It has no density, whose ratio to the old one is a slope between neighbouring calibration rows
    and mostly chance, and no mean: those of `of` are what was predicted before, `quantile(0.5)` is
    the corrected median. Arrays have the shapes of those of `of`.

    Parameters
    ----------
    of
        The predictive before.
    functions
        From a predicted level to the corrected one, one an output.
    """

    of: RegressionPredictive
    functions: tuple[Increasing, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and outputs, (n, k)."""
        return self.of.shape

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.of)

    def __repr__(self) -> str:
        return f"RecalibratedPredictive({self.of!r})"

    def quantile(self, q: float | np.ndarray) -> np.ndarray:
        """Return the corrected q-quantiles; an array of m levels leads with axis m.

        Those at predicted levels within 2^-53 of 0 or 1 are cut there.
        """
        levels = np.asarray(q, np.float64)
        if levels.ndim > 1 or not ((levels > 0) & (levels < 1)).all():
            raise ValueError(f"Expected a level, or a row of levels, inside (0, 1); got {q}.")
        columns = []
        for output, function in enumerate(self.functions):
            before = np.clip(function.inverse(np.atleast_1d(levels)), LOWEST, HIGHEST)
            found = self.of.quantile(before)
            columns.append(found.reshape(len(before), *self.shape)[:, :, output])
        each = np.stack(columns, axis=2).reshape(found.shape)
        return each if levels.ndim else each[0]

    def interval(self, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and upper ends of the central interval of this probability."""
        if not 0 < level < 1:
            raise ValueError(f"Expected the level of an interval inside (0, 1); got {level}.")
        lower, upper = self.quantile(np.array([0.5 - 0.5 * level, 0.5 + 0.5 * level]))
        return lower, upper

    def cdf(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y <= y)."""
        before = self.of.cdf(y)
        levels = before.reshape(self.shape).T
        each = [function(p) for function, p in zip(self.functions, levels, strict=True)]
        return np.stack(each, axis=1).reshape(before.shape)

    def survival(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y > y)."""
        return 1 - self.cdf(y)

    def pit(self, y: np.ndarray) -> np.ndarray:
        """Return `cdf`: uniform over rows when the predictive is calibrated."""
        return self.cdf(y)


def _of_levels(levels: np.ndarray, weight: np.ndarray) -> Increasing:
    """Return the function from predicted levels (n,) to the share of rows at or below them."""
    order = np.argsort(levels, kind="stable")
    levels, weight = np.clip(levels[order], LOWEST, HIGHEST), weight[order]
    middle = np.cumsum(weight) - 0.5 * weight
    inner = Increasing.fit(levels, (middle + 0.5) / (weight.sum() + 1), weight)
    ends = (np.concatenate([[0.0], part, [1.0]]) for part in (inner.at, inner.value))
    return Increasing(*ends)


def _tell_outside(levels: np.ndarray, found: IsotonicLevels) -> None:
    """Warn of levels (n, k) whose quantiles cannot be told from those of 0 and 1."""
    outside = ((levels <= LOWEST) | (levels >= HIGHEST)).any(axis=1)
    if outside.any():
        low = max(float(function(np.array(LOWEST))) for function in found.functions)
        high = min(float(function(np.array(HIGHEST))) for function in found.functions)
        warnings.warn(
            f"IsotonicRecalibration expects targets at levels between 2^-53 and 1 - 2^-53; "
            f"{int(outside.sum())} of {len(levels)} rows lie outside, some 8 sds or more from what "
            f"was predicted. Corrected quantiles below about {low:.2g} or above {high:.4g} are cut "
            "there. Learn VarianceScaling() first, and this from the predictions it gives.",
            CalibrationWarning,
            stacklevel=4,
        )


def _of_classes(probs: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[Increasing, ...]:
    """Return the function of each class against the rest, or of class 1 of two."""
    classes = probs.shape[1]
    absent = sorted(set(range(classes)) - set(y[weight > 0].tolist()))
    if absent:
        raise ValueError(
            "IsotonicRecalibration expects calibration rows of every class; there are none of "
            f"{', '.join(map(str, absent[:8]))}. Give such rows, or take TemperatureScaling()."
        )
    chosen = [1] if classes == 2 else range(classes)
    return tuple(Increasing.fit(probs[:, c], (y == c).astype(float), weight) for c in chosen)
