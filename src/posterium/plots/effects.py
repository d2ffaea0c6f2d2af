"""Figures of effects: how the average prediction moves with one column."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from posterium.plots import style


def effect(
    values: Any,
    curves: Mapping[str, tuple[Any, Any]],
    *,
    observed: Any = None,
    sds: float = 2.0,
    ax: Any = None,
    title: str | None = None,
    xlabel: str | None = None,
    ylabel: str | None = "average prediction",
) -> Any:
    """Draw the partial dependence on one column, with a band for what the model does not know.

    Parameters
    ----------
    values
        The settings of the column: numbers (m,), drawn as lines, or texts, drawn as points.
    curves
        Average prediction and its epistemic sd at each setting, (m,) each, by name; names are
        shown when there are several.
    observed
        Values the column has in the data, drawn as ticks along the bottom.
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
    words = [str(value) for value in values]
    numeric = not any(isinstance(value, str) for value in values)
    for number, (name, (mean, sd)) in enumerate(curves.items()):
        look = style.line(number)
        mean, half = np.asarray(mean, float), sds * np.asarray(sd, float)
        label = name if len(curves) > 1 else None
        if numeric:
            x = np.asarray(values, float)
            ax.fill_between(
                x, mean - half, mean + half, color=look["color"], alpha=0.22, linewidth=0
            )
            ax.plot(x, mean, linewidth=2, label=label, **look)
        else:
            _levels(ax, mean, half, number - (len(curves) - 1) / 2, look["color"], label)
    if numeric and observed is not None:
        _ticks(ax, np.asarray(observed, float))
    if not numeric:
        _name_levels(ax, words)
    return style.finish(
        ax, title=title, xlabel=xlabel if numeric else ylabel, ylabel=ylabel if numeric else xlabel
    )


def _levels(
    ax: Any, mean: np.ndarray, half: np.ndarray, place: float, color: str, label: str | None
) -> None:
    """Draw a point with its interval for every level, levels from top to bottom."""
    y = np.arange(len(mean)) + 0.16 * place
    ax.hlines(y, mean - half, mean + half, color=color, linewidth=2.4, alpha=0.5)
    ax.scatter(mean, y, color=color, s=26, zorder=3, label=label, linewidths=0)


def _name_levels(ax: Any, words: Sequence[str]) -> None:
    ax.set_yticks(range(len(words)), words)
    ax.set_ylim(len(words) - 0.5, -0.5)


def _ticks(ax: Any, observed: np.ndarray) -> None:
    """Mark observed values along the bottom, in the lowest thirtieth of the axes."""
    ax.vlines(
        observed, 0, 0.035, transform=ax.get_xaxis_transform(), color=style.REFERENCE,
        linewidth=0.7, alpha=0.6,
    )  # fmt: skip
