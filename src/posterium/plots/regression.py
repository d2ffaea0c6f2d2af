"""Figures of predictions of numbers: bands over one input, predicted against observed."""

from typing import Any

import numpy as np

from posterium.plots import style
from posterium.plots.functions import drawn


def regression_band(
    x: Any,
    predictive: Any,
    *,
    data: tuple[Any, Any] | None = None,
    functions: Any = None,
    sds: float = 2.0,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "x",
    ylabel: str = "y",
) -> Any:
    """Draw the predictive of one input: its mean, and bands for both kinds of uncertainty.

    The inner band is mean +- `sds` epistemic sd; the outer one is mean +- `sds` predictive sd, so
    that what lies between them is what the observation noise adds.

    Parameters
    ----------
    x
        Inputs of the predictions, (n,) or (n, 1), in any order.
    predictive
        What `predict` returned for them, or anything with `mean`, `sd` and `epistemic_sd`.
    data
        Observed inputs and targets, drawn as points.
    functions
        Sampled functions at x, (s, n), drawn as thin lines.
    sds
        Half width of the bands, in standard deviations.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    x = style.column(x, "x")
    order = np.argsort(x)
    x = x[order]
    mean, sd, epistemic_sd = (
        style.column(part, name)[order]
        for name, part in (
            ("mean", predictive.mean),
            ("sd", predictive.sd),
            ("epistemic_sd", predictive.epistemic_sd),
        )
    )
    width = f"{sds:g} sd"
    inner, outer = sds * epistemic_sd, sds * sd
    _band(ax, x, mean - inner, mean + inner, style.EPISTEMIC, f"epistemic, {width}")
    _band(ax, x, mean + inner, mean + outer, style.ALEATORIC, f"with noise, {width}")
    _band(ax, x, mean - outer, mean - inner, style.ALEATORIC, None)
    if functions is not None:
        _lines(ax, x, np.asarray(functions)[:, order])
    ax.plot(x, mean, color=style.MEAN, linewidth=2, label="mean")
    if data is not None:
        style.data_points(ax, *data)
    style.legend_below(ax)
    ax.set_xlim(x[0], x[-1])
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)


def _band(
    ax: Any, x: np.ndarray, low: np.ndarray, high: np.ndarray, color: str, label: str | None
) -> None:
    ax.fill_between(x, low, high, color=color, alpha=0.3, linewidth=0, label=label)


def _lines(ax: Any, x: np.ndarray, functions: np.ndarray) -> None:
    """Draw functions (s, n) as thin lines with one entry in the legend."""
    for number, line in enumerate(functions):
        label = "sampled functions" if number == 0 else None
        ax.plot(x, line, color=style.MEAN, linewidth=0.7, alpha=0.45, label=label)


def exact_beside_sampled(
    x: Any,
    exact: Any,
    sampled: Any,
    *,
    shown: int = 20,
    data: tuple[Any, Any] | None = None,
    sds: float = 2.0,
    ax: Any = None,
    titles: tuple[str, str] = ("Exact", "From sampled functions"),
    xlabel: str = "x",
    ylabel: str = "y",
) -> Any:
    """Draw the exact predictive on the left, and on the right what draws make of it.

    On the right are some of the functions drawn, and the ends of the exact outer band as dashed
    lines, so that what Monte Carlo adds can be seen.

    Parameters
    ----------
    x
        Inputs of the predictions, (n,) or (n, 1), in any order.
    exact
        What `predict` returned for them in closed form.
    sampled
        What `predict(..., how="draws")` returned for them, of the same fit.
    shown
        How many functions are lines.
    data
        Observed inputs and targets, drawn as points.
    sds
        Half width of the bands, in standard deviations.
    ax
        Two matplotlib axes; None makes a figure.
    titles
        Of both.

    Returns
    -------
    numpy.ndarray
        Both axes, with the same limits.
    """
    left, right = panels = style.panels(ax, 2, sharex=True, sharey=True)
    given = {"data": data, "sds": sds, "xlabel": xlabel}
    regression_band(x, exact, ax=left, title=titles[0], ylabel=ylabel, **given)
    lines = drawn(sampled, count=shown)
    regression_band(x, sampled, functions=lines, ax=right, title=titles[1], ylabel="", **given)
    x = style.column(x, "x")
    order = np.argsort(x)
    mean, sd = (style.column(part, "exact")[order] for part in (exact.mean, exact.sd))
    for end, label in ((mean - sds * sd, f"exact, {sds:g} sd"), (mean + sds * sd, None)):
        right.plot(x[order], end, color=style.DATA, linestyle="--", linewidth=1, label=label)
    style.share_limits(panels)
    for panel in panels:
        style.legend_below(panel, columns=3)
    return panels


def predicted_observed(
    predictive: Any,
    y: Any,
    *,
    level: float = 0.9,
    ax: Any = None,
    title: str | None = None,
    unit: str | None = None,
) -> Any:
    """Draw predictions against what was observed, with their intervals.

    Intervals that hold the observation are blue, those that miss it are vermilion; the legend
    says how many of each, so that the share can be held against the level.

    Parameters
    ----------
    predictive
        What `predict` returned, or anything with `mean` and `interval(level)`.
    y
        Observed targets, (n,) or (n, 1).
    level
        Probability of the intervals.
    ax
        Matplotlib axes; None makes a figure.
    unit
        Unit of the target, for the labels.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    y, mean = style.column(y, "y"), style.column(predictive.mean, "mean")
    low, high = (style.column(end, "interval") for end in predictive.interval(level))
    inside = (low <= y) & (y <= high)
    limits = style.padded((y, low, high))
    ax.plot(limits, limits, color=style.REFERENCE, linestyle="--", linewidth=1, label="equal")
    shown = (
        (inside, style.MEAN, "o", f"inside the {level:.0%} interval"),
        (~inside, style.MISS, "D", "outside"),
    )
    for rows, color, marker, name in shown:
        if rows.any():
            _intervals(ax, y[rows], mean[rows], low[rows], high[rows], color, marker,
                       f"{name}: {rows.sum()} of {len(y)}")  # fmt: skip
    ax.set_xlim(limits)
    ax.set_ylim(limits)
    ax.set_aspect("equal")
    style.legend(ax, loc="upper left")
    end = f" ({unit})" if unit else ""
    return style.finish(ax, title=title, xlabel=f"observed{end}", ylabel=f"predicted{end}")


def _intervals(
    ax: Any,
    y: np.ndarray,
    mean: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    color: str,
    marker: str,
    label: str,
) -> None:
    """Draw intervals as lines and means as marks on them, from the observed value."""
    ax.vlines(y, low, high, color=color, linewidth=1, alpha=0.45)
    ax.scatter(y, mean, s=16, color=color, marker=marker, zorder=3, label=label, linewidths=0)
