"""Read a CSV file, plain or compressed by gzip, into named columns of text.

Every cell is kept as it was written until a column is asked for, so that a refusal can quote the
cell and name its line, and so that columns nobody asks for are never judged.
"""

import gzip
import io
import os
import stat
import sys
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from posterium.tables.columns import Column, parse
from posterium.tables.errors import LISTED, UserError, listing, plain, quote
from posterium.tables.scan import Records, scan

MAX_BYTES = 2**31
"""The largest table read, in bytes after decompression."""

SIGNATURES = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a spreadsheet (.xlsx, .ods) or a ZIP archive",
    b"\xd0\xcf\x11\xe0": "a spreadsheet (.xls)",
    b"PAR1": "a Parquet file",
    b"\x89HDF": "an HDF5 file",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


@dataclass(frozen=True)
class Table:
    """A table as it was read: columns of text, each row with its line in the file."""

    source: str
    """The path as given, for messages."""
    names: tuple[str, ...]
    """The column names, in the order of the file."""
    cells: Any
    """The cells without surrounding spaces: a polars frame of strings."""
    lines: np.ndarray
    """Line of the file on which each row begins, (n,)."""
    notes: tuple[str, ...] = ()
    """What was passed over while reading, in words."""
    _parsed: dict[str, Column] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.lines)

    def column(self, name: str) -> Column:
        """Return a column with its cells parsed as numbers; nothing is refused here."""
        if name not in self._parsed:
            self._parsed[name] = parse(name, self.cells[name])
        return self._parsed[name]

    def place(self, row: int, name: str) -> str:
        """Return file, line and column of a cell, for a message."""
        return f"{self.source}, line {self.lines[row]}, column {quote(name)}"


def read_table(path: str | os.PathLike[str]) -> Table:
    """Return the table in a CSV file, whose first line holds the column names.

    The text is UTF-8 with commas between cells, with any kind of line end; gzip is recognised by
    content. Blank lines are skipped.

    Parameters
    ----------
    path
        The file, or "-" for standard input.

    Raises
    ------
    UserError
        When the file cannot be read, is no such text, or is not a table: rows of unequal length,
        column names that are missing or given twice. Cells are not judged.
    """
    path = os.fspath(path)
    source = "standard input" if path == "-" else plain(path)
    text = _decoded(_expanded(_stored(path, source), source), source)
    records = scan(text, source)
    _check_widths(text, records, source)
    frame = _frame(text, records, source)
    names = [name.strip() for name in frame.row(0)]
    frame, notes = frame.slice(1), ()
    if len(names) > 1 and not names[-1] and not (frame[:, -1] != "").any():
        frame, names = frame[:, :-1], names[:-1]
        notes = (f"{source}: the empty column behind the comma that ends each row is left out.",)
    _check_names(names, source)
    frame.columns = names
    return Table(source, tuple(names), frame, records.lines[1:], notes)


def _stored(path: str, source: str) -> bytes:
    """Return the bytes of a file that stays as it is while it is read."""
    try:
        if path == "-":
            return _bounded(sys.stdin.buffer.read(MAX_BYTES + 1), source)
        with open(path, "rb") as file:
            before = os.fstat(file.fileno())
            if before.st_size > MAX_BYTES:
                raise _too_large(f"{before.st_size:,}", source)
            data = _bounded(file.read(MAX_BYTES + 1), source)
        after = os.stat(path)
    except FileNotFoundError:
        raise UserError(f"{source}: there is no such file.", "Check the path.") from None
    except IsADirectoryError:
        raise UserError(f"{source} is a directory.", "Give the path of a CSV file.") from None
    except PermissionError:
        raise UserError(
            f"{source} exists, but you may not read it.", "Ask for permission to read the file."
        ) from None
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        reason = plain(getattr(error, "strerror", None) or str(error))
        raise UserError(f"{source} cannot be read: {reason}.", "Check the path.") from None
    seen = [(s.st_size, s.st_mtime_ns, s.st_ino) for s in (before, after)]
    if stat.S_ISREG(before.st_mode) and (seen[0] != seen[1] or len(data) != before.st_size):
        raise UserError(
            f"{source} changed while it was read.", "Try again once nothing writes to the file."
        )
    return data


def _bounded(data: bytes, source: str) -> bytes:
    """Return the data unless there are more than are read."""
    if len(data) > MAX_BYTES:
        raise _too_large(f"more than {MAX_BYTES:,}", source)
    return data


def _too_large(size: str, source: str) -> UserError:
    return UserError(
        f"{source} holds {size} bytes of table; at most {MAX_BYTES:,} are read.",
        "Give a sample of the rows, or only the columns that are needed.",
    )


def _expanded(data: bytes, source: str) -> bytes:
    """Return the data, decompressed when they are in the gzip format."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return _bounded(file.read(MAX_BYTES + 1), source)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UserError(
            f"{source}: the gzip data are damaged or cut short.", "Copy or download the file again."
        ) from None


def _decoded(data: bytes, source: str) -> bytes:
    """Return the data as valid UTF-8 without byte-order mark, with newlines as line ends."""
    if not data:
        raise UserError(f"{source} is empty.", "Give a CSV file with column names and rows.")
    kind = next((k for start, k in SIGNATURES.items() if data.startswith(start)), None)
    fix = "Save the table as CSV in the encoding UTF-8."
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        guess = f"looks like {kind}, and " if kind else ""
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{source} {guess}is not UTF-8 text: "
            f"byte 0x{data[error.start]:02x} at offset {error.start}, line {line}.",
            fix,
        ) from None
    if b"\0" in data:
        raise UserError(
            f"{source} looks like {kind or 'a binary file'}, not a CSV table: it has NUL bytes, "
            f"the first at offset {data.index(0)}.",
            fix,
        )
    text = data.removeprefix(b"\xef\xbb\xbf")
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text


def _check_widths(text: bytes, records: Records, source: str) -> None:
    """Refuse a text without rows of the same number of cells."""
    if not records.widths.size:
        raise UserError(f"{source} holds only blank lines.", "Give column names and rows.")
    header = text[records.starts[0] : records.ends[0]]
    other = {b";": "semicolons", b"\t": "tabs", b"|": "bars"}
    taken = next((word for mark, word in other.items() if mark in header), None)
    if records.widths[0] == 1 and taken:
        raise UserError(
            f"{source}: one column found; the cells look separated by {taken}, not commas.",
            "Save the table with commas between the cells.",
        )
    uneven = records.widths != records.widths[0]
    if uneven.any():
        first = int(uneven.argmax())
        raise UserError(
            f"{source}, line {records.lines[first]}: {records.widths[0]} cells expected "
            f"as in the line of names, {records.widths[first]} found.",
            "Give every row one cell a column; put a cell that holds a comma in quotes.",
        )


def _frame(text: bytes, records: Records, source: str) -> Any:
    """Return all records, the line of names first, as a polars frame of strings."""
    try:
        import polars
    except ImportError:
        raise UserError(
            "Reading tables needs polars, which is not installed.",
            'Install it: pip install "posterium[cli]"',
        ) from None
    if np.any(records.starts[1:] != records.ends[:-1] + 1) or records.starts[0] > 0:
        spans = zip(records.starts, records.ends, strict=True)
        text = b"\n".join(text[start:end] for start, end in spans)
    schema = {f"{i}": polars.String for i in range(records.widths[0])}
    try:
        frame = polars.read_csv(io.BytesIO(text), has_header=False, schema=schema)
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException):
        frame = None
    if frame is None or frame.height != records.widths.size:
        raise UserError(f"{source} cannot be parsed as CSV.", "Write it anew as plain CSV.")
    return frame.fill_null("").with_columns(polars.all().str.strip_chars())


def _check_names(names: list[str], source: str) -> None:
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
