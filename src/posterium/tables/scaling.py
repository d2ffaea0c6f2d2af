"""Standardisation: columns to mean 0 and standard deviation 1, and back."""

import math
from typing import Any

import numpy as np

from posterium._struct import struct
from posterium.model.likelihoods.base import LEAST_NOISE

CONSTANT = 1e-6
"""A column whose sd is below this share of its largest size counts as constant."""


@struct
class Standardiser:
    """An affine map of columns, z = (column - shift) / scale, both in the column's unit.

    Parameters
    ----------
    shift
        Weighted means, (d,).
    scale
        Weighted standard deviations, (d,), or half the distance of two levels; 1 where a column is
        constant.
    """

    shift: Any
    scale: Any

    @classmethod
    def of(cls, columns: np.ndarray, weight: np.ndarray, *, levels: bool = False) -> "Standardiser":
        """Return the map that standardises columns (n, d) under row weights (n,), in float64.

        Columns are divided by powers of two near their size first, so that squares stay in range.

        With `levels`, columns of two values come to lie 2 apart, as if both were equally frequent
        (Gelman 2008). By its sd a level of few rows would stand many units from the others, where
        a network has learned nothing.
        """
        columns = np.asarray(columns, np.float64)
        exponents = np.frexp(np.max(np.abs(columns), axis=0))[1]
        unit = np.ldexp(1.0, exponents - 1)
        columns = columns / unit
        shift = np.average(columns, axis=0, weights=weight)
        sd = np.sqrt(np.average((columns - shift) ** 2, axis=0, weights=weight))
        flat = np.ptp(columns, axis=0) == 0
        flat |= sd <= CONSTANT * np.max(np.abs(columns), axis=0)
        if levels:
            low, high = np.min(columns, axis=0), np.max(columns, axis=0)
            two = np.all((columns == low) | (columns == high), axis=0)
            sd = np.where(two, (high - low) / 2, sd)
        return cls(shift * unit, np.where(flat, 1.0, sd * unit))

    @classmethod
    def identity(cls, width: int) -> "Standardiser":
        """Return the map that changes nothing."""
        return cls(np.zeros(width), np.ones(width))

    def apply(self, columns: np.ndarray) -> np.ndarray:
        """Return the standardised columns, float64."""
        return (np.asarray(columns, np.float64) - self.shift) / self.scale


def noise_floor(
    targets: np.ndarray, weight: np.ndarray, standardise: bool = True
) -> float | np.ndarray:
    """Return the least noise sd of targets (n,) or (n, k), in standardised or in target units.

    One number for one column; of several, one each, (k,).

    Targets are rounded: numbers a step apart hide a noise sd of step / sqrt(12), and a density
    that is narrower than that rewards the rounding. Never below a thousandth of the sd.
    """
    columns = np.asarray(targets, np.float64).reshape(len(targets), -1)
    sds = Standardiser.of(columns, weight).scale
    steps = [np.min(np.diff(np.unique(column)), initial=np.inf) for column in columns.T]
    shares = np.array(steps) / math.sqrt(12) / sds
    shares = np.where(np.isfinite(shares), np.maximum(shares, LEAST_NOISE), LEAST_NOISE)
    floors = shares if standardise else shares * sds
    return floors if floors.size > 1 else float(floors[0])


def mean_count(targets: np.ndarray, weight: np.ndarray) -> float | np.ndarray:
    """Return the mean of targets (n,) or (n, k), 1 where that is not above 0.

    One number for one column; of several, one each, (k,).
    """
    columns = np.asarray(targets, np.float64).reshape(len(targets), -1)
    means = np.average(columns, axis=0, weights=weight)
    means = np.where(np.isfinite(means) & (means > 0), means, 1.0)
    return means if means.size > 1 else float(means[0])
