"""Figures of predicted classes: probability over one input, and over a plane."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from posterium.plots import style

LEVELS = np.linspace(0, 1, 21)


def probability_curve(
    x: Any,
    probability: dict[str, Any],
    *,
    data: tuple[Any, Any] | None = None,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "x",
) -> Any:
    """Draw the probability of class 1 over one input, one line a prediction.

    Parameters
    ----------
    x
        Inputs, (n,) or (n, 1), in any order.
    probability
        P(y = 1) at each input, (n,), by the name the legend shows.
    data
        Observed inputs and labels 0 and 1, drawn as points at these heights.
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
    for number, (name, values) in enumerate(probability.items()):
        look = style.line(number)
        ax.plot(x[order], style.column(values, name)[order], linewidth=2, label=name, **look)
    ax.axhline(0.5, color=style.REFERENCE, linewidth=0.8, linestyle=":")
    if data is not None:
        inputs, labels = style.column(data[0], "data x"), np.asarray(data[1])
        _classes(ax, inputs, labels.astype(float), labels)
    ax.set_xlim(x.min(), x.max())
    ax.set_ylim(-0.08, 1.08)
    style.legend(ax, loc="center right")
    return style.finish(ax, title=title, xlabel=xlabel, ylabel="P(y = 1)")


def decision_boundary(
    first: Any,
    second: Any,
    probability: Any,
    *,
    data: tuple[Any, Any] | None = None,
    contours: tuple[float, ...] = (0.1, 0.9),
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "x1",
    ylabel: str = "x2",
) -> Any:
    """Draw the probability of class 1 over a plane, with the boundary where it is one half.

    Parameters
    ----------
    first, second
        The values of both inputs that span the grid, (a,) and (b,).
    probability
        P(y = 1) on the grid, (b, a): `numpy.meshgrid`'s order.
    data
        Observed inputs (n, 2) and labels 0 and 1, drawn as points.
    contours
        Further probabilities to draw thin lines at: they run apart where the model is unsure.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    first, second, probability = np.asarray(first), np.asarray(second), np.asarray(probability)
    style.check_grid(first, second, probability, "probability")
    colours = ax.contourf(
        first, second, probability, levels=LEVELS, colors=style.probability_colours(len(LEVELS) - 1)
    )
    lines = ax.contour(
        first, second, probability, levels=sorted((*contours, 0.5)), colors="black",
        linewidths=[2.0 if level == 0.5 else 0.8 for level in sorted((*contours, 0.5))],
    )  # fmt: skip
    ax.clabel(lines, fmt="%g", fontsize="small")
    bar = ax.figure.colorbar(colours, ax=ax, label="P(y = 1)", ticks=np.linspace(0, 1, 6))
    bar.outline.set_visible(False)
    if data is not None:
        points = np.asarray(data[0])
        _classes(ax, points[:, 0], points[:, 1], np.asarray(data[1]))
        style.legend_below(ax)
    ax.set_xlim(first.min(), first.max())
    ax.set_ylim(second.min(), second.max())
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)


def confusion(
    counts: Any,
    names: Sequence[str],
    *,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "predicted class",
    ylabel: str = "observed class",
) -> Any:
    """Draw how many rows of each class were taken for which, shaded by the share of the class.

    Parameters
    ----------
    counts
        Rows observed as one class (first axis) and predicted as another (second), (c, c).
    names
        Of the c classes.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    counts = np.asarray(counts)
    style.check_grid(np.arange(len(names)), np.arange(len(names)), counts, "counts")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for (row, place), count in np.ndenumerate(counts):
        share = shares[row, place]
        ax.fill_between(
            [place - 0.48, place + 0.48], row - 0.48, row + 0.48, color=style.MEAN,
            alpha=0.06 + 0.94 * share, linewidth=0,
        )  # fmt: skip
        if count:
            color = style.PAPER if share > 0.5 else style.DATA
            ax.text(
                place, row, f"{count:,}", ha="center", va="center", color=color, fontsize="small"
            )
    places = range(len(names))
    turned = max(map(len, names)) * len(names) > 40
    ax.set_xticks(places, names, rotation=90 if turned else 0)
    ax.set_yticks(places, names)
    ax.set_xlim(-0.5, len(names) - 0.5)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[["left", "bottom"]].set_visible(False)
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)


def _classes(ax: Any, first: np.ndarray, second: np.ndarray, labels: np.ndarray) -> None:
    """Draw points by class, each class with a colour and a mark of its own."""
    for label in np.unique(labels):
        rows = labels == label
        ax.scatter(
            first[rows], second[rows], s=22, color=style.CLASSES[int(label)],
            marker=style.MARKERS[int(label)], edgecolors="white", linewidths=0.5, zorder=3,
            label=f"class {int(label)}",
        )  # fmt: skip
