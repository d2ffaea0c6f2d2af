"""Scores with the standard errors that the choice of rows gives them.

Each is a mean over rows or a smooth function of such means, so that its error is the sd over rows
of its influence function, over the root of n (the delta method). n rows, c classes.
"""

import numpy as np

from posterium.evaluate import scores
from posterium.evaluate.scores import BINS, Score, average


def regression(
    y: np.ndarray, mean: np.ndarray, interval: tuple[np.ndarray, np.ndarray], crps: np.ndarray
) -> dict[str, Score]:
    """Return the scores of one numeric target y (n,), with errors.

    Parameters
    ----------
    mean, crps
        Of the predictive, (n,).
    interval
        Ends of the central intervals of probability 0.9, (n,) each.
    """
    return {
        "rmse": scores.rmse(mean, y),
        "mae": scores.mae(mean, y),
        "r2": r2(mean, y),
        "crps": average(crps),
        "coverage_90": scores.coverage(interval, y),
        "width_90": scores.width(interval),
    }


def classification(probs: np.ndarray, y: np.ndarray) -> dict[str, Score]:
    """Return the scores of class probabilities (n, c) for class indices y (n,), with errors."""
    return {
        "accuracy": scores.accuracy(probs.argmax(axis=1), y),
        "brier": scores.brier(probs, y),
        "ece": ece(probs, y),
        "auroc": auroc(probs, y),
    }


def r2(mean: np.ndarray, y: np.ndarray) -> Score:
    """Return the share of the target's variance explained; NaN for a constant target."""
    error, spread = (mean - y) ** 2, (y - y.mean()) ** 2
    if not spread.any():
        return Score(float("nan"), float("nan"))
    ratio = error.mean() / spread.mean()
    influence = (ratio * spread - error) / spread.mean()
    return Score(float(1 - ratio), average(influence).se)


def ece(probs: np.ndarray, y: np.ndarray, bins: int = BINS) -> Score:
    """Return the expected calibration error of the top class, with its error.

    The sum of |gap| over bins is a mean over rows of the row's own gap, with the sign of its
    bin's. The error does not count what chance alone adds, by up to sqrt(bins / n) / 2.
    """
    top = probs.max(axis=1)
    gap = top - (y == probs.argmax(axis=1))
    place = np.clip(np.ceil(top * bins).astype(int) - 1, 0, bins - 1)
    signs = np.sign(np.bincount(place, gap, bins))
    return Score(scores.ece(probs, y, bins), average(signs[place] * gap).se)


def auroc(probs: np.ndarray, y: np.ndarray) -> Score:
    """Return the area under the ROC curve as `scores.auroc` does, with DeLong's error (1988)."""
    classes = [1] if probs.shape[1] == 2 else range(probs.shape[1])
    influence = np.mean([_placements(probs[:, c], y == c) for c in classes], axis=0)
    return Score(scores.auroc(probs, y), average(influence).se)


def _placements(score: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return the influence (n,) of each row on the area of one class against the others."""
    n, count = len(score), int(positive.sum())
    if count in (0, n):
        return np.full(n, np.nan)
    above = _share_below(score[positive], score[~positive])
    below = 1 - _share_below(score[~positive], score[positive])
    influence = np.empty(n)
    influence[positive] = (above - above.mean()) * n / count
    influence[~positive] = (below - below.mean()) * n / (n - count)
    return influence


def _share_below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which share of the others lies below each value, ties counted half."""
    ordered = np.sort(others)
    left, right = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (left + right) / (2 * len(others))
