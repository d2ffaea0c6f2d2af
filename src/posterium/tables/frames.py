"""Tables in memory: frames of pandas and polars, as users pass them to the estimators.

Neither library is imported unless a frame of it is given; text is held by polars.
"""

import datetime
import decimal
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from posterium.tables.columns import Column, load_polars, parse, typed, written
from posterium.tables.delimited import check_names
from posterium.tables.errors import UserError
from posterium.tables.table import Table
from posterium.tables.terms import Parameters

DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)


def is_frame(X: Any) -> bool:
    """Say whether a value is a data frame of pandas or polars."""
    return _library(X) is not None


def _library(X: Any) -> str | None:
    for kind in type(X).__mro__:
        library = kind.__module__.partition(".")[0]
        if library in ("pandas", "polars") and kind.__name__ == "DataFrame":
            return library
    return None


def from_frame(frame: Any, source: str = "the table") -> Table:
    """Return a data frame of pandas or polars as a table; its rows are counted from 1.

    Numbers, booleans, text and categories keep their types; NaN, None and NA are missing. Columns
    of text are read as those of a CSV file: text in which each cell is a number is numbers.

    Raises
    ------
    UserError
        When it is no such frame, or column names are missing or given twice.
    """
    library = _library(frame)
    if library is None:
        raise UserError(
            f"A data frame of pandas or polars was expected; got a {type(frame).__qualname__}.",
            "Convert it to one of these.",
        )
    names = [str(name) for name in frame.columns]
    check_names(names, source)
    place = {name: index for index, name in enumerate(names)}

    def column(name: str) -> Column:
        if library == "polars":
            return typed(name, frame.to_series(place[name]))
        return _from_pandas(name, frame.iloc[:, place[name]])

    return Table(source, tuple(names), column, np.arange(1, len(frame) + 1), "row", Parameters())


def _from_pandas(name: str, series: Any) -> Column:
    """Return a column from a pandas series."""
    missing = series.isna().to_numpy(bool)
    if hasattr(series, "cat"):
        levels = [_as_text(level) for level in series.cat.categories]
        cells = load_polars().Series([*levels, ""], dtype=load_polars().String)
        cells = cells.gather(np.where(missing, len(levels), series.cat.codes.to_numpy()))
        nothing = np.full(len(missing), np.nan)
        return Column(name, "text", nothing, missing, cells, declared=True)
    kind = getattr(series.dtype, "kind", "O")
    if kind in "biuf":
        values = series.to_numpy(np.float64, na_value=np.nan)
        word = "boolean" if kind == "b" else "number"
        return Column(name, word, values, np.isnan(values), whole=kind in "iu")
    if kind in "mMc":
        nothing = np.full(len(missing), np.nan)
        word = "other" if kind == "c" else "date"
        return Column(name, word, nothing, missing, dtype=str(series.dtype))
    return _from_objects(name, series.tolist(), missing)


def _from_objects(name: str, items: Sequence[Any], missing: np.ndarray) -> Column:
    """Return a column from Python objects: all numbers, all booleans, or text."""
    present = [item for item, gone in zip(items, missing, strict=True) if not gone]
    kinds = set(map(type, present))
    values = np.full(len(items), np.nan)
    for kind in kinds:
        if issubclass(kind, DATES) or kind.__name__ == "Period":
            return Column(name, "date", values, missing, dtype=kind.__name__)
        if not issubclass(kind, str | numbers.Real | decimal.Decimal | np.bool_):
            return Column(name, "other", values, missing, dtype=kind.__name__)
    if kinds and not any(issubclass(kind, str) for kind in kinds):
        values[~missing] = [_as_float(item) for item in present]
        if all(issubclass(kind, bool | np.bool_) for kind in kinds):
            return Column(name, "boolean", values, missing)
        whole = all(issubclass(kind, numbers.Integral) for kind in kinds)
        return Column(name, "number", values, missing, whole=whole)
    texts = ["" if gone else _as_text(i) for i, gone in zip(items, missing, strict=True)]
    polars = load_polars()
    return parse(name, polars.Series(texts, dtype=polars.String).str.strip_chars())


def _as_float(item: Any) -> float:
    try:
        return float(item)
    except OverflowError:
        return float("inf") if item > 0 else float("-inf")


def _as_text(item: Any) -> str:
    """Return an object as the text of a cell, numbers in the fewest digits."""
    if isinstance(item, numbers.Integral) and not isinstance(item, bool | np.bool_):
        return str(int(item))
    if isinstance(item, numbers.Real | decimal.Decimal) and not isinstance(item, bool | np.bool_):
        return written(_as_float(item))
    return str(item)
