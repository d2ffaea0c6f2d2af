"""One column of a table: its cells parsed as numbers, and what it holds judged.

A column is `number` when each cell that is there is a decimal number, `boolean` when each is
true/false or each yes/no (in any case), and `text` otherwise.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

MISSING = ("", "na", "n/a", "#n/a", "nan", "null", "?")
"""Cells that stand for a missing value, in lower case."""

BOOLEANS = ({"true": 1.0, "false": 0.0}, {"yes": 1.0, "no": 0.0})
"""Pairs of words read as 1 and 0; a column uses one pair."""

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?([iI]nf|INF|[iI]nfinity)$"
INTEGER = r"^[+-]?[0-9]{1,300}$"
DATE = r"^[0-9]{1,4}([-/.])[0-9]{1,2}[-/.][0-9]{1,4}([ T][0-9]{1,2}:[0-9]{2}.*)?$"
NUMBERLIKE = r"^[^0-9A-Za-z]{0,3}[0-9]"
"""A cell that begins as a number does, perhaps behind a sign or a currency."""


@dataclass(frozen=True)
class Column:
    """The cells of a column and the numbers in them, n of each."""

    name: str
    kind: str
    """`number`, `boolean` or `text`."""
    values: np.ndarray
    """The numbers in float64, 1 and 0 for booleans; NaN where there is none."""
    missing: np.ndarray
    """Where the cell stands for a missing value."""
    cells: Any
    """The cells as they were written, a polars series."""

    def odd(self) -> np.ndarray:
        """Return where a cell is there but is no number, (n,)."""
        return np.isnan(self.values) & ~self.missing

    def count(self) -> int:
        """Return how many different cells are there, missing ones left out."""
        return self.cells.filter(~self.missing).n_unique()

    def whole(self) -> bool:
        """Say whether every cell is written as an integer."""
        return len(self.cells) > 0 and self.cells.str.contains(INTEGER).all()

    def looks_like(self, pattern: str) -> bool:
        """Say whether most of the cells that are no numbers match a pattern."""
        odd = self.cells.filter(self.odd())
        return 2 * int(odd.str.contains(pattern).sum()) > len(odd)


def parse(name: str, cells: Any) -> Column:
    """Return a column from its cells, a polars series of strings without surrounding spaces."""
    import polars

    lower = cells.str.to_lowercase()
    missing = lower.is_in(MISSING).to_numpy()
    numeric = cells.str.contains(NUMBER).to_numpy()
    values = np.full(len(cells), np.nan)
    values[numeric] = cells.filter(numeric).cast(polars.Float64).to_numpy()
    if np.all(numeric | missing):
        return Column(name, "number", values, missing, cells)
    for words in BOOLEANS:
        known = lower.is_in(list(words)).to_numpy()
        if np.all(known | missing):
            values[known] = [words[word] for word in lower.filter(known)]
            return Column(name, "boolean", values, missing, cells)
    return Column(name, "text", values, missing, cells)
