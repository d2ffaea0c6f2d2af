"""Figures of intervals over one input, between any two quantiles."""

from typing import Any

import numpy as np

from posterium.plots import style


def interval_band(
    x: Any,
    bands: dict[str, tuple[Any, Any]],
    *,
    mean: Any = None,
    functions: Any = None,
    data: tuple[Any, Any] | None = None,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "x",
    ylabel: str = "y",
) -> Any:
    """Draw what lies between two ends at each input, several bands on top of one another.

    Parameters
    ----------
    x
        Inputs, (n,) or (n, 1), in any order.
    bands
        Lower and upper ends by name, (n,) each, the widest first.
    mean
        Drawn as a line, (n,).
    functions
        Drawn as thin lines, (s, n).
    data
        Observed inputs and targets, drawn as points, small where there are more than 200.
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
    if data is not None:
        style.data_points(ax, *data, dense=len(data[0]) > 200)
    for number, (name, ends) in enumerate(bands.items()):
        color = (style.ALEATORIC, style.EPISTEMIC, *style.LINES)[number]
        low, high = (style.column(end, name)[order] for end in ends)
        ax.fill_between(x[order], low, high, color=color, alpha=0.45, linewidth=0, label=name)
    for line in () if functions is None else np.asarray(functions):
        ax.plot(x[order], line[order], color=style.REFERENCE, linewidth=0.8)
    if mean is not None:
        ax.plot(x[order], style.column(mean, "mean")[order], color=style.MEAN, label="mean")
    ax.set_xlim(x.min(), x.max())
    style.legend(ax)
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)
