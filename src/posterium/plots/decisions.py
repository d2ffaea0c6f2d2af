"""Figures of decisions taken one after another: what they cost against the best ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from posterium.plots import style


def cumulative_regret(
    regret: Mapping[str, Any],
    *,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "round",
    ylabel: str = "cumulative regret",
) -> Any:
    """Draw what the decisions of several policies have cost up to each round.

    Lines are means over runs, bands two standard errors of these to either side.

    Parameters
    ----------
    regret
        By the name of each policy, how far every round's expected reward was below that of the best
        action, (r, t): runs, rounds.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    totals = {name: np.cumsum(np.atleast_2d(each), axis=1) for name, each in regret.items()}
    rounds = np.arange(1, 1 + max(total.shape[1] for total in totals.values()))
    for number, (name, total) in enumerate(totals.items()):
        mean = total.mean(axis=0)
        look = style.line(number)
        ax.plot(rounds, mean, label=name, **look)
        if len(total) > 1:
            error = 2 * total.std(axis=0, ddof=1) / np.sqrt(len(total))
            ax.fill_between(
                rounds, mean - error, mean + error, color=look["color"], alpha=0.18, linewidth=0
            )
    ax.set_xlim(1, rounds[-1])
    ax.set_ylim(bottom=0)
    style.legend(ax, loc="upper left")
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)
