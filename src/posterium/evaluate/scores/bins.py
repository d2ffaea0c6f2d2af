r"""Calibration of probabilities of events, over bins of rows that were given like ones.

.. math:: \mathrm{gap}_b = \bar p_b - \bar o_b

the mean probability given in a bin less the share in which the event happened. Chance alone gives
every bin a gap, so that a calibration error is too large, and the more so the more bins there are;
``debiased`` takes off what chance adds (kumar2019).
"""

from typing import Any, Literal

import numpy as np

from posterium.evaluate.scores.rows import Score, average, like
from posterium.numerics.mixtures import mean_distance

BINS = 15
LEAST_VARIANCE = 1e-24
"""Of a gap: what rounding leaves."""

By = Literal["width", "mass"]
Norm = Literal["absolute", "squared"]


def bin_of(probability: np.ndarray, bins: int, by: By = "width") -> np.ndarray:
    """Return the bin of each row, (n,), closed on the right.

    Of equal ``"width"`` over (0, 1], or of equal ``"mass"``: as many rows each as can be with rows
    of equal probability in one bin.
    """
    if by not in ("width", "mass"):
        raise ValueError(f"by must be 'width' or 'mass'; got {by!r}.")
    if by == "width":
        return np.clip(np.ceil(probability * bins).astype(int) - 1, 0, bins - 1)
    ends = np.quantile(probability, np.arange(1, bins) / bins, method="inverted_cdf")
    return np.searchsorted(ends, probability, side="left")


def bin_means(place: np.ndarray, *values: np.ndarray) -> list[np.ndarray]:
    """Return for each row the mean of values over the rows of its bin, (n,) each."""
    count = np.bincount(place)[place]
    return [np.bincount(place, value)[place] / count for value in values]


def calibration_error(
    probability: np.ndarray,
    happened: np.ndarray,
    *,
    bins: int = BINS,
    by: By = "width",
    norm: Norm = "absolute",
    debiased: bool = False,
) -> Score:
    r"""Return how far probabilities of an event are from how often it happened.

    Parameters
    ----------
    probability
        Given to the event, (n,); of several events (n, c), which are averaged.
    happened
        Whether it happened, of the same shape.
    bins, by
        Number of bins, of equal ``"width"`` or of equal ``"mass"`` in rows.
    norm
        ``"absolute"``: the mean over rows of the absolute gap of their bin. ``"squared"``: of its
        square, which is the reliability of `brier_decomposition`.
    debiased
        Take off what chance adds, v the variance of a gap: of the square v, which leaves no bias;
        of the absolute value E\|N(gap, v)\| - \|gap\|, which of gaps that are all chance leaves a
        share of 2 - sqrt(2). What is left can be negative. A bin of one row has v = p (1 - p).

    Returns
    -------
    Score
        With its error by the delta method, bins taken as given: too large where gaps are no larger
        than chance makes them.
    """
    if norm not in ("absolute", "squared"):
        raise ValueError(f"norm must be 'absolute' or 'squared'; got {norm!r}.")
    probability = np.asarray(probability, np.float64)
    happened = like(happened, probability)
    if not probability.size:
        raise ValueError("Expected at least one row to score; got none.")
    events = zip(*(part.reshape(len(part), -1).T for part in (probability, happened)), strict=True)
    return average(
        np.mean([_row_terms(p, o, bin_of(p, bins, by), norm, debiased) for p, o in events], axis=0)
    )


def _row_terms(
    probability: np.ndarray, happened: np.ndarray, place: np.ndarray, norm: Norm, debiased: bool
) -> np.ndarray:
    """Return what has the error of one event as its mean over rows, (n,); see `average`."""
    away = probability - happened
    (gap,) = bin_means(place, away)
    variance = _variance(probability, away - gap, place) if debiased else np.zeros(len(gap))
    if norm == "squared":
        return gap**2 - variance + 2 * gap * (away - gap)
    size = np.abs(gap)
    if debiased:
        size = 2 * size - mean_distance(gap, np.sqrt(np.maximum(variance, LEAST_VARIANCE)))
    return size + np.sign(gap) * (away - gap)


def _variance(probability: np.ndarray, centred: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return for each row the variance of its bin's gap, (n,)."""
    count = np.bincount(place)[place]
    (spread,) = bin_means(place, centred**2)
    return np.where(count > 1, spread / np.maximum(count - 1, 1), probability * (1 - probability))


def largest_gap(
    probability: np.ndarray, happened: np.ndarray, *, bins: int = BINS, by: By = "width"
) -> Score:
    """Return the maximum calibration error: the largest absolute gap of a bin (guo2017, eq. 5).

    The error is that of this bin's gap, as if it had been chosen before. A bin of few rows has a
    large gap by chance; ``by="mass"`` has none such. Arguments are those of `calibration_error`,
    of one event.
    """
    probability = np.asarray(probability, np.float64)
    away = probability - like(happened, probability)
    place = bin_of(probability, bins, by)
    (gap,) = bin_means(place, away)
    worst = int(np.abs(gap).argmax())
    return average(np.sign(gap[worst]) * away[place == place[worst]])


def ece(probs: np.ndarray, y: np.ndarray, **options: Any) -> Score:
    """Return the expected calibration error of the top class (guo2017, eq. 3).

    How far its probability is from how often it is right. Chance alone lifts it, by up to
    sqrt(bins / n) / 2, unless `debiased`.

    Parameters
    ----------
    probs, y
        Class probabilities (n, c) and class indices (n,).
    options
        ``bins``, ``by``, ``norm``, ``debiased`` as in `calibration_error`; ``by="mass"`` is the
        adaptive one.
    """
    top = np.max(probs, axis=1)
    return calibration_error(top, like(y, top) == np.argmax(probs, axis=1), **options)


def classwise_ece(probs: np.ndarray, y: np.ndarray, **options: Any) -> Score:
    """Return the calibration error of the probability of each class, the mean over classes.

    The static calibration error, or with ``by="mass"`` the adaptive one, of nixon2019. Of many
    classes most probabilities are near 0, and so are their gaps. Arguments are those of `ece`.
    """
    probs = np.asarray(probs)
    truth = np.arange(probs.shape[1]) == like(y, probs[:, 0])[:, None]
    return calibration_error(probs, truth, **options)
