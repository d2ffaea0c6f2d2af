r"""Scores of class probabilities (n, c) for class indices y (n,), and the parts of the Brier score.

With rows in bins b by the probability p_i given to an event, o_i = 1 where it happened:

.. math::
   \overline{(p_i - o_i)^2} = \underbrace{\overline{(\bar p_b - \bar o_b)^2}}_{\text{reliability}}
   - \underbrace{\overline{(\bar o_b - \bar o)^2}}_{\text{resolution}}
   + \underbrace{\bar o (1 - \bar o)}_{\text{uncertainty}}
   + \underbrace{\overline{(p_i - \bar p_b)^2 - 2 (p_i - \bar p_b)(o_i - \bar o_b)}}_{\text{within}}

(murphy1973; the last term, of probabilities that differ within a bin, stephenson2008).
"""

from typing import NamedTuple

import numpy as np

from posterium.evaluate.scores.bins import BINS, By, bin_means, bin_of
from posterium.evaluate.scores.rows import Score, average, like


def accuracy(label: np.ndarray, y: np.ndarray) -> Score:
    """Return the share of labels that are right."""
    return average(like(y, label) == label)


def brier(probs: np.ndarray, y: np.ndarray) -> Score:
    """Return the mean squared distance of probs (n, c) from the class y, halved for two classes."""
    truth = np.arange(probs.shape[1]) == like(y, probs[:, 0])[:, None]
    each = ((probs - truth) ** 2).sum(axis=1)
    return average(each / 2 if probs.shape[1] == 2 else each)


def ranked_probability(probs: np.ndarray, y: np.ndarray) -> Score:
    """Return the mean ranked probability score of ordered classes, 0 to c - 1 (epstein1969).

    The squared distance of the cumulative probabilities from those of the class y, summed.
    """
    passed = np.arange(probs.shape[1]) >= like(y, probs[:, 0])[:, None]
    return average(((np.cumsum(probs, axis=1) - passed) ** 2).sum(axis=1))


class BrierParts(NamedTuple):
    """What the Brier score is made of: reliability - resolution + uncertainty + within, exactly.

    Attributes
    ----------
    reliability
        How far what is given a probability is from happening that often; 0 is calibrated.
    resolution
        How far how often it happens differs between bins; more is better.
    uncertainty
        The score of giving every row the shares of the classes: of the data alone.
    within
        What probabilities that differ within a bin add: small where there are bins enough.
    """

    reliability: Score
    resolution: Score
    uncertainty: Score
    within: Score


def brier_decomposition(
    probs: np.ndarray, y: np.ndarray, *, bins: int = BINS, by: By = "width", debiased: bool = False
) -> BrierParts:
    """Return the parts of `brier`, summed over classes, or of class 1 of two.

    Parameters
    ----------
    probs, y
        Class probabilities (n, c) and class indices (n,).
    bins, by
        Number of bins of each class, of equal ``"width"`` or of equal ``"mass"`` in rows.
    debiased
        Take off what chance adds to reliability and resolution (broecker2012; ferro2012). The sum
        stays the same; reliability and resolution can come out negative, and a bin of one row
        stays as it is.
    """
    y = like(y, probs[:, 0])
    classes = [1] if probs.shape[1] == 2 else range(probs.shape[1])
    places = (bin_of(probs[:, c], bins, by) for c in classes)
    each = [
        _row_terms(probs[:, c], (y == c).astype(float), place, debiased)
        for c, place in zip(classes, places, strict=True)
    ]
    return BrierParts(*(average(terms) for terms in np.sum(each, axis=0)))


def _row_terms(p: np.ndarray, o: np.ndarray, place: np.ndarray, debiased: bool) -> np.ndarray:
    """Return what has the four parts as its means over rows, (4, n); see `average`."""
    gap, share = bin_means(place, p - o, o)
    base = o.mean()
    of_rate = base**2 + 2 * base * (o - base)
    of_bins = share**2 + 2 * share * (o - share)
    found = np.stack([
        gap**2 + 2 * gap * (p - o - gap),
        of_bins - of_rate,
        o - of_rate,
        (p - o - gap) ** 2 - (o - share) ** 2,
    ])  # fmt: skip
    if debiased:
        in_bin = share * (1 - share) / np.maximum(np.bincount(place)[place] - 1, 1)
        in_all = base * (1 - base) / max(len(o) - 1, 1)
        found -= np.stack([in_bin, in_bin - in_all, np.full(len(o), -in_all), np.zeros(len(o))])
    return found
