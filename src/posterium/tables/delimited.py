"""CSV text into columns of cells: the separator found, rows of equal length, names checked."""

import csv
import io
from collections import Counter
from typing import Any

import numpy as np

from posterium.tables.columns import load_polars, parse
from posterium.tables.errors import LISTED, UserError, listing, quote
from posterium.tables.scan import Records, scan
from posterium.tables.table import Table

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""Separators that are tried when none is given, commas first."""
NAMED = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|", "space": " "}


def as_separator(given: str) -> str:
    """Return the sign between cells, given as such or by name, or refuse what cannot be one."""
    mark = NAMED.get(given, given)
    if len(mark) != 1 or not mark.isascii() or mark.isalnum() or mark in '"\n\r\0+-.':
        raise UserError(
            f"The separator must be one sign that is not part of a number; got {quote(given)}.",
            f"Give one of {', '.join(NAMED)}, or another such sign.",
        )
    return mark


def parse_text(
    text: bytes,
    source: str,
    *,
    header: bool,
    separator: str | None,
    decimal: str,
    target: str | None,
) -> Table:
    """Return the table in a CSV text with single newlines as line ends; see `read_table`."""
    mark, records, notes = _separated(text, source, separator, decimal, target, header)
    frame = _frame(text, records, source, mark)
    names = [f"{i}" for i in range(1, frame.width + 1)]
    lines = records.lines
    if header:
        names = [(name or "").strip() for name in frame.row(0)]
        frame, lines = frame.slice(1), lines[1:]
    if len(names) > 1 and (not header or not names[-1]) and _blank(frame[:, -1]):
        frame, names = frame[:, :-1], names[:-1]
        notes += (
            f"{source}: the empty column behind the separator that ends each row is left out.",
        )
    check_names(names, source)
    place = {name: index for index, name in enumerate(names)}

    def column(name: str) -> Any:
        cells = frame.to_series(place[name]).fill_null("").str.strip_chars()
        return parse(name, cells, decimal)

    return Table(source, tuple(names), column, lines, notes=notes)


def _blank(cells: Any) -> bool:
    return len(cells) > 0 and not (cells.fill_null("").str.strip_chars() != "").any()


def _separated(
    text: bytes, source: str, separator: str | None, decimal: str, target: str | None, header: bool
) -> tuple[str, Records, tuple[str, ...]]:
    """Return the separator, the records it gives, and a note if it was found rather than given."""
    if separator is not None:
        return separator, _even(text, source, separator), ()
    start = text.lstrip()[:100_000].partition(b"\n")[0].decode(errors="replace")
    others = [mark for mark in SEPARATORS if mark != "," and mark in start]
    found, problem = _try(text, source, ",")
    plain = decimal != "," and found is not None and _holds(text, found, ",", target, header)
    if found is not None and (plain or not others):
        return ",", found, ()
    even = [(mark, r) for mark in others if (r := _try(text, source, mark)[0]) is not None]
    fits = [(mark, r) for mark, r in even if _holds(text, r, mark, target, header)]
    if not fits and (found is None or found.widths[0] == 1):
        fits = [(mark, r) for mark, r in even if r.widths[0] > 1]  # the target is not a column
    if len(fits) == 1:
        mark, records = fits[0]
        note = f"{source}: cells are separated by {SEPARATORS[mark]}, as all rows agree."
        return mark, records, (note,)
    if found is not None and found.widths[0] > 1:
        return ",", found, ()
    if problem is not None and (not others or "," in start):
        raise problem
    words = " or ".join(SEPARATORS[mark] for mark in others)
    why = "either gives a table" if fits else "the rows have unequal numbers of cells"
    raise UserError(
        f"{source}: the cells look separated by {words}, not commas, but {why}.",
        'Say which sign it is, such as --separator ";", and mend the rows that differ.',
    )


def _try(text: bytes, source: str, mark: str) -> tuple[Records | None, UserError | None]:
    """Return the records that a separator gives, or why it gives none."""
    try:
        return _even(text, source, mark), None
    except UserError as error:
        return None, error


def _holds(text: bytes, records: Records, mark: str, target: str | None, header: bool) -> bool:
    """Say whether a separator gives more than one column, with one of the target's name."""
    width = int(records.widths[0])
    if target is None or width < 2:
        return width > 1
    if not header:
        return target in map(str, range(1, width + 1))
    line = text[records.starts[0] : records.ends[0]].decode(errors="replace")
    try:
        names = next(csv.reader(io.StringIO(line), delimiter=mark, skipinitialspace=True))
    except (csv.Error, StopIteration):
        return False
    return target in [name.strip() for name in names]


def _even(text: bytes, source: str, separator: str) -> Records:
    """Return the records of a text, or refuse one without rows of the same number of cells."""
    records = scan(text, source, separator)
    if not records.widths.size:
        raise UserError(f"{source} holds only blank lines.", "Give column names and rows.")
    uneven = records.widths != records.widths[0]
    if uneven.any():
        first = int(uneven.argmax())
        raise UserError(
            f"{source}, line {records.lines[first]}: {records.widths[0]} cells expected "
            f"as in the line of names, {records.widths[first]} found.",
            "Give every row one cell a column; put a cell that holds the separator in quotes.",
        )
    return records


def _frame(text: bytes, records: Records, source: str, separator: str) -> Any:
    """Return all records, the line of names first, as a polars frame of strings."""
    polars = load_polars()
    text = text[: records.ends[-1]]
    if np.any(records.starts[1:] != records.ends[:-1] + 1) or records.starts[0] > 0:
        spans = zip(records.starts, records.ends, strict=True)
        text = b"\n".join(text[start:end] for start, end in spans)
    schema = {f"{i}": polars.String for i in range(records.widths[0])}
    try:
        frame = polars.read_csv(
            io.BytesIO(text), has_header=False, schema=schema, separator=separator
        )
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException):
        frame = None
    if frame is None or frame.height != records.widths.size:
        raise UserError(f"{source} cannot be parsed as CSV.", "Write it anew as plain CSV.")
    return frame


def check_names(names: list[str], source: str) -> None:
    """Refuse columns without a name, or with the name of another."""
    if "" in names:
        raise UserError(
            f"{source}: column {names.index('') + 1} of {len(names)} has no name.",
            "Name it in the first line of the file, or remove it.",
        )
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        places = [[str(i) for i, n in enumerate(names, 1) if n == name] for name in twice[:LISTED]]
        found = [f"{quote(n)} (columns {listing(p)})" for n, p in zip(twice, places, strict=False)]
        raise UserError(
            f"{source}: column names given more than once: {listing(found)}.",
            "Give every column a name of its own.",
        )
