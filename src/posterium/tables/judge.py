"""Columns that cannot be used are refused here, in two lines that say where and what to do."""

import difflib
import re
from collections.abc import Sequence

import numpy as np

from posterium.tables.columns import BOOLEANS, DATE, NUMBER, NUMBERLIKE, Column
from posterium.tables.encoders import CategoricalColumn
from posterium.tables.errors import UserError, listing, quote
from posterium.tables.table import Table

MIN_ROWS = 2
"""The fewest rows a fit takes."""
LARGEST = 1e150
"""Larger targets are refused: their squares are out of float64's range."""
MANY_ROWS = 20
"""Fewer rows than this show nothing about identifiers or about the number of values."""
COMMA = r"^[+-]?[0-9]*,[0-9]+$"


def find(table: Table, name: str, fix: str = "Name one of the columns.") -> Column:
    """Return a column by name, or refuse with the names there are, the most alike first."""
    if name in table.names:
        return table.column(name)

    def alike(other: str) -> float:
        return difflib.SequenceMatcher(None, name.lower()[:99], other.lower()[:99]).ratio()

    if all(re.search(NUMBER, other) for other in table.names):
        fix = (
            "The first line holds numbers: put a line with the names of the columns before it, "
            f"or use --no-header and the column's number, from 1 to {len(table.names)}."
        )
    elif len(table.names) == 1 or any(mark in n for mark in ";\t|" for n in table.names):
        fix = "If the cells are not separated by commas, give --separator."
    columns = listing(map(quote, sorted(table.names, key=alike, reverse=True)))
    raise UserError(f"{table.source}: no column {quote(name)}; there are {columns}.", fix)


def absent_fix(absent: Sequence[str], spare: Sequence[str], *, fills: bool) -> str:
    """Return what to do about columns that a model needs and a table lacks.

    Parameters
    ----------
    absent
        The columns that are not there.
    spare
        Columns of the table that the model does not use.
    fills
        Whether the model fills missing cells.
    """
    empty = ", with empty cells where the values are not known" if fills else ""
    fix = f"Add these columns{empty}, or name them as in the table the model was fitted to"
    alike = {name: _alike(name, spare) for name in absent}
    pairs = [f"{quote(other)} to {quote(name)}" for name, other in alike.items() if other]
    return f"{fix}{f' (rename {listing(pairs)})' if pairs else ''}."


def _alike(name: str, others: Sequence[str]) -> str | None:
    """Return the name that differs by little, or by capitals and spaces alone; None without one."""
    plain = {"".join(other.lower().split()): other for other in others}
    found = difflib.get_close_matches("".join(name.lower().split()), plain, n=1, cutoff=0.8)
    return plain[found[0]] if found else None


def refuse_few(table: Table, dropped: int = 0) -> None:
    """Refuse a table with too few rows to fit, of which some were left out for missing cells."""
    if len(table) < MIN_ROWS:
        why = f" once {dropped:,} with missing cells are left out" if dropped else ""
        impute = table.terms.choose("missing", "impute")
        fill = f"Fill cells, choose {impute}, or drop the columns with the most gaps."
        raise UserError(
            f"{table.source}: at least {MIN_ROWS} rows are needed to fit, {len(table)} found{why}.",
            fill if dropped else "Give more rows.",
        )


def refuse_types(table: Table, columns: Sequence[Column]) -> None:
    """Refuse columns whose type is neither a number, a boolean nor text."""
    for column in columns:
        if column.kind == "date":
            raise UserError(
                f"{table.source}: the column {quote(column.name)} holds dates or times "
                f"({column.dtype}).",
                f"Replace it by numbers (days since a start, the month), or "
                f"{table.terms.drop([column.name])}.",
            )
        if column.kind == "other":
            raise UserError(
                f"{table.source}: the column {quote(column.name)} is of the type {column.dtype}; "
                "numbers, true/false or text were expected.",
                f"Take it apart into columns of these, or {table.terms.drop([column.name])}.",
            )


def refuse_text(table: Table, columns: Sequence[Column], *, most: int = 0) -> None:
    """Refuse columns with cells that are no numbers, but for text of at most some levels.

    Parameters
    ----------
    table, columns
        Where to look.
    most
        How many levels a column of text may have to be taken for categories; 0 for no such.
    """
    texts = [column for column in columns if column.kind == "text"]
    mixed = [column for column in texts if np.any(~np.isnan(column.values))]
    dates = [column for column in texts if column.looks_like(DATE)]
    for column in texts:
        if column not in dates and (column in mixed or column.looks_like(NUMBERLIKE)):
            _refuse_number_text(table, column, mixed, most)
    if texts and not most and not dates:
        raise UserError(
            f"{_first(table, texts[0], _neither(texts[0]))}: a number or true/false was expected.",
            "Write the column as in the table the model was fitted to.",
        )
    wordy = [(c, len(c.texts[0])) for c in texts if c not in dates]
    wordy = [(c, k) for c, k in wordy if k > most or (k == len(table) and k >= MANY_ROWS)]
    counts = listing(f"{quote(c.name)} ({k:,} different values)" for c, k in wordy)
    if dates:
        _refuse_dates(table, dates, [c for c, _ in wordy] if most else [], counts, most)
    if not wordy:
        return
    raise UserError(
        f"{table.source}: text with more than {most} levels, or another in every row, in {counts}.",
        f"Leave it out ({table.terms.drop([c.name for c, _ in wordy])}), or, if these are "
        f"categories, {table.terms.categorical([wordy[0][0].name])}.",
    )


def _neither(column: Column) -> np.ndarray:
    """Return where a cell of a column of text is neither a number nor true/false, (n,)."""
    words = [word for pair in BOOLEANS for word in pair]
    neither = column.odd() & ~column.cells.str.to_lowercase().is_in(words).to_numpy()
    return neither if neither.any() else column.odd()


def _refuse_dates(
    table: Table, dates: Sequence[Column], wordy: Sequence[Column], counts: str, most: int
) -> None:
    """Refuse columns of dates, and name the columns of too many levels with them."""
    what = f"{_first(table, dates[0], dates[0].odd())}: the column looks like dates"
    if len(dates) > 1:
        what += f", and so do {listing(quote(c.name) for c in dates[1:])}"
    if wordy:
        what += f"; and there is text of too many levels in {counts}"
    fix = "Replace dates by numbers (days since a start, the month)"
    leave = table.terms.drop([column.name for column in (*dates, *wordy)])
    raise UserError(what + ".", fix + (f", or {leave}." if most else "."))


def _refuse_number_text(table: Table, column: Column, mixed: Sequence[Column], most: int) -> None:
    """Refuse a column of numbers for the text in it, or of text that begins as numbers do."""
    row = int(column.odd().argmax())
    what = f"{_first(table, column, column.odd())}: a number was expected"
    if column in mixed:
        counts = listing(f"{quote(c.name)} ({len(c.texts[0]):,} levels)" for c in mixed)
        what += f"; numbers are mixed with text in {counts}"
    fix = "Write numbers as 1234.5: no decimal comma, thousands separator, unit or text."
    if re.search(COMMA, column.cells[row]):
        fix = "Write numbers as 1234.5, or give --decimal , if the comma is a decimal comma."
    elif most:
        fix = (
            f"Write numbers as 1234.5, without unit or text; if these are categories, "
            f"{table.terms.categorical([column.name])}; or {table.terms.drop([column.name])}."
        )
    raise UserError(what + ".", fix)


def refuse_missing(table: Table, columns: Sequence[Column]) -> None:
    """Refuse missing cells, with their number in each column and the first line."""
    gaps = [column for column in columns if column.missing.any()]
    if gaps:
        counts = listing(
            f"{quote(c.name)} ({c.missing.sum():,}, first in {table.unit} "
            f"{table.lines[c.missing.argmax()]})"
            for c in gaps
        )
        drop, impute = (table.terms.choose("missing", rule) for rule in ("drop", "impute"))
        raise UserError(
            f"{table.source}: missing values in {counts}.",
            f"Fill these cells, or fit with {drop} (their rows are left out) or {impute}.",
        )


def refuse_empty(table: Table, columns: Sequence[Column]) -> None:
    """Refuse columns in which every cell is missing."""
    empty = [column for column in columns if len(table) and column.missing.all()]
    if empty:
        raise UserError(
            f"{table.source}: every cell is missing in {listing(quote(c.name) for c in empty)}.",
            f"Leave out such columns: {table.terms.drop([c.name for c in empty])}.",
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
    other = np.full(len(table), column.kind == "boolean" and kind == "number") & ~column.missing
    if column.kind == "number" and kind == "boolean":
        other = (column.values != 0) & (column.values != 1) & ~column.missing
    if other.any():
        words = "true/false" if kind == "boolean" else "a number"
        raise UserError(
            f"{_first(table, column, other)}: {words} was expected.",
            "Write the column as in the table the model was fitted to; "
            "true/false is the target of a classification, not of a regression.",
        )


def refuse_unseen(table: Table, column: Column, encoder: CategoricalColumn) -> None:
    """Refuse levels of a category that were not fitted."""
    unseen = encoder.places(column) < 0
    if unseen.any():
        known = listing(map(quote, (*encoder.levels, *encoder.rare)))
        raise UserError(
            f"{_first(table, column, unseen)}: no level that was fitted, which are {known} "
            f"({unseen.sum():,} such cells).",
            "Mend the cells, or take levels that were not fitted as one: "
            f"{table.terms.choose('unseen', 'other')}.",
        )


def _first(table: Table, column: Column, where: np.ndarray) -> str:
    """Return the place and the text of the first cell that is marked."""
    row = int(where.argmax())
    return f"{table.place(row, column.name)}: {quote(column.cell(row))} found"
