"""Parquet files into typed columns."""

import io

import numpy as np

from posterium.tables.columns import load_polars, typed
from posterium.tables.delimited import check_names
from posterium.tables.errors import UserError
from posterium.tables.memory import available_memory
from posterium.tables.table import Table

MAGIC = b"PAR1"
BYTES_PER_CELL = 48
"""Bytes of memory that a cell takes at most on its way into an array, long text aside."""


def parse_parquet(data: bytes, source: str) -> Table:
    """Return the table in the bytes of a Parquet file; its rows are counted from 1.

    Raises
    ------
    UserError
        When the file is damaged, or expands to more cells than the memory holds.
    """
    polars = load_polars()
    errors = (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError)
    try:
        scan = polars.scan_parquet(io.BytesIO(data))
        names = scan.collect_schema().names()
        rows = scan.select(polars.len()).collect().item()
        _check_size(rows, len(names), source)
        frame = polars.read_parquet(io.BytesIO(data))
    except errors as error:
        raise UserError(
            f"{source} looks like a Parquet file, but cannot be read ({type(error).__name__}).",
            "Copy or write the file again, or save the table as CSV.",
        ) from None
    check_names(names, source)
    return Table(
        source, tuple(names), lambda name: typed(name, frame[name]), np.arange(1, rows + 1), "row"
    )


def _check_size(rows: int, width: int, source: str) -> None:
    needed, free = rows * width * BYTES_PER_CELL, available_memory()
    if needed > free:
        raise UserError(
            f"{source} holds {rows:,} rows of {width:,} columns, which take about {needed:,} bytes "
            f"of memory; {free:,} are free.",
            "Give a sample of the rows, or only the columns that are needed.",
        )
