"""How one column of a table becomes columns of an array: numbers, booleans, categories.

Each record remembers what it saw of the rows it was fitted to, and can be kept as JSON. All have
`name`, `kind`, `names` (of the columns of the array), `fit(column)` and `encode(column)`.
"""

from typing import ClassVar

import numpy as np

from posterium._struct import replace, static, struct
from posterium.tables.columns import Column
from posterium.tables.scaling import Standardiser


@struct
class NumberColumn:
    """A column of numbers: one column of the array, and one that marks gaps if there were any.

    Parameters
    ----------
    name
        The column of the table.
    gaps
        Whether cells were missing in the rows fitted, and are marked by a column of their own.
    low, high
        Least and largest value of the rows fitted.
    scale
        Their standard deviation; 1 where they are constant.
    fill
        Their median, put in for a missing cell.
    """

    name: str = static()
    gaps: bool = static(default=False)
    low: float = static(default=0.0)
    high: float = static(default=0.0)
    scale: float = static(default=1.0)
    fill: float = static(default=0.0)
    kind: ClassVar[str] = "number"

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the array."""
        return (self.name, *_marks(self))

    def fit(self, column: Column) -> "NumberColumn":
        """Return this record with the numbers of some rows; as it is where all are missing."""
        values = column.values[~column.missing]
        if not len(values):
            return self
        return replace(
            self,
            low=float(values.min()),
            high=float(values.max()),
            scale=float(Standardiser.of(values[:, None], np.ones(len(values))).scale[0]),
            fill=float(np.median(values / 2) * 2),
        )

    def encode(self, column: Column) -> np.ndarray:
        """Return the columns of the array, float64."""
        return _filled(self, column)

    def outside(self, column: Column) -> np.ndarray:
        """Return how far each number lies beyond `low` or `high`, in units of `scale`, (n,)."""
        values = np.where(column.missing, self.fill, column.values)
        with np.errstate(over="ignore"):
            beyond = np.maximum(self.low - values, values - self.high) / self.scale
        return np.maximum(beyond, 0.0)


@struct
class BooleanColumn:
    """A column of true and false as 1 and 0, and a column that marks gaps if there were any.

    Parameters
    ----------
    name, gaps
        As in `NumberColumn`.
    fill
        The more frequent of 1 and 0, put in for a missing cell.
    """

    name: str = static()
    gaps: bool = static(default=False)
    fill: float = static(default=0.0)
    kind: ClassVar[str] = "boolean"

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the array."""
        return (self.name, *_marks(self))

    def fit(self, column: Column) -> "BooleanColumn":
        """Return this record with the numbers of some rows."""
        return replace(self, fill=float(np.nansum(column.values - 0.5) > 0))

    def encode(self, column: Column) -> np.ndarray:
        """Return the columns of the array, float64."""
        return _filled(self, column)


@struct
class CategoricalColumn:
    """A column of categories: a column of 0 and 1 for each level ("one-hot").

    Parameters
    ----------
    name, gaps
        As in `NumberColumn`.
    levels
        The levels that have a column each.
    rare
        Levels that share one column behind these, called "(other)".
    shares
        What part of the rows fitted each of these columns marks.
    """

    name: str = static()
    gaps: bool = static(default=False)
    levels: tuple[str, ...] = static(default=())
    rare: tuple[str, ...] = static(default=())
    shares: tuple[float, ...] = static(default=())
    kind: ClassVar[str] = "categorical"

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the array."""
        levels = (*self.levels, *(["(other)"] if self.rare else []))
        return (*(f"{self.name} = {level}" for level in levels), *_marks(self))

    def fit(self, column: Column) -> "CategoricalColumn":
        """Return this record with the shares of the levels in some rows."""
        places = self.places(column)
        width = len(self.levels) + bool(self.rare)
        counts = np.bincount(places[(places >= 0) & ~column.missing], minlength=width)
        total = counts[:width].sum()
        return replace(self, shares=tuple((counts[:width] / total).tolist())) if total else self

    def places(self, column: Column) -> np.ndarray:
        """Return which column of the array each row marks, (n,), -1 for a level not fitted.

        A missing cell marks the column of gaps, or, without one, the most frequent level.
        """
        place = {level: index for index, level in enumerate(self.levels)}
        place |= dict.fromkeys(self.rare, len(self.levels))
        found, codes = column.levels
        gap = len(self.names) - 1 if self.gaps else int(np.argmax(self.shares or (1,)))
        return np.array([*(place.get(level, -1) for level in found), gap])[codes]

    def encode(self, column: Column) -> np.ndarray:
        """Return the columns of the array, float64.

        A level not fitted counts as one of the rare levels; without such, every level is marked
        by its share.
        """
        places = self.places(column)
        unseen = places < 0
        out = np.zeros((len(places), len(self.names)))
        known = np.flatnonzero(~unseen)
        out[known, places[known]] = 1.0
        if self.rare:
            out[unseen, len(self.levels)] = 1.0
        else:
            out[unseen, : len(self.levels)] = self.shares
        return out


Encoder = NumberColumn | BooleanColumn | CategoricalColumn


def _marks(encoder: Encoder) -> tuple[str, ...]:
    return (f"{encoder.name} is missing",) if encoder.gaps else ()


def _filled(encoder: NumberColumn | BooleanColumn, column: Column) -> np.ndarray:
    """Return the numbers with gaps filled, and the column that marks them."""
    values = np.where(column.missing, encoder.fill, column.values)
    return np.stack([values, column.missing] if encoder.gaps else [values], axis=1)
