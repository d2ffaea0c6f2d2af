"""A score with its standard error, and the mean over rows that nearly every score is."""

from typing import NamedTuple

import numpy as np


class Score(NamedTuple):
    """A score and its standard error over rows (NaN for a single row)."""

    value: float
    se: float


NOT_DEFINED = Score(float("nan"), float("nan"))


def average(values: np.ndarray) -> Score:
    """Return the mean over rows and its standard error, NaN where a value is not finite.

    For a smooth function of means, values are its row terms: the score plus the influence of each
    row on it, whose mean is the score and whose spread is the error by the delta method. The error
    is computed in units of the largest value, whose square may be out of range.
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


def nll(log_prob: np.ndarray) -> Score:
    """Return the mean negative log predictive density (or probability), in nats."""
    return average(-np.asarray(log_prob))


def like(y: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return y as an array, of the same shape as what it is compared with."""
    y = np.asarray(y)
    if y.shape != reference.shape:
        raise ValueError(f"Expected targets of shape {reference.shape}; got {y.shape}.")
    return y
