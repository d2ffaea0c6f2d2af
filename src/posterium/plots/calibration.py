"""Figures of calibration: probabilities against shares, for classes and for numbers."""

from typing import Any

import numpy as np

from posterium.evaluate import calibration
from posterium.plots import style

LEVELS = np.linspace(0.02, 0.98, 49)


def reliability(
    probability: Any,
    happened: Any,
    *,
    bins: int | None = None,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "predicted probability",
    ylabel: str = "observed share",
) -> Any:
    """Draw how often what was given a probability happened, bin by bin.

    Points on the diagonal are right on average; bars are 95 % intervals of the share, so that a
    bar that crosses the diagonal shows no fault. Below the diagonal is overconfidence.

    Parameters
    ----------
    probability
        Given to an event, (n,).
    happened
        Whether it happened, (n,).
    bins
        Number of bins of equal width; None for as many as the rows fill.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    found = calibration.reliability(probability, happened, bins)
    _diagonal(ax)
    ax.vlines(found.probability, found.lower, found.upper, color=style.MEAN, linewidth=1.6)
    area = 22 + 110 * found.count / found.count.max()
    ax.scatter(
        found.probability, found.share, s=area, color=style.MEAN, zorder=3, linewidths=0.6,
        edgecolors=style.PAPER,
    )  # fmt: skip
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)


def pit(
    values: Any,
    *,
    bins: int | None = None,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "predicted probability of less than what was observed",
    ylabel: str = "density of rows",
) -> Any:
    """Draw the histogram of the probability integral transform, flat where calibrated.

    A hump in the middle says that intervals are too wide, a bowl that they are too narrow, a slope
    that predictions are too low or too high.

    Parameters
    ----------
    values
        P(Y <= y) of each row, (n,): `RegressionPredictive.cdf(y)`.
    bins
        Number of bins; None for as many as the rows fill.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    edges, density, low, high = calibration.pit_histogram(style.column(values, "values"), bins)
    ax.axhspan(low, high, color=style.REFERENCE, alpha=0.18, linewidth=0)
    ax.axhline(1, color=style.REFERENCE, linewidth=1, linestyle="--")
    ax.bar(
        edges[:-1], density, np.diff(edges), align="edge", color=style.MEAN, alpha=0.75,
        edgecolor=style.PAPER, linewidth=0.8,
    )  # fmt: skip
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.08 * max(density.max(), high))
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)


def coverage_curve(
    values: Any,
    *,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "probability of the interval",
    ylabel: str = "share of rows inside",
) -> Any:
    """Draw which share of targets the central intervals of every probability hold.

    The band is where 95 % of such shares lie, level by level, when the intervals are right. Below
    it intervals are too narrow, above it too wide.

    Parameters
    ----------
    values
        P(Y <= y) of each row, (n,): `RegressionPredictive.cdf(y)`.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    covered, se = calibration.coverage_curve(style.column(values, "values"), LEVELS)
    half = calibration.Z * se
    low, high = np.clip(LEVELS - half, 0, 1), np.clip(LEVELS + half, 0, 1)
    ax.fill_between(LEVELS, low, high, color=style.REFERENCE, alpha=0.22, linewidth=0)
    _diagonal(ax)
    ax.plot(LEVELS, covered, color=style.MEAN, linewidth=2)
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)


def _diagonal(ax: Any) -> None:
    """Draw where shares equal probabilities, in a square from 0 to 1."""
    ax.plot([0, 1], [0, 1], color=style.REFERENCE, linestyle="--", linewidth=1)
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    ax.set_aspect("equal")
