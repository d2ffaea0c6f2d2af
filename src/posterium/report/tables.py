"""Tables of the page: what the columns hold, and which rows are the least certain."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from posterium.report.columns import InputColumn
from posterium.report.subject import Subject
from posterium.report.words import count, number, percent

LISTED = 40
"""Columns listed at most."""
BARS = 14
"""Bars of a small histogram at most."""
ROWS = 10
"""Rows listed at most."""


@dataclass(frozen=True)
class Summary:
    """What one column holds.

    Parameters
    ----------
    name, kind
        As in the table.
    text
        Its range, or its levels, in words.
    centre
        Its median, or its most frequent level.
    bars
        Heights of a small histogram, from 0 to 1.
    """

    name: str
    kind: str
    text: str
    centre: str
    bars: tuple[float, ...]


def column_summaries(subject: Subject) -> list[Summary]:
    """Return what the targets and the first columns hold."""
    targets = (
        [
            _numbers(name, "target", values)
            for name, values in zip(subject.targets, subject.y.T, strict=True)
        ]
        if not subject.classes
        else [_levels(subject.targets[0], "target", subject.y, subject.classes)]
    )
    return targets + [_column(column, subject.x) for column in subject.columns[:LISTED]]


def _column(column: InputColumn, x: np.ndarray) -> Summary:
    values = column.values(x)
    if column.kind == "boolean":
        return _levels(column.name, column.kind, values.astype(int), ("no", "yes"))
    if column.levels:
        return _levels(column.name, column.kind, values[values >= 0], column.levels)
    found = _numbers(column.name, column.kind, values)
    if column.indicator is None:
        return found
    gaps = percent(float(x[:, column.indicator].mean()), 1)
    return Summary(
        found.name, found.kind, f"{found.text}; {gaps} missing", found.centre, found.bars
    )


def _numbers(name: str, kind: str, values: np.ndarray) -> Summary:
    low, high = float(values.min()), float(values.max())
    if low == high:
        return Summary(name, kind, f"always {number(low)}", number(low), ())
    different, counts = np.unique(values, return_counts=True)
    if len(different) > BARS:
        counts = np.histogram(values, bins=BARS)[0]
    text = f"{number(low)} to {number(high)}"
    return Summary(name, kind, text, number(float(np.median(values))), _heights(counts))


def _levels(name: str, kind: str, values: np.ndarray, levels: Sequence[str]) -> Summary:
    counts = np.bincount(values.astype(int), minlength=len(levels))
    first = int(counts.argmax())
    shares = sorted(counts, reverse=True)[:BARS] if len(levels) > 2 else counts
    centre = f"{levels[first]} ({percent(counts[first] / max(1, counts.sum()))})"
    if len(levels) == 2:
        return Summary(name, kind, f"{levels[0]}, {levels[1]}", centre, _heights(np.array(shares)))
    return Summary(name, kind, count(len(levels), "level"), centre, _heights(np.array(shares)))


def _heights(counts: np.ndarray) -> tuple[float, ...]:
    return tuple((counts / max(1, counts.max())).round(3).tolist())


@dataclass(frozen=True)
class UncertainRow:
    """A row among those with the widest predictions; all texts."""

    row: str
    observed: str
    predicted: str
    interval: str
    uncertainty: str
    epistemic: str
    farthest: str


def farthest(subject: Subject, x: np.ndarray) -> str:
    """Return which number of one row (d,) is farthest from its mean, in sds."""
    shift, scale = subject.scales
    numbers = [column for column in subject.columns if column.kind == "number"]
    if not numbers:
        return ""
    away = [float((x[c.slots[0]] - shift[c.slots[0]]) / scale[c.slots[0]]) for c in numbers]
    place = int(np.argmax(np.abs(away)))
    side = "above" if away[place] > 0 else "below"
    return (
        f"{numbers[place].name} = {number(x[numbers[place].slots[0]])}, "
        f"{abs(away[place]):.1f} sd {side} its mean"
    )
