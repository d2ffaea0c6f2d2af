"""Where the records of a CSV text begin and end, found before anything is parsed.

A parser alone cannot say on which line of the file a row began, and forgives short rows. This
scan looks at quotes, separators and line ends only, all at once in NumPy; inside quotes (an odd
number of them so far) the other two are text.
"""

from dataclasses import dataclass

import numpy as np

from posterium.tables.errors import UserError

MAX_RECORD = 10_000_000
"""The longest record accepted, in bytes: a longer one is hardly a row of a table."""


@dataclass(frozen=True)
class Records:
    """The records of a text, blank lines left out: each array has one element a record."""

    starts: np.ndarray
    """Offset of the first byte."""
    ends: np.ndarray
    """Offset behind the last byte, the line end not included."""
    widths: np.ndarray
    """Number of cells."""
    lines: np.ndarray
    """Line of the file on which the record begins, counted from 1."""


def scan(text: bytes, source: str, separator: str = ",") -> Records:
    """Return the records of a CSV text whose line ends are single newlines.

    Raises
    ------
    UserError
        When a quoted cell is not closed where a cell ends, or a record is longer than
        `MAX_RECORD`.
    """
    raw = np.frombuffer(text, np.uint8)
    quotes, separators, newlines = (raw == ord(c) for c in ('"', separator, "\n"))
    marks = np.flatnonzero(quotes | separators | newlines)
    quoted = quotes[marks]
    outside = np.cumsum(quoted) % 2 == 0
    breaks = np.flatnonzero(newlines)
    _check_quotes(raw, marks[quoted], breaks, source, separator)

    ends = marks[outside & newlines[marks]]
    if not text.endswith(b"\n"):
        ends = np.append(ends, len(text))
    starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)
    lines = np.searchsorted(breaks, starts) + 1
    cells = np.searchsorted(marks[outside & separators[marks]], ends)
    widths = np.diff(cells, prepend=0) + 1
    _check_lengths(ends - starts, lines, source)
    kept = widths > 1
    for i in np.flatnonzero(~kept):
        kept[i] = bool(text[starts[i] : ends[i]].strip())
    return Records(starts[kept], ends[kept], widths[kept], lines[kept])


def _check_quotes(
    raw: np.ndarray, quotes: np.ndarray, breaks: np.ndarray, source: str, separator: str
) -> None:
    """Refuse quotes that do not open at the beginning and close at the end of a cell."""
    opening, closing = quotes[0::2], quotes[1::2]
    border = np.frombuffer(f'{separator}\n"'.encode(), np.uint8)
    before = np.isin(raw[opening - 1], border) | (opening == 0)
    after = np.isin(raw[np.minimum(closing + 1, raw.size - 1)], border)
    wrong = ~before
    wrong[: closing.size] |= ~(after | (closing == raw.size - 1))
    wrong[closing.size :] = True
    if wrong.any():
        line = int(np.searchsorted(breaks, opening[wrong.argmax()])) + 1
        raise UserError(
            f"{source}, line {line}: the quote opened here does not enclose a whole cell.",
            'Close it at the end of the cell, and write a quote inside a cell twice ("").',
        )


def _check_lengths(lengths: np.ndarray, lines: np.ndarray, source: str) -> None:
    """Refuse records that are longer than any row of a table."""
    if lengths.max(initial=0) > MAX_RECORD:
        line = lines[lengths.argmax()]
        raise UserError(
            f"{source}, line {line}: a row of {lengths.max():,} bytes; "
            f"at most {MAX_RECORD:,} are read.",
            "Check that the file is a CSV table with one row a line.",
        )
