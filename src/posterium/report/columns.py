"""Columns of a table, and where each stands in the array that a model takes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from posterium.tables.encoders import CategoricalColumn
from posterium.tables.errors import plain
from posterium.tables.features import Features


@dataclass(frozen=True)
class InputColumn:
    """A column of the table, and where it stands in the array x (n, d).

    Parameters
    ----------
    name
        As in the table.
    kind
        ``"number"``, ``"boolean"`` or ``"categorical"``.
    slots
        Columns of x that hold it: one a level for categorical columns, else a single one.
    levels
        Names of the levels; () unless categorical.
    indicator
        The column of x that is 1 where the cell was missing; None where there is none.
    """

    name: str
    kind: str
    slots: tuple[int, ...]
    levels: tuple[str, ...] = ()
    indicator: int | None = None

    def values(self, x: np.ndarray) -> np.ndarray:
        """Return the cells of the rows x: numbers, or the index of the level (-1 for none)."""
        part = x[:, list(self.slots)]
        if not self.levels:
            return part[:, 0]
        return np.where(part.any(axis=1), part.argmax(axis=1), -1)

    def put(self, x: np.ndarray, value: float) -> np.ndarray:
        """Return a copy of rows x with this column at a number, or at a level by its index."""
        x = x.copy()
        if self.indicator is not None:
            x[:, self.indicator] = 0.0
        if self.levels:
            x[:, list(self.slots)] = np.arange(len(self.slots)) == value
        else:
            x[:, self.slots[0]] = value
        return x


def encoded_columns(features: Features) -> tuple[InputColumn, ...]:
    """Return where each column of a table stands in the array that `features` encodes it to."""
    found, start = [], 0
    for encoder in features.columns:
        slots = tuple(range(start, start + len(encoder.names)))
        start += len(slots)
        if isinstance(encoder, CategoricalColumn):
            other = ("(other)",) if encoder.rare else ()
            gap = ("(missing)",) if encoder.gaps else ()
            levels = tuple(map(plain, (*encoder.levels, *other, *gap)))
            found.append(InputColumn(plain(encoder.name), encoder.kind, slots, levels))
        else:
            gap = slots[1] if encoder.gaps else None
            found.append(InputColumn(plain(encoder.name), encoder.kind, slots[:1], (), gap))
    return tuple(found)


def plain_columns(x: np.ndarray, names: Sequence[str]) -> tuple[InputColumn, ...]:
    """Return the columns of an array x (n, d) that stand for themselves."""
    if len(names) != x.shape[1]:
        raise ValueError(f"Expected {x.shape[1]} names of columns; got {len(names)}.")
    return tuple(
        InputColumn(plain(str(name)), _kind(values), (place,))
        for place, (name, values) in enumerate(zip(names, x.T, strict=True))
    )


def _kind(values: np.ndarray) -> str:
    """Return `boolean` for a column that holds 0 and 1 and nothing else, else `number`."""
    return "boolean" if np.array_equal(np.unique(values), (0, 1)) else "number"
