"""Inputs X of an estimator: arrays as scikit-learn checks them, frames column by column.

A frame of pandas or polars, and an array where cells may be missing, is read as a table is on the
command line: kinds of columns, levels and fills are found when fitting and applied by name.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils import check_array

from posterium.tables.columns import Column
from posterium.tables.frames import from_frame, is_frame
from posterium.tables.table import Table
from posterium.tables.terms import Parameters

SOURCE = "X"


def reads_as_table(X: Any, missing: str, categorical: Collection[str]) -> bool:
    """Say whether inputs are encoded column by column when fitting.

    Frames whose columns have names are; and arrays for which cells may be missing, or columns are
    categories.
    """
    if missing != "refuse" or len(categorical) > 0:
        return True
    return is_frame(X) and all(isinstance(name, str) for name in X.columns)


def checked(X: Any) -> Any:
    """Return a frame as it is, anything else as an array of numbers; NaN may stand in it."""
    if is_frame(X):
        return X
    # pyrefly: ignore[unexpected-keyword]
    return check_array(X, dtype=np.float64, ensure_all_finite="allow-nan")


def table_of(X: Any, names: tuple[str, ...] | None) -> Table:
    """Return checked inputs as a table; an array's columns take these names, or x0, x1, ..."""
    if is_frame(X):
        return from_frame(X, SOURCE)
    names = names or column_names(X.shape[1])
    columns = {
        name: Column(name, "number", values, np.isnan(values))
        for name, values in zip(names, X.T, strict=True)
    }
    return Table(SOURCE, names, columns.__getitem__, np.arange(1, len(X) + 1), "row", Parameters())


def known(y: Any) -> np.ndarray:
    """Return where no target of a row is missing, (n,)."""
    cells = np.asarray(y)
    if cells.dtype.kind == "f":
        gaps = np.isnan(cells)
    else:
        gaps = np.array([_is_gap(value) for value in cells.astype(object).ravel()], bool)
    return np.logical_not(gaps.reshape(len(cells), -1).any(axis=1))


def _is_gap(value: Any) -> bool:
    """Say whether a value stands for none: None, NaN, or what pandas has for them."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


@contextmanager
def numbers_expected(fix: str) -> Iterator[None]:
    """Refuse text where an array of numbers is needed, with a way out."""
    try:
        yield
    except ValueError as error:
        if "could not convert string to float" not in str(error):
            raise
        raise ValueError(f"Expected numbers; {error}. {fix}") from None


def column_names(count: int) -> tuple[str, ...]:
    """Return scikit-learn's names of columns that have none."""
    return tuple(f"x{i}" for i in range(count))
