"""Scores of an order: how well a number ranks rows by what they turn out to be.

Out-of-distribution and misclassified rows are found by an uncertainty, classes by a probability,
times by what is predicted to last. Errors are those of the choice of rows.
"""

import math

import numpy as np

from posterium.evaluate.scores.rows import NOT_DEFINED, Score, average, like


def auroc(score: np.ndarray, positive: np.ndarray) -> Score:
    """Return the area under the ROC curve, with DeLong's standard error (delong1988).

    The chance that a positive row has a higher score than another one, ties counted half: 0.5 is
    chance. NaN where one of the two kinds has no rows; the error also where it has a single one.

    Parameters
    ----------
    score
        What should be higher for positive rows, (n,).
    positive
        Whether a row is, (n,) booleans.
    """
    value, influence = _area(*_of_two_kinds(score, positive))
    return Score(value, _error(influence))


def class_auroc(probs: np.ndarray, y: np.ndarray) -> Score:
    """Return the area under the ROC curve of class 1 of two, or the mean of each against the rest.

    NaN where a class has no rows, or all.

    Parameters
    ----------
    probs, y
        Class probabilities (n, c) and class indices (n,).
    """
    y = like(y, probs[:, 0])
    classes = [1] if probs.shape[1] == 2 else range(probs.shape[1])
    values, influences = zip(*(_area(probs[:, c], y == c) for c in classes), strict=True)
    return Score(float(np.mean(values)), _error(np.mean(influences, axis=0)))


def aupr(score: np.ndarray, positive: np.ndarray) -> Score:
    """Return the area under the precision-recall curve, as average precision.

    The mean over positive rows of the share of positive ones among rows of at least their score:
    chance is the share of positive rows, so values of other shares do not compare. The error is
    that of its influence function. NaN without a positive row. Arguments are those of `auroc`.
    """
    score, positive = _of_two_kinds(score, positive)
    count = positive.sum()
    if count == 0:
        return NOT_DEFINED
    _, place, size = np.unique(-score, return_inverse=True, return_counts=True)
    taken, hits = np.cumsum(size), np.bincount(place, positive)
    precision = np.cumsum(hits) / taken
    value = precision @ hits / count
    gained, lost = (_from_here(part)[place] for part in (hits / taken, hits / taken * precision))
    influence = (positive * (precision[place] - value + gained) - lost) * len(score) / count
    return average(value + influence)


def fpr_at_tpr(score: np.ndarray, positive: np.ndarray, tpr: float = 0.95) -> Score:
    """Return the share of other rows that are taken for positive where a share of those is found.

    The threshold is the highest score that finds so many. The error is binomial, and that of the
    threshold as a quantile of the positive scores, by its ranks (woodruff1952). NaN where one of
    the two kinds has no rows.

    Parameters
    ----------
    score, positive
        As in `auroc`.
    tpr
        Share of the positive rows to be found, in (0, 1].
    """
    score, positive = _of_two_kinds(score, positive)
    found, others = np.sort(score[positive])[::-1], np.sort(score[~positive])
    if not (len(found) and len(others)):
        return NOT_DEFINED
    rank = tpr * len(found)
    off = math.sqrt(len(found) * tpr * (1 - tpr))
    ranks = np.ceil(np.array([rank, rank - off, rank + off]) - 1e-9).astype(int)
    thresholds = found[np.clip(ranks, 1, len(found)) - 1]
    value, low, high = 1 - np.searchsorted(others, thresholds, side="left") / len(others)
    binomial = math.sqrt(value * (1 - value) / len(others))
    return Score(float(value), math.hypot(binomial, (high - low) / 2))


def concordance(later: np.ndarray, time: np.ndarray, event: np.ndarray) -> Score:
    """Return the share of pairs of rows whose order in time is as predicted (harrell1996).

    Counted are pairs in which the row with the shorter time was seen to end; equal predictions
    count half. NaN without such a pair. The error is that of a ratio of means over pairs.

    Parameters
    ----------
    later
        What is larger for rows that are predicted to last longer, (n,).
    time, event
        Times, and 1 where the event was seen, (n,) each.
    """
    time, event = like(time, later), like(event, later)
    right, pairs = np.zeros((2, len(later)))
    for row in np.flatnonzero(event):
        after = (time > time[row]) | ((time == time[row]) & (event == 0))
        gap = later[after] - later[row]
        won = (gap > 0) + 0.5 * (gap == 0)
        right[after] += won
        right[row] += won.sum()
        pairs[after] += 1
        pairs[row] += after.sum()
    if not pairs.any():
        return NOT_DEFINED
    value = right.sum() / pairs.sum()
    return average(value + 2 * (right - value * pairs) / pairs.mean())


def detection(score: np.ndarray, positive: np.ndarray) -> dict[str, Score]:
    """Return how well a score finds positive rows: ``auroc``, ``aupr`` and ``fpr_95``.

    The last is `fpr_at_tpr` at 95 %. Arguments are those of `auroc`.
    """
    return {
        "auroc": auroc(score, positive),
        "aupr": aupr(score, positive),
        "fpr_95": fpr_at_tpr(score, positive),
    }


def misclassification(
    probs: np.ndarray, y: np.ndarray, uncertainty: np.ndarray | None = None
) -> dict[str, Score]:
    """Return how well an uncertainty finds the rows that get the wrong class (hendrycks2017).

    Parameters
    ----------
    probs, y
        Class probabilities (n, c) and class indices (n,).
    uncertainty
        Higher where a row may be wrong, (n,); None takes one less the top probability.
    """
    wrong = like(y, probs[:, 0]) != probs.argmax(axis=1)
    return detection(1 - probs.max(axis=1) if uncertainty is None else uncertainty, wrong)


def out_of_distribution(inside: np.ndarray, outside: np.ndarray) -> dict[str, Score]:
    """Return how well an uncertainty tells rows of another kind from rows like those fitted.

    Parameters
    ----------
    inside
        Uncertainty of rows like those fitted, (n,): entropy, mutual information, sd.
    outside
        That of rows of another kind, (m,), which count as positive.
    """
    kinds = np.repeat([False, True], [len(inside), len(outside)])
    return detection(np.concatenate([inside, outside]), kinds)


def _of_two_kinds(score: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    score = np.asarray(score, np.float64)
    if score.ndim != 1 or np.isnan(score).any():
        raise ValueError(f"Expected one number a row to rank by, none NaN; got {score.shape}.")
    return score, like(positive, score).astype(bool)


def _area(score: np.ndarray, positive: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the area under the ROC curve and the influence of each row on it, (n,)."""
    influence = np.full(len(score), np.nan)
    if positive.all() or not positive.any():
        return float("nan"), influence
    above = _share_below(score[positive], score[~positive])
    below = 1 - _share_below(score[~positive], score[positive])
    influence[positive] = _centred(above, len(score))
    influence[~positive] = _centred(below, len(score))
    return float(above.mean()), influence


def _share_below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which share of the others lies below each value, ties counted half."""
    ordered = np.sort(others)
    left, right = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (left + right) / (2 * len(others))


def _centred(values: np.ndarray, rows: int) -> np.ndarray:
    """Return the influence of some of the rows on the mean of their values (m,).

    Its mean square over all rows is without bias for the variance of that mean, times the rows.
    """
    count = len(values)
    if count < 2:
        return np.full(count, np.nan)
    return (values - values.mean()) * rows / math.sqrt(count * (count - 1))


def _error(influence: np.ndarray) -> float:
    """Return the standard error of what rows have this influence on, (n,)."""
    return math.sqrt(float(np.sum(influence**2))) / len(influence)


def _from_here(values: np.ndarray) -> np.ndarray:
    """Return the sum of each value and those after it."""
    return np.cumsum(values[::-1])[::-1]
