"""The page: a fit and rows in, one HTML file out."""

import os
from collections.abc import Mapping
from typing import Any

from posterium.tables.write import write_file


def report(
    fit: Any,
    data: Any,
    path: str | os.PathLike[str],
    *,
    spec: Any = None,
    held_out: Any = None,
    record: Mapping[str, Any] | None = None,
    seconds: float | None = None,
    command: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write a report on a fit."""
    write_file(b"<!doctype html>", path, overwrite=overwrite)
