"""Read a table from a file: CSV, plain or compressed by gzip, or Parquet.

Every cell is kept as it was written until a column is asked for, so that a refusal can quote the
cell and name its line, and so that columns nobody asks for are never judged.
"""

import os

from posterium.tables.content import decoded, read_bytes
from posterium.tables.delimited import as_separator, parse_text
from posterium.tables.errors import UserError, plain, quote
from posterium.tables.parquet import MAGIC, parse_parquet
from posterium.tables.table import Table

__all__ = ["Table", "read_table"]


def read_table(
    path: str | os.PathLike[str],
    *,
    header: bool = True,
    separator: str | None = None,
    decimal: str = ".",
    encoding: str = "utf-8",
    target: str | None = None,
) -> Table:
    """Return the table in a file, recognised by content: CSV, CSV within gzip, or Parquet.

    CSV has any kind of line end; blank lines are skipped. A Parquet file brings its own names and
    types, and the options are for CSV alone.

    Parameters
    ----------
    path
        The file, or "-" for standard input.
    header
        Whether the first row holds the column names; without, they are "1", "2" and so on.
    separator
        The sign between cells, or `comma`, `semicolon`, `tab`, `bar`, `space`. None takes commas,
        or else the one of semicolons, tabs and bars by which all rows have as many cells as the
        first; the table's notes say so.
    decimal
        The sign before the decimals of numbers, "." or ",".
    encoding
        The encoding of the text, by any name that Python knows.
    target
        A column that should be there: where several separators fit, the one that gives it is taken.

    Raises
    ------
    UserError
        When the file cannot be read, is no such table, or is too large: rows of unequal length,
        column names that are missing or given twice. Cells are not judged.
    """
    path = os.fspath(path)
    source = "standard input" if path == "-" else plain(path)
    mark = None if separator is None else as_separator(separator)
    if decimal not in (".", ","):
        raise UserError(
            f"The decimal sign is a point or a comma; got {quote(decimal)}.", "Choose one of them."
        )
    if mark == decimal:
        raise UserError(
            f"The separator and the decimal sign are both {quote(decimal)}.",
            "Give another separator.",
        )
    data = read_bytes(path, source)
    if data.startswith(MAGIC):
        return parse_parquet(data, source)
    text = decoded(data, source, encoding)
    return parse_text(text, source, header=header, separator=mark, decimal=decimal, target=target)
