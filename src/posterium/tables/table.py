"""A table: named columns that are parsed when first asked for, each row with its place."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from posterium.tables.columns import Column
from posterium.tables.errors import quote
from posterium.tables.terms import Options, Terms


@dataclass(frozen=True)
class Table:
    """A table as it was read; columns that nobody asks for are never judged."""

    source: str
    """Where it is from, for messages: the path as given."""
    names: tuple[str, ...]
    """The column names, in their order."""
    parse: Callable[[str], Column]
    """Returns a column by name."""
    lines: np.ndarray
    """Line of the file on which each row begins, or the number of the row, from 1: (n,)."""
    unit: str = "line"
    """What `lines` counts: `line` or `row`."""
    terms: Terms = field(default_factory=Options)
    """How refusals name what the user can set."""
    notes: tuple[str, ...] = ()
    """What was passed over or decided while reading, in words."""
    _parsed: dict[str, Column] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.lines)

    def column(self, name: str) -> Column:
        """Return a column with its cells parsed as numbers; nothing is refused here."""
        if name not in self._parsed:
            self._parsed[name] = self.parse(name)
        return self._parsed[name]

    def take(self, rows: np.ndarray) -> "Table":
        """Return the table of some rows, given as a mask (n,); lines and kinds stay."""
        if rows.all():
            return self
        return Table(
            self.source, self.names, lambda name: self.column(name).take(rows),
            self.lines[rows], self.unit, self.terms, self.notes,
        )  # fmt: skip

    def place(self, row: int, name: str) -> str:
        """Return source, line and column of a cell, for a message."""
        return f"{self.source}, {self.unit} {self.lines[row]}, column {quote(name)}"
