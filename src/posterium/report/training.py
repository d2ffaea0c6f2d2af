"""Training curves: both terms of the log joint, phase by phase."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from posterium.plots import style
from posterium.plots.training import training_curve
from posterium.report.figures import Figure, Sheet

WINDOWS = 120
"""Points of a curve at most: each is the mean of so many steps that this is kept."""
SHORTEST = 5
"""Fewer steps than this make no curve."""
TERMS = {
    "log_likelihood": ("log likelihood", "log likelihood of all rows (nats)"),
    "log_prior": ("log prior", "log prior of the weights (nats)"),
    "kl": ("KL divergence", "KL of posterior from prior (nats)"),
    "held_out": ("rows left out for stopping", "log likelihood per row left out (nats)"),
    "log_joint": ("log joint", "log joint (nats)"),
}
"""What is drawn, by the name in the record: the title and the axis."""
WHY = {
    "log_likelihood": "How well the network explains the rows it was trained on.",
    "log_prior": "How likely the weights are before any data: it falls as weights grow.",
    "kl": "What the posterior has learned away from the prior; the counterpart of the log prior.",
    "held_out": "The weights at the dot, where the line is highest, are those that were kept.",
    "log_joint": "Chains that explore the posterior look alike, without a trend.",
}


def curves(info: Mapping[str, Any], sheet: Sheet) -> list[Figure]:
    """Return figures of what the phases recorded of the two terms; none where there is nothing."""
    phases = {name: record for name, record in info.items() if isinstance(record, Mapping)}
    drawn = [
        (phase, term, np.asarray(record[term], np.float64))
        for phase, record in phases.items()
        for term in TERMS
        if term in record and len(record[term]) >= SHORTEST
    ]
    several = len({phase for phase, _, _ in drawn}) > 1
    return [
        sheet.figure(
            TERMS[term][0].capitalize() + (f", {phase.replace('_', ' ')}" if several else ""),
            _curve(values, term),
            _caption(term, values),
        )
        for phase, term, values in drawn
    ]


def _curve(values: np.ndarray, term: str) -> Callable[[Any], Any]:
    """Return what draws one term, each member a line, over the range it has after the start."""
    values = values.reshape(len(values), -1)
    values = np.where(np.isfinite(values), values, np.nan)
    smooth = -(-len(values) // WINDOWS)

    def draw(ax: Any) -> Any:
        training_curve({"": values}, smooth=smooth, ax=ax, ylabel=TERMS[term][1])
        if ax.get_legend():
            ax.get_legend().remove()
        windows = len(values) // smooth
        means = values[: windows * smooth].reshape(windows, smooth, -1).mean(axis=1)
        later = means[windows // 20 :]
        if term == "held_out":
            later = _mark_best(ax, means, smooth)
        later = later[np.isfinite(later)]
        if later.size and np.ptp(later) > 0:
            margin = 0.06 * np.ptp(later)
            ax.set_ylim(later.min() - margin, later.max() + margin)
        return ax

    return draw


def _mark_best(ax: Any, means: np.ndarray, smooth: int) -> np.ndarray:
    """Mark the highest point of every line; return the values to show, from the start up to it."""
    safe = np.where(np.isfinite(means), means, -np.inf)
    best, top = safe.argmax(axis=0), safe.max(axis=0)
    ax.scatter(smooth * (best + 1), top, s=26, color=style.MISS, zorder=3, linewidths=0)
    known = np.where(np.isfinite(means), means, np.nan)[len(means) // 20 : best.max() + 1]
    rise = top.max() - np.nanquantile(known, 0.05) if known.size else 0.0
    return np.append(top, top.min() - 1.5 * rise)


def _caption(term: str, values: np.ndarray) -> str:
    members = values.reshape(len(values), -1).shape[1]
    smooth = -(-len(values) // WINDOWS)
    parts = [WHY[term]]
    if members > 1:
        parts.append(f"{members} lines, one a network or chain.")
    if term == "held_out":
        parts.append("A line that falls later has gone on to overfit.")
    if smooth > 1:
        parts.append(f"Each point is the mean of {smooth} steps.")
    return " ".join(parts)
