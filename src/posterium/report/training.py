"""Training curves: both terms of the log joint, phase by phase."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from posterium.plots import style
from posterium.plots.training import training_curve
from posterium.report.figures import Figure, Sheet

WINDOWS = 120
"""Points of a curve at most: each is the mean of so many steps that this is kept."""
SHORTEST = 5
"""Fewer steps than this make no curve."""


class Term(NamedTuple):
    """A recorded quantity: title, label of its axis, what it means, the least span of the axis."""

    title: str
    label: str
    meaning: str
    span: float = 1.0


TERMS = {
    "log_likelihood": Term(
        "Log likelihood",
        "log likelihood of all rows (nats)",
        "How well the network explains the rows it was trained on.",
    ),
    "log_prior": Term(
        "Log prior",
        "log prior of the weights (nats)",
        "How likely the weights are before any data: it falls as weights grow.",
    ),
    "kl": Term(
        "KL divergence",
        "KL of posterior from prior (nats)",
        "How far the posterior is from the prior: the counterpart of the log prior.",
    ),
    "held_out": Term(
        "Rows left out for stopping",
        "log likelihood per row left out (nats)",
        "The weights at the dot, where the line is highest, are those that were kept. A line that "
        "falls later has gone on to overfit.",
        0.05,
    ),
    "log_joint": Term(
        "Log joint",
        "log joint (nats)",
        "Chains that explore the posterior look alike, without a trend.",
    ),
}
"""What is drawn, by its name in the record."""


def curves(info: Mapping[str, Any], sheet: Sheet) -> list[Figure]:
    """Return figures of what the phases recorded of the two terms; none where there is nothing.

    A phase that comes round again starts where it ended before: its rounds make one curve, but for
    the rows left out, by which every round chooses anew: of these the last is drawn.
    """
    drawn = []
    for phase, rounds in _rounds(info).items():
        for term in TERMS:
            parts = [np.asarray(record[term], np.float64) for record in rounds if term in record]
            if parts and len(parts[-1]) >= SHORTEST:
                values = parts[-1] if term == "held_out" else np.concatenate(parts)
                drawn.append((phase, term, values, len(parts)))
    several = len({phase for phase, *_ in drawn}) > 1
    return [
        sheet.figure(
            TERMS[term].title + (f", {phase.replace('_', ' ')}" if several else ""),
            _curve(values, term),
            _caption(term, values, rounds),
        )
        for phase, term, values, rounds in drawn
    ]


def _rounds(info: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the records of each phase, those of a phase that came round again together."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for name, record in info.items():
        if isinstance(record, Mapping):
            first = re.sub(r"_[0-9]+$", "", name)
            again = first in found and _shapes(found[first][0]) == _shapes(record)
            found.setdefault(first if again else name, []).append(record)
    return found


def _shapes(record: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shape of one step of every quantity."""
    return {name: np.shape(values)[1:] for name, values in record.items()}


def _curve(values: np.ndarray, term: str) -> Callable[[Any], Any]:
    """Return what draws one term, each member a line, over the range it has after the start."""
    values = values.reshape(len(values), -1)
    values = np.where(np.isfinite(values), values, np.nan)
    smooth = -(-len(values) // WINDOWS)

    def draw(ax: Any) -> Any:
        training_curve({"": values}, smooth=smooth, ax=ax, ylabel=TERMS[term].label)
        if ax.get_legend():
            ax.get_legend().remove()
        windows = len(values) // smooth
        means = values[: windows * smooth].reshape(windows, smooth, -1).mean(axis=1)
        later = means[windows // 20 :]
        if term == "held_out":
            later = _mark_best(ax, means, smooth)
        later = later[np.isfinite(later)]
        if later.size:
            middle = (later.min() + later.max()) / 2
            half = 0.56 * max(float(np.ptp(later)), TERMS[term].span)
            ax.set_ylim(middle - half, middle + half)
        return ax

    return draw


def _mark_best(ax: Any, means: np.ndarray, smooth: int) -> np.ndarray:
    """Mark the highest point of every line; return the values to show, from the start up to it."""
    means = means[:, np.isfinite(means).any(axis=0)]
    if not means.size:
        return means
    best, top = np.nanargmax(means, axis=0), np.nanmax(means, axis=0)
    ax.scatter(smooth * (best + 1), top, s=26, color=style.MISS, zorder=3, linewidths=0)
    before = means[min(len(means) // 20, best.min()) : best.max() + 1]
    rise = top.max() - np.nanquantile(before, 0.05)
    return np.append(top, top.min() - 1.5 * rise)


def _caption(term: str, values: np.ndarray, rounds: int) -> str:
    members = values.reshape(len(values), -1).shape[1]
    smooth = -(-len(values) // WINDOWS)
    parts = [TERMS[term].meaning]
    if members > 1:
        parts.append(f"{members} lines, one a network or chain.")
    if rounds > 1 and term == "held_out":
        parts.append(f"The last of {rounds} rounds is drawn.")
    elif rounds > 1:
        parts.append(f"{rounds} rounds, one after another.")
    if smooth > 1:
        parts.append(f"Each point is the mean of {smooth} steps.")
    return " ".join(parts)
