"""Simulation-based calibration: whether ranks of truths among posterior draws are uniform.

A truth drawn from the prior, and draws from the posterior of data simulated from it, are
exchangeable: among S draws the truth has every rank from 0 to S equally often (Cook, Gelman and
Rubin 2006; Talts, Betancourt, Simpson, Vehtari and Gelman 2018). Ranks have the axes simulations,
quantities: (n, q).
"""

import numpy as np
from scipy.special import ndtri
from scipy.stats import chi2

BINS = 16
LEAST_P, MOST_ERRORS = 1e-4, 4
LEVELS = np.arange(0.1, 1, 0.1)


def uniformity(ranks: np.ndarray, draws: int) -> dict[str, np.ndarray]:
    """Return for each quantity (q,) how ranks among so many draws differ from uniform ones.

    `p` of the chi-square test over 16 bins; mean and mean square of the normal scores, the latter
    relative to that of uniform ranks; and both differences in standard errors.
    """
    count, score = len(ranks), ndtri((np.arange(draws + 1) + 0.5) / (draws + 1))
    bins = np.stack([np.bincount(r * BINS // (draws + 1), minlength=BINS) for r in ranks.T])
    statistic = np.sum((bins - count / BINS) ** 2, axis=1) / (count / BINS)
    mean, square = score[ranks].mean(axis=0), np.mean(score[ranks] ** 2, axis=0)
    expected = np.mean(score**2)
    return {
        "p": chi2.sf(statistic, BINS - 1),
        "mean": mean,
        "square": square / expected,
        "mean_errors": mean / (score.std() / np.sqrt(count)),
        "square_errors": (square - expected) / (np.std(score**2) / np.sqrt(count)),
    }


def is_uniform(found: dict[str, np.ndarray]) -> bool:
    """Say whether nothing that `uniformity` found is beyond what chance does."""
    errors = np.abs([found["mean_errors"], found["square_errors"]])
    return bool((found["p"] > LEAST_P).all() and (errors < MOST_ERRORS).all())


def worst(found: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the figures of `uniformity` that are furthest from those of uniform ranks."""
    mean = np.abs(found["mean_errors"]).argmax()
    square = np.abs(found["square_errors"]).argmax()
    return {
        "chi-square p": float(found["p"].min()),
        "mean score": float(found["mean"][mean]),
        "mean square": float(found["square"][square]),
    }


def coverage(ranks: np.ndarray, draws: int, level: float) -> np.ndarray:
    """Return how often the central intervals of a level hold the truth, (q,)."""
    place = (ranks + 0.5) / (draws + 1)
    return np.mean(np.abs(place - 0.5) < level / 2, axis=0)
