"""Figures of two weights: landscapes of a log density or a loss, with what was found on them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from posterium.plots import colours, style

DEPTH = 30.0
"""Nats below the highest value that the colours reach."""
SHADES = 30
"""Colours of a landscape."""
TURN = np.linspace(0, 2 * np.pi, 181)
Gaussians = Mapping[str, tuple[Any, Any]]
Points = Mapping[str, Any]


def landscape(
    first: Any,
    second: Any,
    log_density: Any,
    *,
    gaussians: Gaussians | None = None,
    points: Points | None = None,
    samples: Points | None = None,
    sds: tuple[float, ...] = (1, 2, 4, 6),
    depth: float = DEPTH,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "bias b",
    ylabel: str = "weight w",
) -> Any:
    """Draw a log density over two weights, with Gaussians as ellipses, points and samples.

    Parameters
    ----------
    first, second
        The values of both weights that span the grid, (a,) and (b,).
    log_density
        Log density on the grid in nats, (b, a): `numpy.meshgrid`'s order. Only differences from
        the highest value are shown.
    gaussians
        Mean (2,) and covariance (2, 2) by name: prior and posterior, or several posteriors. An
        ellipse at k sd is where the distance from the mean, in the metric of the covariance, is k.
    points
        Weights (2,) or (m, 2) by name, drawn as marks: modes, means, lines drawn by hand.
    samples
        Weights (s, 2) by name, drawn as dots: draws. Where a Gaussian has the same name they have
        its colour.
    sds
        Distances of the ellipses of every Gaussian.
    depth
        How many nats below the highest value the colours reach.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    first, second, values = np.asarray(first), np.asarray(second), np.asarray(log_density)
    style.check_grid(first, second, values, "log_density")
    below, levels = np.maximum(values - values.max(), -depth), np.linspace(-depth, 0, SHADES + 1)
    look = colours.shades(colours.densities(SHADES), levels)
    ground = ax.contourf(first, second, below, levels=levels, **look)
    colours.bar(ax, ground, "nats below the highest value", np.linspace(-depth, 0, 4))
    _dots(ax, samples or {}, list(gaussians or {}))
    _ellipses(ax, gaussians or {}, sds)
    _marks(ax, points or {})
    return _framed(ax, first, second, title, xlabel, ylabel)


def loss_landscape(
    first: Any,
    second: Any,
    loss: Any,
    *,
    points: Points | None = None,
    paths: Points | None = None,
    samples: Points | None = None,
    highest: float | None = None,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "bias b",
    ylabel: str = "weight w",
    label: str = "loss",
) -> Any:
    """Draw a loss over two weights, with the weights that were chosen, and the ways to them.

    Colours are even in the square root of the loss above its lowest value, so that the rings of a
    square loss are equally far apart.

    Parameters
    ----------
    first, second
        The values of both weights that span the grid, (a,) and (b,).
    loss
        Loss on the grid, (b, a): `numpy.meshgrid`'s order.
    points
        Weights (2,) or (m, 2) by name, drawn as marks: the optimum, lines drawn by hand.
    paths
        Weights (t, 2) by name, step after step, drawn as lines that begin with a dot.
    samples
        Weights (s, 2) by name, drawn as dots.
    highest
        Loss that the colours reach; None for the highest on the grid.
    ax
        Matplotlib axes; None makes a figure.
    label
        What the loss is, with its unit, for the colour bar.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    first, second, values = np.asarray(first), np.asarray(second), np.asarray(loss)
    style.check_grid(first, second, values, "loss")
    lowest, top = float(values.min()), float(values.max() if highest is None else highest)
    if not lowest < top:
        raise ValueError(
            f"highest must be above the lowest loss, {lowest:g}; got {top:g}. Raise it, or draw a "
            "part of the plane where the loss is not the same everywhere."
        )
    levels = lowest + (top - lowest) * np.linspace(0, 1, SHADES + 1) ** 2
    look = colours.shades(colours.densities(SHADES)[::-1], levels)
    shown = np.minimum(values, top)
    ground = ax.contourf(first, second, shown, levels=levels, **look)
    bar = colours.bar(ax, ground, label, levels[::6])
    bar.ax.set_yticklabels([f"{level:.3g}" for level in levels[::6]])
    lines = colours.crossed(levels[3::3], shown)
    ax.contour(
        first, second, shown, levels=lines, colors=style.REFERENCE, linewidths=0.5, alpha=0.7
    )
    _dots(ax, samples or {}, [])
    for number, (name, way) in enumerate((paths or {}).items()):
        way, look = np.asarray(way, float), style.line(number)
        ax.plot(way[:, 0], way[:, 1], linewidth=1.4, label=name, **look)
        ax.scatter(*way[0], s=16, color=look["color"], zorder=3)
    _marks(ax, points or {})
    return _framed(ax, first, second, title, xlabel, ylabel)


def ellipse(mean: Any, covariance: Any, distance: float) -> np.ndarray:
    """Return points (181, 2) of the ellipse at so many sd from the mean of a Gaussian."""
    circle = np.column_stack([np.cos(TURN), np.sin(TURN)])
    return np.asarray(mean) + distance * circle @ np.linalg.cholesky(np.asarray(covariance)).T


def _ellipses(ax: Any, gaussians: Gaussians, sds: tuple[float, ...]) -> None:
    """Draw the ellipses of every Gaussian with one entry in the legend."""
    for number, (name, (mean, covariance)) in enumerate(gaussians.items()):
        look = style.line(number)
        for distance in sds:
            label = f"{name}: {', '.join(f'{sd:g}' for sd in sds)} sd"
            ax.plot(
                *ellipse(mean, covariance, distance).T, linewidth=1.4,
                label=label if distance == sds[0] else None, **look,
            )  # fmt: skip


def _dots(ax: Any, samples: Points, gaussians: list[str]) -> None:
    """Draw samples as dots, in the colour of the Gaussian of their name where there is one."""
    for number, (name, where) in enumerate(samples.items()):
        at = _pairs(where, name)
        place = gaussians.index(name) if name in gaussians else len(gaussians) + number
        ax.scatter(
            at[:, 0], at[:, 1], s=9, color=style.line(place)["color"], alpha=0.55, linewidths=0,
            label=f"{name}: {len(at):,} draws",
        )  # fmt: skip


def _marks(ax: Any, points: Points) -> None:
    """Draw points, each name with a colour and a mark of its own."""
    for number, (name, where) in enumerate(points.items()):
        at = _pairs(where, name)
        ax.scatter(
            at[:, 0], at[:, 1], s=42, color=style.POINTS[number % len(style.POINTS)], label=name,
            marker=style.MARKERS[number % len(style.MARKERS)], edgecolors="white", zorder=3,
        )  # fmt: skip


def _pairs(where: Any, name: str) -> np.ndarray:
    """Return weights as pairs, (m, 2)."""
    at = np.atleast_2d(np.asarray(where, float))
    if at.ndim != 2 or (at.size and at.shape[1] != 2):
        raise ValueError(
            f"{name!r} must be pairs of both weights, (2,) or (m, 2); got shape {np.shape(where)}. "
            "Choose two weights."
        )
    return at.reshape(-1, 2)


def _framed(
    ax: Any,
    first: np.ndarray,
    second: np.ndarray,
    title: str | None,
    xlabel: str,
    ylabel: str,
) -> Any:
    """Show the grid with equal units on both axes, and the legend."""
    style.show_grid(ax, first, second)
    ax.set_aspect("equal")
    style.legend(ax, loc="upper right")
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)
