"""Tables of the page: what the columns hold, and which rows are the least certain."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

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
    unusual: str


def unusual(subject: Subject, x: np.ndarray) -> str:
    """Return the cell of one row (d,) that is the least usual among the rows fitted, in words.

    Numbers are as unusual as they are sds from their mean; a level, a truth value or a gap in a
    share p of the rows is as unusual as a number that lies where a Gaussian has p beyond.
    """
    cells = [cell for column in subject.columns for cell in _cells(column, x, *subject.scales)]
    return max(cells, key=lambda cell: cell[0])[1] if cells else ""


def _cells(
    column: InputColumn, x: np.ndarray, shift: np.ndarray, scale: np.ndarray
) -> Iterator[tuple[float, str]]:
    """Give distances in sds of what one column holds in a row (d,), and words for each."""
    slot = column.slots[0]
    if column.indicator is not None and x[column.indicator]:
        yield from _rare(f"{column.name} is missing", float(shift[column.indicator]))
    elif column.kind == "number":
        away = float((x[slot] - shift[slot]) / scale[slot])
        side = "above" if away > 0 else "below"
        text = f"{column.name} = {number(x[slot])}, {abs(away):.1f} sd {side} its mean"
        yield abs(away), text
    elif column.kind == "boolean":
        share, word = float(shift[slot]), "yes" if x[slot] else "no"
        yield from _rare(f"{column.name} = {word}", share if x[slot] else 1 - share)
    elif (level := int(column.values(x[None])[0])) >= 0:
        share = float(shift[column.slots[level]])
        yield from _rare(f"{column.name} = {column.levels[level]}", share)


def _rare(what: str, share: float) -> Iterator[tuple[float, str]]:
    """Give how unusual something in a share of the rows is; nothing where shares are not known."""
    if 0 < share < 1:
        where = percent(share) if share >= 0.01 else percent(share, 1)
        yield NormalDist().inv_cdf(1 - share / 2), f"{what}, as in {where} of the rows fitted"
