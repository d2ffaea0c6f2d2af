"""Figures of surfaces over a plane: what is predicted, and beside it how unsure that is."""

from typing import Any

import numpy as np

from posterium.plots import colours, style
from posterium.plots.classification import decision_boundary

SHADES = 20
"""Colours of a surface."""
EVERY = 4
"""So many colours lie between two thin lines."""
POINTS_SHOWN = 2_000
"""More points than this are drawn small."""


def surface(
    first: Any,
    second: Any,
    values: Any,
    *,
    label: str = "predictive mean",
    from_zero: bool = False,
    limits: tuple[float, float] | None = None,
    data: tuple[Any, Any] | None = None,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "x1",
    ylabel: str = "x2",
) -> Any:
    """Draw numbers over a plane as colours, with a colour bar and the data on top.

    Parameters
    ----------
    first, second
        The values of both inputs that span the grid, (a,) and (b,).
    values
        Numbers on the grid, (b, a): `numpy.meshgrid`'s order.
    label
        What they are, with their unit, for the colour bar.
    from_zero
        White stands for 0 and darker for more, as suits an sd, an entropy or an information. False
        spans the values from dark to light.
    limits
        Lowest and highest value of the colours, so that surfaces can be compared; None takes those
        of the values.
    data
        Observed inputs (n, 2), and for each a class (integers or booleans: a mark a class), a
        number (filled with the colour that the surface has for it), or None for plain points.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Raises
    ------
    ValueError
        When values are not finite, or do not have the shape of the grid.
    """
    ax = style.axes(ax)
    first, second, values = np.asarray(first), np.asarray(second), np.asarray(values, float)
    style.check_grid(first, second, values, "values")
    if not np.isfinite(values).all():
        raise ValueError(
            f"values must be finite to be drawn; got {np.sum(~np.isfinite(values))} that are not. "
            "Leave that part of the plane out, or set them to a number."
        )
    levels = _levels(values, from_zero, limits)
    tones = colours.amounts(SHADES) if from_zero else colours.values(SHADES)
    look = colours.shades(tones, levels)
    shown = np.clip(values, levels[0], levels[-1])
    colours.bar(ax, ax.contourf(first, second, shown, levels=levels, **look), label)
    lines = colours.crossed(levels[EVERY::EVERY], shown)
    if lines:
        ax.contour(
            first,
            second,
            shown,
            levels=lines,
            colors="black",
            linewidths=0.5,
            alpha=0.5,
            linestyles="solid",
        )
    if data is not None:
        _points(ax, np.asarray(data[0]), data[1], {} if from_zero else look)
    style.show_grid(ax, first, second)
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)


def probability_and_uncertainty(
    first: Any,
    second: Any,
    probability: Any,
    uncertainty: Any,
    *,
    label: str = "mutual information (nats)",
    limits: tuple[float, float] | None = None,
    data: tuple[Any, Any] | None = None,
    ax: Any = None,
    titles: tuple[str, str] = ("Probability", "What the model does not know"),
    xlabel: str = "x1",
    ylabel: str = "x2",
) -> Any:
    """Draw the decision boundary on the left, and how unsure the probability is on the right.

    Parameters
    ----------
    first, second
        The values of both inputs that span the grid, (a,) and (b,).
    probability
        P(y = 1) on the grid, (b, a): `numpy.meshgrid`'s order.
    uncertainty
        Mutual information, or the sd of the probability over draws, on the grid, (b, a).
    label
        Which of them, for the colour bar.
    limits
        Lowest and highest uncertainty of the colours; None takes 0 and the highest.
    data
        Observed inputs (n, 2) and labels 0 and 1, drawn as points.
    ax
        Two matplotlib axes; None makes a figure.
    titles
        Of both.

    Returns
    -------
    numpy.ndarray
        Both axes.
    """
    left, right = panels = style.panels(ax, 2, sharex=True, sharey=True)
    named = {"data": data, "xlabel": xlabel}
    decision_boundary(first, second, probability, ax=left, title=titles[0], ylabel=ylabel, **named)
    surface(
        first, second, uncertainty, label=label, from_zero=True, limits=limits, ax=right,
        title=titles[1], ylabel="", **named,
    )  # fmt: skip
    if data is not None:
        style.legend_below(right)
    return panels


def mean_and_sd(
    first: Any,
    second: Any,
    mean: Any,
    sd: Any,
    *,
    label: str = "predictive mean",
    sd_label: str = "predictive sd",
    data: tuple[Any, Any] | None = None,
    ax: Any = None,
    titles: tuple[str, str] = ("Mean", "Standard deviation"),
    xlabel: str = "x1",
    ylabel: str = "x2",
) -> Any:
    """Draw what is predicted of a number on the left, and its sd on the right.

    Parameters
    ----------
    first, second
        The values of both inputs that span the grid, (a,) and (b,).
    mean, sd
        Of the prediction on the grid, (b, a) each: `numpy.meshgrid`'s order. The sd may be the
        whole, or a part of it.
    label, sd_label
        What they are, with their unit, for the colour bars.
    data
        Observed inputs (n, 2) and targets (n,), which are filled with the colour of their value.
    ax
        Two matplotlib axes; None makes a figure.
    titles
        Of both.

    Returns
    -------
    numpy.ndarray
        Both axes.
    """
    left, right = panels = style.panels(ax, 2, sharex=True, sharey=True)
    targets = data if data is None else (data[0], style.column(data[1], "targets").astype(float))
    surface(
        first, second, mean, label=label, data=targets, ax=left, title=titles[0], xlabel=xlabel,
        ylabel=ylabel,
    )  # fmt: skip
    surface(
        first, second, sd, label=sd_label, from_zero=True, data=targets, ax=right, title=titles[1],
        xlabel=xlabel, ylabel="",
    )  # fmt: skip
    return panels


def _levels(values: np.ndarray, from_zero: bool, limits: tuple[float, float] | None) -> np.ndarray:
    """Return the edges of the colours, (SHADES + 1,): of equal width, from lowest to highest."""
    low, high = (0.0 if from_zero else values.min(), values.max()) if limits is None else limits
    if not low < high:
        low, high = (0.0, 1.0) if from_zero and low == high == 0 else (low - 0.5, low + 0.5)
    return np.linspace(low, high, SHADES + 1)


def _points(ax: Any, x: np.ndarray, y: Any, look: dict[str, Any]) -> None:
    """Draw points by class, filled by their value where there is a look for it, or plain."""
    size = 18 if len(x) <= POINTS_SHOWN else 4
    kind = None if y is None else np.asarray(y).dtype.kind
    if kind is not None and kind in "iub":
        style.class_points(ax, x[:, 0], x[:, 1], y, size=size)
    elif kind is None or not look:
        ax.scatter(
            x[:, 0], x[:, 1], s=size / 2, color=style.DATA, edgecolors=style.PAPER, linewidths=0.3,
            zorder=3,
        )  # fmt: skip
    else:
        ax.scatter(
            x[:, 0], x[:, 1], s=size, c=np.asarray(y), edgecolors=style.DATA, linewidths=0.7,
            zorder=3, **look,
        )  # fmt: skip
