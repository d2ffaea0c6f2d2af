"""Figures of predicted classes: probability over one input, and over a plane."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from posterium.plots import colours, style

LEVELS = np.linspace(0, 1, 21)


def probability_curve(
    x: Any,
    probability: dict[str, Any],
    *,
    bands: Mapping[str, tuple[Any, Any]] | None = None,
    data: tuple[Any, Any] | None = None,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "x",
    ylabel: str = "P(y = 1)",
) -> Any:
    """Draw the probability of a class over one input, one line a prediction.

    Parameters
    ----------
    x
        Inputs, (n,) or (n, 1), in any order.
    probability
        P(y = 1), or that of a class, at each input, (n,), by the name the legend shows.
    bands
        Lower and upper ends, (n,) each, by the name of the probability they belong to.
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
        if bands and name in bands:
            low, high = (style.column(end, name)[order] for end in bands[name])
            ax.fill_between(x[order], low, high, color=look["color"], alpha=0.2, linewidth=0)
        ax.plot(x[order], style.column(values, name)[order], linewidth=2, label=name, **look)
    ax.axhline(0.5, color=style.REFERENCE, linewidth=0.8, linestyle=":")
    if data is not None:
        inputs, labels = style.column(data[0], "data x"), np.asarray(data[1])
        style.class_points(ax, inputs, labels.astype(float), labels)
    ax.set_xlim(x.min(), x.max())
    ax.set_ylim(-0.08, 1.08)
    style.legend(ax, loc="center right")
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)


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
    ground = ax.contourf(
        first, second, probability, levels=LEVELS,
        **colours.shades(colours.probabilities(len(LEVELS) - 1), LEVELS),
    )  # fmt: skip
    levels = colours.crossed((*contours, 0.5), probability)
    if levels:
        lines = ax.contour(
            first, second, probability, levels=levels, colors="black",
            linewidths=[2.0 if level == 0.5 else 0.8 for level in levels],
        )  # fmt: skip
        ax.clabel(lines, fmt="%g", fontsize="small")
    colours.bar(ax, ground, "P(y = 1)", np.linspace(0, 1, 6))
    if data is not None:
        points = np.asarray(data[0])
        style.class_points(ax, points[:, 0], points[:, 1], data[1])
        style.legend_below(ax)
    style.show_grid(ax, first, second)
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)


def boundary_at_epochs(
    first: Any,
    second: Any,
    probability: Mapping[Any, Any],
    *,
    data: tuple[Any, Any] | None = None,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "x1",
    ylabel: str = "x2",
) -> Any:
    """Draw where the boundary was at several epochs, from pale to dark, the last one thick.

    Parameters
    ----------
    first, second
        The values of both inputs that span the grid, (a,) and (b,).
    probability
        P(y = 1) on the grid, (b, a), by epoch, in their order. At an epoch whose probabilities
        are all on one side of one half there is no line, and the legend says so.
    data
        Observed inputs (n, 2) and labels 0 and 1, drawn as points.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    first, second = np.asarray(first), np.asarray(second)
    if data is not None:
        points = np.asarray(data[0])
        style.class_points(ax, points[:, 0], points[:, 1], data[1], size=12)
    for number, (epoch, values) in enumerate(probability.items()):
        values = np.asarray(values)
        style.check_grid(first, second, values, f"probability at {epoch}")
        last = number == len(probability) - 1
        grey = 0.0 if last else 0.75 * (1 - number / (len(probability) - 1))
        look = {"color": f"{grey:.4f}", "linewidth": 2.2 if last else 1.2}
        found = colours.crossed((0.5,), values)
        if found:
            ax.contour(
                first, second, values, levels=found, colors=look["color"],
                linewidths=look["linewidth"],
            )  # fmt: skip
        ax.plot([], [], label=f"epoch {epoch}" + ("" if found else ": none"), **look)
    style.show_grid(ax, first, second)
    style.legend(ax, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)


def class_regions(
    first: Any,
    second: Any,
    probs: Any,
    *,
    data: tuple[Any, Any] | None = None,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "x1",
    ylabel: str = "x2",
) -> Any:
    """Draw which of several classes is the most probable over a plane, paler where less so.

    Parameters
    ----------
    first, second
        The values of both inputs that span the grid, (a,) and (b,), evenly spaced.
    probs
        Probability of each class on the grid, (b, a, c).
    data
        Observed inputs (n, 2) and labels 0 to c - 1, drawn as points.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    first, second, probs = np.asarray(first), np.asarray(second), np.asarray(probs)
    classes = probs.shape[-1]
    style.check_grid(first, second, probs[..., 0], "probs of a class")
    ax.pcolormesh(first, second, colours.blend(probs), shading="nearest", rasterized=True, zorder=0)
    for number in range(classes):
        lead = probs[..., number] - np.delete(probs, number, axis=-1).max(axis=-1)
        if colours.crossed((0.0,), lead):
            ax.contour(first, second, lead, levels=[0.0], colors="black", linewidths=1)
    if data is not None:
        points = np.asarray(data[0])
        style.class_points(ax, points[:, 0], points[:, 1], data[1])
        style.legend_below(ax)
    style.show_grid(ax, first, second)
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
