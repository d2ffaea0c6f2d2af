"""Scores of numeric targets: of the mean, of quantiles and of intervals.

Arrays are (n,) or (n, k); multiple outputs are averaged within a row first.
"""

from typing import NamedTuple

import numpy as np

from posterium.evaluate.scores.rows import NOT_DEFINED, Score, average, like
from posterium.posterior.predictive import RegressionPredictive

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Probabilities of the intervals of a curve."""

Interval = tuple[np.ndarray, np.ndarray]


def rmse(mean: np.ndarray, y: np.ndarray) -> Score:
    """Return the root mean squared error, in target units; se by the delta method."""
    value, se = average((like(y, mean) - mean) ** 2)
    root = float(np.sqrt(value))
    return Score(root, se / (2 * root) if root > 0 else 0.0)


def mae(mean: np.ndarray, y: np.ndarray) -> Score:
    """Return the mean absolute error, in target units."""
    return average(np.abs(like(y, mean) - mean))


def r2(mean: np.ndarray, y: np.ndarray) -> Score:
    """Return the share of the target's variance explained, the mean one of several outputs.

    NaN where a target is constant.
    """
    y = like(y, mean)
    error, spread = (mean - y) ** 2, (y - y.mean(axis=0)) ** 2
    if not spread.any(axis=0).all():
        return NOT_DEFINED
    total = spread.mean(axis=0)
    ratio = error.mean(axis=0) / total
    return average(1 - ratio + (ratio * spread - error) / total)


def pinball(quantile: np.ndarray, y: np.ndarray, level: float) -> Score:
    """Return the mean pinball loss of quantiles at a level, in target units: it scores these."""
    above = like(y, quantile) - quantile
    return average(np.maximum(level * above, (level - 1) * above))


def coverage(interval: Interval, y: np.ndarray) -> Score:
    """Return the share of targets inside their interval, ends included."""
    lower, upper = interval
    y = like(y, lower)
    return average((lower <= y) & (y <= upper))


def width(interval: Interval) -> Score:
    """Return the mean width of the intervals, in target units."""
    lower, upper = interval
    return average(upper - lower)


def interval_score(interval: Interval, y: np.ndarray, level: float) -> Score:
    r"""Return the mean interval score of central intervals of a probability, in target units.

    .. math:: u - l + \frac{2}{1 - p} \left( (l - y)_+ + (y - u)_+ \right)

    Width, and a fine for each target outside in proportion to its distance: lowest where the ends
    are the (1 - p)/2 and (1 + p)/2 quantiles, so it judges coverage and width at once
    (gneiting2007, eq. 43; winkler1972).
    """
    lower, upper = interval
    y = like(y, lower)
    outside = np.maximum(lower - y, 0) + np.maximum(y - upper, 0)
    return average(upper - lower + 2 / (1 - level) * outside)


def sharpness(sd: np.ndarray) -> Score:
    """Return the mean predictive standard deviation, in target units.

    It says nothing of the targets: of two that are calibrated, the sharper one is better.
    """
    return average(sd)


class IntervalCurve(NamedTuple):
    """What central intervals of m probabilities hold, how wide they are, and their scores.

    Attributes
    ----------
    level
        Probabilities, (m,).
    coverage, coverage_se
        Share of targets inside, and its standard error over rows, (m,) each.
    width, width_se
        Mean width, and its standard error, in target units, (m,) each.
    score, score_se
        Mean `interval_score`, and its standard error, in target units, (m,) each.
    """

    level: np.ndarray
    coverage: np.ndarray
    coverage_se: np.ndarray
    width: np.ndarray
    width_se: np.ndarray
    score: np.ndarray
    score_se: np.ndarray


def interval_curve(
    predictive: RegressionPredictive, y: np.ndarray, levels: np.ndarray | tuple = LEVELS
) -> IntervalCurve:
    """Return coverage, width and score of the central intervals of every level.

    Parameters
    ----------
    predictive
        Predictions of n rows.
    y
        Targets, in the shape of its mean.
    levels
        Probabilities inside (0, 1), (m,).
    """
    levels = np.asarray(levels, np.float64)
    lower, upper = np.split(predictive.quantile(0.5 + 0.5 * np.r_[-levels, levels]), 2)
    found = [
        (*coverage((low, high), y), *width((low, high)), *interval_score((low, high), y, level))
        for low, high, level in zip(lower, upper, levels, strict=True)
    ]
    return IntervalCurve(levels, *np.transpose(found))
