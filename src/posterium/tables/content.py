"""The bytes of a table: read whole from a file that stays as it is, expanded, and decoded."""

import gzip
import io
import os
import stat
import sys
import zlib

from posterium.tables.errors import UserError, plain, quote
from posterium.tables.memory import available_memory

MAX_BYTES = 2**31
"""The largest table read, in bytes after decompression."""
MEMORY_PER_BYTE = 24
"""Bytes of memory that a byte of text takes at most, with cells of one sign, until it is arrays."""

SIGNATURES = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a spreadsheet (.xlsx, .ods) or a ZIP archive",
    b"\xd0\xcf\x11\xe0": "a spreadsheet (.xls)",
    b"ARROW1": "an Arrow file",
    b"SQLite format 3": "an SQLite database",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "an HDF5 file",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


def read_bytes(path: str, source: str) -> bytes:
    """Return the content of a file that stays as it is while it is read, gzip expanded.

    Parameters
    ----------
    path
        The file, or "-" for standard input.
    source
        What it is called in messages.

    Raises
    ------
    UserError
        When it cannot be read, is empty, damaged, changes, or is too large for the memory.
    """
    limit = min(MAX_BYTES, available_memory() // MEMORY_PER_BYTE)
    data = _expanded(_stored(path, source, limit), source, limit)
    if not data:
        raise UserError(f"{source} is empty.", "Give a table with column names and rows.")
    return data


def _stored(path: str, source: str, limit: int) -> bytes:
    """Return the bytes of a file that stays as it is while it is read."""
    try:
        if path == "-":
            return _bounded(sys.stdin.buffer.read(limit + 1), source, limit)
        with open(path, "rb") as file:
            before = os.fstat(file.fileno())
            if before.st_size > limit:
                raise _too_large(f"{before.st_size:,}", source, limit)
            data = _bounded(file.read(limit + 1), source, limit)
        after = os.stat(path)
    except FileNotFoundError:
        raise UserError(f"{source}: there is no such file.", "Check the path.") from None
    except IsADirectoryError:
        raise UserError(f"{source} is a directory.", "Give the path of a table.") from None
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


def _bounded(data: bytes, source: str, limit: int) -> bytes:
    """Return the data unless there are more than are read."""
    if len(data) > limit:
        raise _too_large(f"more than {limit:,}", source, limit)
    return data


def _too_large(size: str, source: str, limit: int) -> UserError:
    why = "" if limit == MAX_BYTES else ", in the memory that is free"
    return UserError(
        f"{source} holds {size} bytes of table; at most {limit:,} are read{why}.",
        "Give a sample of the rows, or only the columns that are needed.",
    )


def _expanded(data: bytes, source: str, limit: int) -> bytes:
    """Return the data, decompressed when they are in the gzip format."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return _bounded(file.read(limit + 1), source, limit)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UserError(
            f"{source}: the gzip data are damaged or cut short.", "Copy or download the file again."
        ) from None


def decoded(data: bytes, source: str, encoding: str = "utf-8") -> bytes:
    """Return text in UTF-8 without byte-order mark, with newlines as line ends.

    Raises
    ------
    UserError
        When the data are not text in this encoding, or hold NUL bytes; with the kind of file they
        look like, and the offset of the byte.
    """
    kind = next((k for start, k in SIGNATURES.items() if data.startswith(start)), None)
    text = _utf8(data, source, encoding, kind)
    if b"\0" in text:
        raise UserError(
            f"{source} looks like {kind or 'a binary file'}, not a CSV table: it has NUL bytes, "
            f"the first at offset {text.index(0)}.",
            "Save the table as CSV in the encoding UTF-8.",
        )
    text = text.removeprefix(b"\xef\xbb\xbf")
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text


def _utf8(data: bytes, source: str, encoding: str, kind: str | None) -> bytes:
    """Return text in UTF-8, decoded from another encoding if need be."""
    guess = f"looks like {kind}, and " if kind else ""
    try:
        text = data.decode(encoding)
        return data if encoding.lower().replace("_", "-") == "utf-8" else text.encode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        name = "UTF-8" if encoding == "utf-8" else encoding
        raise UserError(
            f"{source} {guess}is not {name} text: "
            f"byte 0x{data[error.start]:02x} at offset {error.start}, line {line}.",
            "Save the table as CSV in UTF-8, or name its encoding: --encoding latin-1, "
            "--encoding utf-16 or another.",
        ) from None
    except UnicodeError:
        raise UserError(
            f"{source} {guess}is not text in the encoding {quote(encoding)}.",
            "Name the encoding of the file, such as utf-8, latin-1, cp1252 or utf-16.",
        ) from None
    except (LookupError, ValueError):
        raise UserError(
            f"There is no encoding {quote(encoding)}.",
            "Name one such as utf-8, latin-1, cp1252 or utf-16.",
        ) from None
