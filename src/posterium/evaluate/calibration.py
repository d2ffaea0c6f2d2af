r"""Calibration: whether what is given the probability p happens in a share p of the rows.

Errors are binomial, for independent rows: a share of n rows has the variance p (1 - p) / n.
"""

from typing import NamedTuple

import numpy as np

from posterium.posterior.predictive import (
    ClassPredictive,
    Key,
    RegressionPredictive,
    generator_from,
)

MOST_BINS = 10
ROWS_A_BIN = 10
Z = 1.96
"""Half width of a 95 % interval of a Gaussian, in standard deviations."""


class Reliability(NamedTuple):
    """Bins of rows by the probability they were given; empty bins are left out.

    Attributes
    ----------
    probability
        Mean probability given in each bin, (b,).
    share
        Share of the bin's rows in which it happened, (b,).
    lower, upper
        Wilson's 95 % interval of that share, (b,).
    count
        Rows in the bin, (b,).
    """

    probability: np.ndarray
    share: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    count: np.ndarray


def bins_for(rows: int, most: int = MOST_BINS) -> int:
    """Return how many bins so many rows fill: about ten rows each, from 3 to `most`."""
    return int(np.clip(rows // ROWS_A_BIN, 3, most))


def reliability(
    probability: np.ndarray, happened: np.ndarray, bins: int | None = None
) -> Reliability:
    """Return, over bins of equal width, how often what was given a probability happened.

    Parameters
    ----------
    probability
        Given to an event, (n,).
    happened
        Whether it happened, (n,) booleans.
    bins
        Their number; None for as many as the rows fill.
    """
    probability, happened = np.asarray(probability, np.float64), np.asarray(happened, np.float64)
    if probability.ndim != 1 or probability.shape != happened.shape or not probability.size:
        raise ValueError(
            "Expected one probability and one outcome a row, for at least one row; got shapes "
            f"{probability.shape} and {happened.shape}."
        )
    bins = bins or bins_for(len(probability))
    place = np.clip((probability * bins).astype(int), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    used = count > 0
    given, hits = (np.bincount(place, v, bins)[used] for v in (probability, happened))
    count = count[used]
    return Reliability(given / count, hits / count, *wilson(hits, count), count)


def wilson(hits: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's 95 % interval of a share of `hits` in `count` rows (Wilson 1927)."""
    share, weight = hits / count, Z**2 / count
    centre = (share + weight / 2) / (1 + weight)
    half = np.sqrt(share * (1 - share) * weight + weight**2 / 4) / (1 + weight)
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def coverage_curve(pit: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of targets inside the central interval of each level, and its error.

    A target lies inside the central interval of probability L where pit is within L/2 of 1/2.

    Parameters
    ----------
    pit
        The predictive distribution function at the target, P(Y <= y), (n,).
    levels
        Probabilities of the intervals, (m,).

    Returns
    -------
    coverage, se
        Shares, and the standard errors they have where the intervals are right, (m,) each.
    """
    pit, levels = np.asarray(pit, np.float64), np.asarray(levels, np.float64)
    distance = np.sort(2 * np.abs(pit - 0.5))
    covered = np.searchsorted(distance, levels * (1 + 1e-12), side="right") / len(pit)
    return covered, np.sqrt(levels * (1 - levels) / len(pit))


def randomised_pit(
    key: Key, predictive: RegressionPredictive | ClassPredictive, y: np.ndarray
) -> np.ndarray:
    """Return P(Y < y) + v P(Y = y), v uniform: the PIT of counts and of ordered classes.

    It is uniform exactly where the predictive is calibrated, which `RegressionPredictive.pit`, with
    1/2 in the place of v, is for numbers only (czado2009).

    Parameters
    ----------
    key
        Seed, JAX key, or NumPy generator.
    predictive
        Of numbers, counts, or ordered classes.
    y
        Targets in the shape of its mean, or class indices (n,).

    Returns
    -------
    np.ndarray
        In the shape of y.
    """
    y = np.asarray(y)
    if isinstance(predictive, RegressionPredictive):
        upto = predictive.cdf(y)
        here = 2 * (upto - predictive.pit(y))
    elif predictive.ordered:
        rows = np.arange(len(y))
        upto = np.cumsum(predictive.probs, axis=1)[rows, y]
        here = predictive.probs[rows, y]
    else:
        raise ValueError(
            "Expected ordered classes for a PIT; those of this predictive have no order. Use "
            "reliability, or the likelihood Ordinal()."
        )
    return upto - generator_from(key).random(upto.shape) * here


def pit_histogram(
    pit: np.ndarray, bins: int | None = None
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return edges and densities of a histogram, and between which two 95 % lie by chance.

    The density of a calibrated predictive is 1.
    """
    bins = bins or bins_for(len(pit), 2 * MOST_BINS)
    density, edges = np.histogram(pit, bins=bins, range=(0, 1), density=True)
    half = Z * np.sqrt((bins - 1) / len(pit))
    return edges, density, max(0.0, 1 - half), 1 + half
