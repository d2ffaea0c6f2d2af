r"""Scores of a distribution that is known by draws from it, row by row.

.. math:: E\|X - y\| - \tfrac12 E\|X - X'\|

X and X' independent draws (gneiting2007, eqs. 21 and 22). Of s draws the second mean is over pairs:
over the s (s - 1) of different draws it is that of the distribution they come from (``fair``);
over all s^2 it is that of the draws themselves, taken as the prediction, which is larger by the
spread over s. What comes out has a value for each row: `average` gives mean and standard error, of
a difference of two models too.
"""

import numpy as np

from posterium.evaluate.scores.rows import like


def sampled_crps(draws: np.ndarray, y: np.ndarray, *, fair: bool = True) -> np.ndarray:
    """Return the continuous ranked probability score of draws, in target units.

    `RegressionPredictive.crps` has no error from drawing: this is for distributions known by
    draws alone. Pairs are summed by their ranks, which is the estimate from probability
    weighted moments where `fair`, and the one from quantiles where not (zamo2018).

    Parameters
    ----------
    draws
        (s, ...), as from `sample`.
    y
        Targets, of the shape (...) of a draw.
    fair
        Whether the score is that of the distribution the draws come from, without bias, or that
        of the s draws as they are.

    Examples
    --------
    >>> sampled_crps(np.array([[0.0], [2.0]]), np.array([1.0]))
    array([0.])
    >>> sampled_crps(np.array([[0.0], [2.0]]), np.array([1.0]), fair=False)
    array([0.5])
    """
    draws = np.asarray(draws, np.float64)
    pairs = _pairs(draws, fair)
    away = np.sort(draws - like(y, draws[0]), axis=0)
    weight = 2.0 * np.arange(len(draws)) - (len(draws) - 1)
    return np.abs(away).mean(axis=0) - np.tensordot(weight, away, axes=1) / pairs


def energy_score(draws: np.ndarray, y: np.ndarray, *, fair: bool = True) -> np.ndarray:
    """Return the energy score of draws of several outputs together, (n,), in target units.

    The distance is Euclidean: bring outputs of different units to one scale first. It is the CRPS
    where there is one output. Work is s^2 n k.

    Parameters
    ----------
    draws
        (s, n, k), as from `sample`.
    y
        Targets, (n, k).
    fair
        As in `sampled_crps`.
    """
    draws = np.asarray(draws, np.float64)
    if draws.ndim != 3:
        raise ValueError(f"Expected draws of shape (draws, rows, outputs); got {draws.shape}.")
    pairs = _pairs(draws, fair)
    spread = np.zeros(draws.shape[1])
    for lag in range(1, len(draws)):
        spread += np.linalg.norm(draws[lag:] - draws[:-lag], axis=2).sum(axis=0)
    return np.linalg.norm(draws - like(y, draws[0]), axis=2).mean(axis=0) - spread / pairs


def _pairs(draws: np.ndarray, fair: bool) -> int:
    """Return by how many pairs a sum over the unordered ones is divided."""
    count = len(draws)
    if count < (2 if fair else 1):
        raise ValueError(
            f"Expected at least {2 if fair else 1} draws; got {count}. One draw has no spread to "
            "estimate: pass more, or fair=False for the score of the point."
        )
    return count * (count - 1) if fair else count**2
