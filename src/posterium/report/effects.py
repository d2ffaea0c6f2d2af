"""Effects: the average prediction over rows, with one column set to one value after another.

Partial dependence (friedman2001), for every function of the posterior; its sd over functions is
what the model does not know of the effect.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from posterium.evaluate.dependence import averages
from posterium.report.columns import InputColumn

GRID = 16
"""Settings of a number with many values."""
LEVELS = 12
"""Settings of a column with few values, or levels, at most."""
BATCH = 4096
"""Predictions made at a time."""
EDGE = 0.02
"""Share of the rows beyond either end of the grid."""


@dataclass(frozen=True)
class Effect:
    """The partial dependence on one column.

    Parameters
    ----------
    column
        Which column.
    settings
        What it was set to: numbers, or indices of levels, (m,).
    mean, sd
        Average prediction and its epistemic sd, (m, k) for k outputs or classes.
    """

    column: InputColumn
    settings: np.ndarray
    mean: np.ndarray
    sd: np.ndarray

    def labels(self) -> list[Any]:
        """Return the settings as numbers, or as the names of levels."""
        if self.column.levels:
            return [self.column.levels[int(place)] for place in self.settings]
        if self.column.kind == "boolean":
            return ["no", "yes"]
        return self.settings.tolist()

    def moves(self) -> np.ndarray:
        """Return from its lowest to its highest by how much each output moves, (k,)."""
        return np.ptp(self.mean, axis=0)


def effects(
    predict: Callable[[np.ndarray], Any],
    columns: Sequence[InputColumn],
    x: np.ndarray,
    *,
    most: int,
    rows: int,
    unit: np.ndarray,
) -> list[Effect]:
    """Return the effects of the columns that move the prediction most, these first.

    Parameters
    ----------
    predict
        Predictive distribution at rows (n, d).
    columns
        Candidates; columns that do not vary in x are left out.
    x
        Rows to average over, (n, d); an evenly spaced part of them is used.
    most
        How many effects.
    rows
        Over how many rows to average at most.
    unit
        What a move of each output is measured in, (k,), to compare outputs.
    """
    varying = [column for column in columns if len(settings_of(column, x, 2)) > 1]
    if len(varying) > most:
        coarse = _all(predict, varying, x, _spaced(x, max(8, rows // 4)), 4)
        varying = [effect.column for effect in _ranked(coarse, unit)[:most]]
    return _ranked(_all(predict, varying, x, _spaced(x, rows), GRID), unit)


def settings_of(column: InputColumn, x: np.ndarray, grid: int) -> np.ndarray:
    """Return what to set a column to: its values when they are few, else an even grid."""
    values = column.values(x)
    different, counts = np.unique(
        values[values >= 0] if column.levels else values, return_counts=True
    )
    if column.levels:
        return np.sort(different[np.argsort(-counts, kind="stable")[:LEVELS]])
    if len(different) <= min(LEVELS, grid):
        return different
    low, high = np.quantile(values, (EDGE, 1 - EDGE))
    if low == high:
        low, high = different[0], different[-1]
    return np.linspace(low, high, grid)


def _spaced(x: np.ndarray, count: int) -> np.ndarray:
    """Return rows of x, evenly spaced in their order."""
    return x[np.unique(np.linspace(0, len(x) - 1, min(count, len(x))).round().astype(int))]


def _ranked(found: list[Effect], unit: np.ndarray) -> list[Effect]:
    return sorted(found, key=lambda effect: -float(np.max(effect.moves() / unit)))


def _all(
    predict: Callable[[np.ndarray], Any],
    columns: Sequence[InputColumn],
    x: np.ndarray,
    rows: np.ndarray,
    grid: int,
) -> list[Effect]:
    """Return the effects of columns, many settings in one call for predictions."""
    if not columns:
        return []
    settings = [settings_of(column, x, grid) for column in columns]
    plans = [(c, value) for c, many in zip(columns, settings, strict=True) for value in many]
    step = max(1, BATCH // len(rows))
    parts = [
        averages(predict, np.stack([column.put(rows, value) for column, value in some]))
        for some in (plans[start : start + step] for start in range(0, len(plans), step))
    ]
    mean, sd = (np.concatenate(part) for part in zip(*parts, strict=True))
    ends = np.cumsum([len(many) for many in settings])[:-1]
    each = zip(columns, settings, np.split(mean, ends), np.split(sd, ends), strict=True)
    return [Effect(*one) for one in each]
