"""Scores of predictions against what came true, on plain arrays, with their standard errors.

n rows, k outputs, c classes. Scores that are means over rows come with the standard error of that
mean; multiple outputs are averaged within a row first.
"""

from typing import NamedTuple

import numpy as np

from posterium.posterior.predictive import ClassPredictive, RegressionPredictive

BINS = 15


class Score(NamedTuple):
    """A score and its standard error over rows (NaN for a single row)."""

    value: float
    se: float


def average(values: np.ndarray) -> Score:
    """Return the mean over rows and its standard error, NaN where a value is not finite.

    The error is computed in units of the largest value, whose square may be out of range.
    """
    values = np.asarray(values, np.float64)
    if values.size == 0:
        raise ValueError("Expected at least one row to score; got none.")
    rows = values.reshape(len(values), -1).mean(axis=1)
    largest = float(np.abs(rows).max())
    if len(rows) < 2 or not np.isfinite(largest):
        return Score(float(rows.mean()), float("nan"))
    unit = largest or 1.0
    return Score(float(rows.mean()), unit * float((rows / unit).std(ddof=1) / np.sqrt(len(rows))))


def rmse(mean: np.ndarray, y: np.ndarray) -> Score:
    """Return the root mean squared error, in target units; se by the delta method."""
    value, se = average((_like(y, mean) - mean) ** 2)
    root = float(np.sqrt(value))
    return Score(root, se / (2 * root) if root > 0 else 0.0)


def mae(mean: np.ndarray, y: np.ndarray) -> Score:
    """Return the mean absolute error, in target units."""
    return average(np.abs(_like(y, mean) - mean))


def nll(log_prob: np.ndarray) -> Score:
    """Return the mean negative log predictive density (or probability), in nats."""
    return average(-np.asarray(log_prob))


def coverage(interval: tuple[np.ndarray, np.ndarray], y: np.ndarray) -> Score:
    """Return the share of targets inside their interval, ends included."""
    lower, upper = interval
    y = _like(y, lower)
    return average((lower <= y) & (y <= upper))


def width(interval: tuple[np.ndarray, np.ndarray]) -> Score:
    """Return the mean width of the intervals, in target units."""
    lower, upper = interval
    return average(upper - lower)


def pinball(quantile: np.ndarray, y: np.ndarray, level: float) -> Score:
    """Return the mean pinball loss of quantiles at a level, in target units: it scores these."""
    above = _like(y, quantile) - quantile
    return average(np.maximum(level * above, (level - 1) * above))


def concordance(later: np.ndarray, time: np.ndarray, event: np.ndarray) -> float:
    """Return the share of pairs of rows whose order in time is as predicted (harrell1996).

    Counted are pairs in which the row with the shorter time was seen to end; equal predictions
    count half. NaN without such a pair.

    Parameters
    ----------
    later
        What is larger for rows that are predicted to last longer, (n,).
    time, event
        Times, and 1 where the event was seen, (n,) each.
    """
    time, event = _like(time, later), _like(event, later)
    right = pairs = 0.0
    for row in np.flatnonzero(event):
        after = (time > time[row]) | ((time == time[row]) & (event == 0))
        gap = later[after] - later[row]
        right += (gap > 0).sum() + 0.5 * (gap == 0).sum()
        pairs += after.sum()
    return float(right / pairs) if pairs else float("nan")


def ranked_probability(probs: np.ndarray, y: np.ndarray) -> Score:
    """Return the mean ranked probability score of ordered classes, 0 to c - 1 (epstein1969).

    The squared distance of the cumulative probabilities from those of the class y, summed.
    """
    passed = np.arange(probs.shape[1]) >= _like(y, probs[:, 0])[:, None]
    return average(((np.cumsum(probs, axis=1) - passed) ** 2).sum(axis=1))


def accuracy(label: np.ndarray, y: np.ndarray) -> Score:
    """Return the share of labels that are right."""
    return average(_like(y, label) == label)


def brier(probs: np.ndarray, y: np.ndarray) -> Score:
    """Return the mean squared distance of probs (n, c) from the class y, halved for two classes."""
    truth = np.arange(probs.shape[1]) == _like(y, probs[:, 0])[:, None]
    each = ((probs - truth) ** 2).sum(axis=1)
    return average(each / 2 if probs.shape[1] == 2 else each)


def ece(probs: np.ndarray, y: np.ndarray, bins: int = BINS) -> float:
    """Return the expected calibration error of the top class (guo2017, eq. 3).

    Bins of equal width over (0, 1], closed on the right; the gap between confidence and accuracy
    of each, weighted by its share of the rows. Chance alone lifts it, by up to sqrt(bins / n) / 2.
    """
    top = probs.max(axis=1)
    right = _like(y, top) == probs.argmax(axis=1)
    bin_of = np.clip(np.ceil(top * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, weights=top - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(top))


def auroc(probs: np.ndarray, y: np.ndarray) -> float:
    """Return the area under the ROC curve: of class 1 of two, else the mean one against the rest.

    The chance that a row of the class is ranked above a row of the others, ties counted half. NaN
    when a class has no rows, or all.
    """
    y = _like(y, probs[:, 0])
    classes = [1] if probs.shape[1] == 2 else range(probs.shape[1])
    return float(np.mean([_binary_auroc(probs[:, c], y == c) for c in classes]))


def _binary_auroc(score: np.ndarray, positive: np.ndarray) -> float:
    """Count the pairs by the sum of mid-ranks of the positive rows (Mann-Whitney)."""
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    mid_rank = np.cumsum(count) - 0.5 * (count - 1)
    above = mid_rank[place[positive]].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def regression_scores(predictive: RegressionPredictive, y: np.ndarray) -> dict[str, float | None]:
    """Return the scores that a report has for numeric targets, by their JSON keys.

    Of quantiles also their mean pinball loss. Of times that may be cut off, y (n, 2), other ones:
    errors and coverage need the whole time.
    """
    interval = predictive.interval(0.9)
    if predictive.columns == 2:
        return _survival_scores(predictive, np.asarray(y), interval)
    found: dict[str, float | None] = {
        "rmse": rmse(predictive.mean, y).value,
        "nll": nll(predictive.log_prob(y)).value,
        "crps": average(predictive.crps(y)).value,
        "coverage_90": coverage(interval, y).value,
        "width_90": width(interval).value,
    }
    return found | _quantile_scores(predictive, y)


def _quantile_scores(predictive: RegressionPredictive, y: np.ndarray) -> dict[str, float | None]:
    """Return the pinball loss averaged over the levels that were fitted; nothing without such."""
    if not predictive.levels:
        return {}
    found = predictive.quantile(np.array(predictive.levels))
    losses = [pinball(q, y, p).value for q, p in zip(found, predictive.levels, strict=True)]
    return {"pinball": float(np.mean(losses))}


def _survival_scores(
    predictive: RegressionPredictive, y: np.ndarray, interval: tuple[np.ndarray, np.ndarray]
) -> dict[str, float | None]:
    """Return the scores of times y (n, 2); `concordance` is None where no pair can be ordered."""
    ordered = concordance(predictive.quantile(0.5).reshape(len(y)), y[:, 0], y[:, 1])
    return {
        "nll": nll(predictive.log_prob(y)).value,
        "concordance": None if np.isnan(ordered) else ordered,
        "events": float(np.mean(y[:, 1])),
        "width_90": width(interval).value,
    }


def classification_scores(predictive: ClassPredictive, y: np.ndarray) -> dict[str, float | None]:
    """Return the scores that a report has for class indices y, by their JSON keys.

    `auroc` is None where it is not defined: a class has no rows in y, or all.
    """
    probs = predictive.probs
    area = auroc(probs, y)
    return {
        "accuracy": accuracy(predictive.label, y).value,
        "nll": nll(predictive.log_prob(y)).value,
        "brier": brier(probs, y).value,
        "ece": ece(probs, y),
        "auroc": None if np.isnan(area) else area,
    } | ({"rps": ranked_probability(probs, y).value} if predictive.ordered else {})


def _like(y: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return y as an array, of the same shape as what it is compared with."""
    y = np.asarray(y)
    if y.shape != reference.shape:
        raise ValueError(f"Expected targets of shape {reference.shape}; got {y.shape}.")
    return y
