"""What both tasks tell the page, and how many rows its figures draw."""

from dataclasses import dataclass

import numpy as np

from posterium.report.figures import Figure
from posterium.report.tables import UncertainRow
from posterium.report.words import Line

FIGURE_ROWS = 600
"""Rows drawn at most."""
SHOWN = 4
"""Targets with figures of their own at most."""


@dataclass(frozen=True)
class Tile:
    """One number at the top of the page."""

    name: str
    value: str
    error: str = ""


@dataclass(frozen=True)
class Sections:
    """What the page says of predictions: tables, figures, and lines for its top.

    Parameters
    ----------
    tables
        Scores, a table a target, each with a title.
    predicted, calibration, split
        Figures of each section.
    tiles, summary
        The most important numbers, and sentences.
    rows, row_heads
        The least certain rows, and the heads of their table.
    more
        Targets that have no figures.
    """

    tables: list[tuple[str, list[Line]]]
    predicted: list[Figure]
    calibration: list[Figure]
    split: list[Figure]
    tiles: list[Tile]
    summary: list[str]
    rows: list[UncertainRow]
    row_heads: tuple[str, ...]
    more: int = 0


def drawn_rows(n: int) -> np.ndarray:
    """Return which of n rows are drawn: all, or a random part that is always the same."""
    if n <= FIGURE_ROWS:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).permutation(n)[:FIGURE_ROWS])


def rows_note(drawn: int, n: int) -> str:
    """Say that not all rows are drawn, where it is so."""
    return "" if drawn == n else f"A random part is drawn: {drawn:,} of {n:,} rows."
