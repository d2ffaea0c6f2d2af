"""One column of a table: its cells parsed as numbers, and what it holds.

A column is `number` when each cell that is there is a decimal number, `boolean` when each is
true/false or each yes/no (in any case), `text` otherwise. Columns that come with a type keep it,
text is parsed all the same; dates and nested values are `date` and `other`, with no cells at all.
"""

import dataclasses
import importlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from posterium.tables.errors import UserError, quote

MISSING = ("", "na", "n/a", "#n/a", "nan", "null", "?")
"""Cells that stand for a missing value, in lower case."""

BOOLEANS = ({"true": 1.0, "false": 0.0}, {"yes": 1.0, "no": 0.0})
"""Pairs of words read as 1 and 0; a column uses one pair."""

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?([iI]nf|INF|[iI]nfinity)$"
INTEGER = r"^[+-]?[0-9]{1,300}$"
DATE = (
    r"^[0-9]{1,4}([-/.])[0-9]{1,2}[-/.][0-9]{1,4}([ T][0-9]{1,2}:[0-9]{2}.*)?$"
    r"|^[0-9]{4}-[0-9]{2}$|^[0-9]{1,2}:[0-9]{2}(:[0-9]{2}.*)?$"
    r"|^[0-9]{1,2}[. -]+[A-Za-z]{3,9}[, -]+[0-9]{2,4}$|^[A-Za-z]{3,9} [0-9]{1,2},? [0-9]{4}$"
)
"""A cell that looks like a date or a time of day."""
NUMBERLIKE = r"^[^0-9A-Za-z]{0,3}[0-9]"
"""A cell that begins as a number does, perhaps behind a sign or a currency."""

EXACT = 2**53
"""From this size on float64 does not hold every integer."""


@dataclass(frozen=True)
class Column:
    """The cells of a column and the numbers in them, n of each."""

    name: str
    kind: str
    """`number`, `boolean`, `text`, `date` or `other`."""
    values: np.ndarray
    """The numbers in float64, 1 and 0 for booleans; NaN where there is none."""
    missing: np.ndarray
    """Where the cell stands for a missing value."""
    cells: Any = None
    """The cells as they were written, a polars series; None where the table holds no text."""
    whole: bool = False
    """Whether each cell that is there is written as, or has the type of, an integer."""
    declared: bool = False
    """Whether the table says that the column is categorical."""
    dtype: str = ""
    """The type of a `date` or `other`, for messages."""

    def take(self, rows: np.ndarray) -> "Column":
        """Return the cells of some rows, given as a mask (n,); the kind stays."""
        cells = None if self.cells is None else self.cells.filter(rows)
        return dataclasses.replace(
            self, values=self.values[rows], missing=self.missing[rows], cells=cells
        )

    def cell(self, row: int) -> str:
        """Return a cell as text."""
        if self.cells is not None:
            return self.cells[row]
        if self.kind == "boolean":
            return "true" if self.values[row] else "false"
        return "" if self.missing[row] else written(float(self.values[row]))

    def odd(self) -> np.ndarray:
        """Return where a cell is there but is no number, (n,)."""
        return np.isnan(self.values) & ~self.missing

    def looks_like(self, pattern: str) -> bool:
        """Say whether most of the cells that are no numbers match a pattern."""
        odd = self.cells.filter(self.odd())
        return 2 * int(odd.str.contains(pattern).sum()) > len(odd)

    def _inexact(self) -> bool:
        """Say whether there are numbers that float64 may not tell from their neighbours."""
        return bool(np.any(np.abs(self.values) >= EXACT))

    @cached_property
    def texts(self) -> tuple[list[str], np.ndarray]:
        """The different cells as written, sorted, and which one each row has.

        The second is (n,) in int64, with -1 where the cell is missing.
        """
        codes = np.full(len(self.values), -1)
        there = ~self.missing
        if self.cells is None:
            if self.whole and self._inexact():
                raise UserError(
                    f"The integers in the column {quote(self.name)} are too large to be told apart "
                    "as numbers.",
                    "Turn the column into text.",
                )
            found, codes[there] = np.unique(self.values[there], return_inverse=True)
            if self.kind == "boolean":
                return [("false", "true")[int(v)] for v in found], codes
            return [written(v) for v in found.tolist()], codes
        cells = self.cells.filter(there)
        found = cells.unique().sort()
        if len(found):
            codes[there] = cells.replace_strict(found, np.arange(len(found))).to_numpy()
        return found.to_list(), codes

    @cached_property
    def levels(self) -> tuple[list[str], np.ndarray]:
        """The categories as text, in order, and which one each row has, as in `texts`.

        Numbers are compared by value, so that 1, 1.0 and 01 are one category.
        """
        if self.kind == "number" and not (self.cells is not None and self._inexact()):
            return dataclasses.replace(self, cells=None).texts
        found, codes = self.texts
        merged = [_normal(text) for text in found]
        levels = sorted(set(merged), key=_order)
        place = {level: index for index, level in enumerate(levels)}
        merged_codes = np.array([place[level] for level in merged] + [-1])
        return levels, merged_codes[codes]


def written(value: float) -> str:
    """Return a number in the fewest digits that give it back, whole numbers without a point."""
    return str(int(value)) if abs(value) <= EXACT and value == int(value) else repr(value)


def _normal(text: str) -> str:
    if re.search(INTEGER, text):
        return str(int(text))
    return written(float(text)) if re.search(NUMBER, text) else text


def _order(level: str) -> tuple[bool, float, str]:
    number = bool(re.search(NUMBER, level))
    return not number, float(level) if number else 0.0, level


def load_polars() -> Any:
    """Return the module polars, which reads files and holds text; refuse when it is missing."""
    try:
        return importlib.import_module("polars")
    except ImportError:
        raise UserError(
            "Reading tables and columns of text needs polars, which is not installed.",
            'Install it: pip install "posterium[tables]"',
        ) from None


def parse(name: str, cells: Any, decimal: str = ".") -> Column:
    """Return a column from its cells, a polars series of strings without surrounding spaces.

    Parameters
    ----------
    name
        The column's name.
    cells
        The text of each cell; none is null.
    decimal
        The sign between the whole and the broken part of a number: a point or a comma.
    """
    pattern = NUMBER.replace(r"\.", re.escape(decimal))
    numeric = cells.str.contains(pattern).to_numpy()
    values, missing = np.full(len(cells), np.nan), np.zeros(len(cells), bool)
    values[numeric] = _numbers(cells.filter(numeric), decimal)
    lower = cells.filter(~numeric).str.to_lowercase()
    missing[~numeric] = lower.is_in(MISSING).to_numpy()
    if np.all(numeric | missing):
        whole = bool(numeric.any() and cells.filter(numeric).str.contains(INTEGER).all())
        return Column(name, "number", values, missing, cells, whole)
    words = lower.filter(lower.is_in(MISSING).not_())
    for pair in BOOLEANS:
        if not numeric.any() and words.is_in(list(pair)).all():
            values[~missing] = words.replace_strict(pair).to_numpy()
            return Column(name, "boolean", values, missing, cells)
    return Column(name, "text", values, missing, cells)


def _numbers(cells: Any, decimal: str) -> np.ndarray:
    plain = cells if decimal == "." else cells.str.replace(decimal, ".", literal=True)
    return plain.cast(load_polars().Float64).to_numpy()


def typed(name: str, series: Any) -> Column:
    """Return a column from a polars series of any type; null and NaN are missing values."""
    polars = load_polars()
    dtype, n = series.dtype, len(series)
    if dtype == polars.String:
        return parse(name, series.fill_null("").str.strip_chars())
    missing = series.is_null().to_numpy()
    if dtype in (polars.Categorical, polars.Enum):
        cells = series.cast(polars.String).fill_null("").str.strip_chars()
        return Column(name, "text", np.full(n, np.nan), missing, cells, declared=True)
    if dtype.is_numeric() or dtype in (polars.Boolean, polars.Null):
        values = series.cast(polars.Float64).to_numpy()
        kind = "boolean" if dtype == polars.Boolean else "number"
        return Column(name, kind, values, np.isnan(values), whole=dtype.is_integer())
    kind = "date" if dtype.is_temporal() else "other"
    return Column(name, kind, np.full(n, np.nan), missing, dtype=str(dtype))
