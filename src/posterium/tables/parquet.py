"""Parquet files into typed columns."""

import io
import subprocess
import sys

import numpy as np

from posterium.tables.columns import load_polars, typed
from posterium.tables.delimited import check_names
from posterium.tables.errors import UserError
from posterium.tables.memory import available_memory
from posterium.tables.table import Table

MAGIC = b"PAR1"
BYTES_PER_CELL = 48
"""Bytes of memory that a cell takes at most on its way into an array, long text aside."""

TRIAL = f"""
import io, sys, polars
data = io.BytesIO(sys.stdin.buffer.read())
scan = polars.scan_parquet(data)
rows, width = scan.select(polars.len()).collect().item(), len(scan.collect_schema())
print(rows, width, flush=True)
if rows * width * {BYTES_PER_CELL} <= int(sys.argv[1]):
    polars.read_parquet(data)
"""
"""Reads a file in a process of its own: a damaged one can end the process that reads it."""


def parse_parquet(data: bytes, source: str) -> Table:
    """Return the table in the bytes of a Parquet file; its rows are counted from 1.

    Raises
    ------
    UserError
        When the file is damaged, or expands to more cells than the memory holds.
    """
    polars = load_polars()
    rows = _try(data, source)
    frame = polars.read_parquet(io.BytesIO(data))
    names = frame.columns
    check_names(names, source)
    return Table(
        source, tuple(names), lambda name: typed(name, frame[name]), np.arange(1, rows + 1), "row"
    )


def _try(data: bytes, source: str) -> int:
    """Return the number of rows of a file that can be read, or refuse it."""
    free = available_memory()
    command = [sys.executable, "-P", "-c", TRIAL, str(free)]
    found = subprocess.run(command, input=data, capture_output=True)
    rows, width = map(int, found.stdout.split() or (0, 0))
    if rows * width * BYTES_PER_CELL > free:
        raise UserError(
            f"{source} holds {rows:,} rows of {width:,} columns, which take about "
            f"{rows * width * BYTES_PER_CELL:,} bytes of memory; {free:,} are free.",
            "Give a sample of the rows, or only the columns that are needed.",
        )
    if found.returncode:
        raise UserError(
            f"{source} looks like a Parquet file, but cannot be read.",
            "Copy or write the file again, or save the table as CSV.",
        )
    return rows
