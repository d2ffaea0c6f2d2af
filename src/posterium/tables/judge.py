"""Columns that cannot be used are refused here, and those that are merely odd are noted."""

from collections.abc import Sequence

import numpy as np

from posterium.tables.columns import DATE, NUMBERLIKE, Column
from posterium.tables.errors import UserError, listing, quote
from posterium.tables.read import Table

FLAT = 1e-6
"""A feature whose sd is below this part of its largest value counts as constant."""
FEW_VALUES = 10
LARGEST = 1e150
"""Larger targets are refused: their squares are out of float64's range."""
MANY_ROWS = 20
"""Fewer rows than this show nothing about identifiers or about the number of values."""


def refuse_text(table: Table, columns: Sequence[Column]) -> None:
    """Refuse columns with cells that are no numbers, quoting the first such cell."""
    texts = [column for column in columns if column.kind == "text"]
    for column in texts:
        if column.looks_like(DATE):
            raise UserError(
                f"{_first(table, column, column.odd())}: the column looks like dates.",
                "Replace it by numbers (days since a start, the month), or remove it.",
            )
        numbers = np.any(~np.isnan(column.values))
        if numbers or column.looks_like(NUMBERLIKE):
            raise UserError(
                f"{_first(table, column, column.odd())}: a number was expected.",
                "Write numbers as 1234.5: no decimal comma, thousands separator, unit or text.",
            )
    if texts:
        counts = listing(f"{quote(c.name)} ({c.count()} different values)" for c in texts)
        raise UserError(
            f"{table.source}: numbers or true/false were expected in columns of text: {counts}.",
            "Remove these columns, or replace the text by numbers.",
        )


def refuse_missing(table: Table, columns: Sequence[Column]) -> None:
    """Refuse missing cells, with their number in each column and the first line."""
    gaps = [column for column in columns if column.missing.any()]
    if gaps:
        counts = listing(
            f"{quote(c.name)} ({c.missing.sum()}, first in line {table.lines[c.missing.argmax()]})"
            for c in gaps
        )
        raise UserError(
            f"{table.source}: missing values in {counts}.",
            "Fill these cells, or remove their rows or columns.",
        )


def refuse_infinite(table: Table, columns: Sequence[Column]) -> None:
    """Refuse numbers that are infinite or too large for float64."""
    for column in columns:
        infinite = np.isinf(column.values)
        if infinite.any():
            raise UserError(
                f"{_first(table, column, infinite)}: a finite number was expected.",
                "Correct the cell, or remove its row.",
            )


def refuse_large(table: Table, column: Column) -> None:
    """Refuse numbers whose squares, and so the variances of predictions, overflow."""
    large = np.abs(column.values) > LARGEST
    if large.any():
        raise UserError(
            f"{_first(table, column, large)}: a number of at most {LARGEST:g} in size expected.",
            "Correct the cell, or give the target in a larger unit.",
        )


def refuse_kind(table: Table, column: Column, kind: str) -> None:
    """Refuse booleans where numbers are expected, and numbers but 0 and 1 for booleans."""
    other = np.full(len(table), column.kind == "boolean" and kind == "number")
    if column.kind == "number" and kind == "boolean":
        other = (column.values != 0) & (column.values != 1)
    if other.any():
        words = "true/false" if kind == "boolean" else "a number"
        raise UserError(
            f"{_first(table, column, other)}: {words} was expected.",
            "Write the column as in the table the model was fitted to; "
            "true/false is the target of a classification, not of a regression.",
        )


def _first(table: Table, column: Column, where: np.ndarray) -> str:
    """Return the place and the text of the first cell that is marked."""
    row = int(where.argmax())
    return f"{table.place(row, column.name)}: {quote(column.cells[row])} found"


def feature_notes(columns: Sequence[Column], x: np.ndarray) -> list[str]:
    """Return what is odd about the features x (n, d), each oddity with the columns it is in."""
    n, d = x.shape
    found: dict[str, list[str]] = {}
    for column, values in zip(columns, x.T, strict=True):
        for oddity in _oddities(column, values):
            found.setdefault(oddity, []).append(quote(column.name))
    notes = [f"{oddity}: {listing(names)}." for oddity, names in found.items()]
    return notes + ([f"More columns ({d}) than rows ({n})."] if d > n else [])


def _oddities(column: Column, values: np.ndarray) -> list[str]:
    """Return what is odd about one feature."""
    if column.kind == "boolean":
        return ["Read as 1 (true, yes) and 0 (false, no)"]
    if values.min() == values.max():
        return ["Constant columns, which tell nothing"]
    found = []
    if np.std(values / np.abs(values).max()) < FLAT:
        found.append("Nearly constant columns, treated as constant")
    if column.whole():
        if np.abs(values).max() > 2**53:
            found.append("Integers too large to be exact in float64, likely identifiers")
        elif len(values) >= MANY_ROWS and np.unique(values).size == len(values):
            found.append("A different integer in every row, likely identifiers")
    return found


def target_notes(column: Column, classes: tuple, x: np.ndarray, y: np.ndarray) -> list[str]:
    """Return what is odd about the target, and which features x (n, d) give it away."""
    name = quote(column.name)
    if classes:
        single = [quote(str(classes[i])) for i in np.flatnonzero(np.bincount(y) == 1)]
        return [f"Classes of {name} with one row only: {listing(single)}."] if single else []
    distinct = np.unique(y).size
    if distinct == 1:
        return [f"The target {name} is constant."]
    notes = []
    if distinct <= FEW_VALUES and len(y) >= MANY_ROWS:
        notes.append(
            f"The target {name} has {distinct} different values: "
            "taken for regression; ask for the task classification if they are classes."
        )
    if any(_same(values, y) for values in x.T):
        notes.append(f"A feature equals the target {name} up to scale: likely a leak.")
    return notes


def _same(values: np.ndarray, y: np.ndarray) -> bool:
    """Say whether a feature and the target have correlation 1 or -1 to 12 digits."""
    if len(y) < 3 or values.min() == values.max():
        return False
    a, b = (v / np.abs(v).max() for v in (values, y))
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return scale > 0 and abs(a @ b) > (1 - 1e-12) * scale
