"""Figures of intervals over one input, between any two quantiles."""

from typing import Any

import numpy as np

from posterium.plots import style

PLACES = 1_000
"""Inputs that a band is drawn at, at most."""


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

    Of more than 1,000 inputs as many are drawn, evenly spaced in their order, so that a band over
    20,000 rows is as quick, and its file as small, as any other.

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
        Observed inputs and targets, drawn as points, small ones beyond 200, and beyond 5,000 as a
        cloud of cells, darker where there are more.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    x = style.column(x, "x")
    order = _spaced(np.argsort(x, kind="stable"))
    if data is not None:
        style.data_points(ax, *data)
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


def quantile_band(
    x: Any,
    predictive: Any,
    *,
    levels: tuple[float, ...] = (0.9, 0.5),
    data: tuple[Any, Any] | None = None,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "x",
    ylabel: str = "y",
) -> Any:
    """Draw the central intervals of a predictive, and its median, over one input.

    Quantiles are those of targets, noise included, and need be neither Gaussian nor symmetric. It
    suits as many rows as there are: see `interval_band`.

    Parameters
    ----------
    x
        Inputs of the predictions, (n,) or (n, 1), in any order.
    predictive
        What `predict` returned for them, or anything with `quantile(levels)`, (m, n) or (m, n, 1).
    levels
        Probabilities of the intervals, the widest first.
    data
        Observed inputs and targets, as many as there are.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    at = [q for level in levels for q in (0.5 - level / 2, 0.5 + level / 2)]
    found = [style.column(q, "quantile") for q in predictive.quantile(np.array([*at, 0.5]))]
    bands = {
        f"{level:.0%} of targets": (found[2 * i], found[2 * i + 1])
        for i, level in enumerate(levels)
    }
    ax = interval_band(x, bands, data=data, ax=ax, title=title, xlabel=xlabel, ylabel=ylabel)
    x = style.column(x, "x")
    order = _spaced(np.argsort(x, kind="stable"))
    ax.plot(x[order], found[-1][order], color=style.MEAN, label="median")
    style.legend(ax)
    return ax


def _spaced(order: np.ndarray) -> np.ndarray:
    """Return so many of the rows as a figure can show, evenly spaced in their order."""
    shown = np.linspace(0, len(order) - 1, min(len(order), PLACES))
    return order[shown.round().astype(int)]
