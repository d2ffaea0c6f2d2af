"""Figures of two weights: the landscape of a log density, with Gaussians and points on it."""

from typing import Any

import numpy as np

from posterium.plots import style

DEPTH = 30.0
"""Nats below the highest value that the colours reach."""
TURN = np.linspace(0, 2 * np.pi, 181)


def landscape(
    first: Any,
    second: Any,
    log_density: Any,
    *,
    gaussians: dict[str, tuple[Any, Any]] | None = None,
    points: dict[str, Any] | None = None,
    sds: tuple[float, ...] = (1, 2, 4, 6),
    depth: float = DEPTH,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "bias b",
    ylabel: str = "weight w",
) -> Any:
    """Draw a log density over two weights, with Gaussians as ellipses and weights as points.

    Parameters
    ----------
    first, second
        The values of both weights that span the grid, (a,) and (b,).
    log_density
        Log density on the grid in nats, (b, a): `numpy.meshgrid`'s order. Only differences from
        the highest value are shown.
    gaussians
        Mean (2,) and covariance (2, 2) by name. An ellipse at k sd is where the distance from the
        mean, in the metric of the covariance, is k.
    points
        Weights (2,) or (m, 2) by name.
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
    below = np.maximum(values - values.max(), -depth)
    shades = ax.contourf(
        first, second, below, levels=np.linspace(-depth, 0, 31), colors=style.density_colours(30)
    )
    bar = ax.figure.colorbar(
        shades, ax=ax, label="nats below the highest value", ticks=np.linspace(-depth, 0, 4)
    )
    bar.outline.set_visible(False)
    for number, (name, (mean, covariance)) in enumerate((gaussians or {}).items()):
        look = style.line(number)
        for distance in sds:
            label = f"{name}: {', '.join(f'{sd:g}' for sd in sds)} sd"
            ax.plot(
                *ellipse(mean, covariance, distance).T, linewidth=1.4,
                label=label if distance == sds[0] else None, **look,
            )  # fmt: skip
    for number, (name, where) in enumerate((points or {}).items()):
        at = np.atleast_2d(where)
        ax.scatter(
            at[:, 0], at[:, 1], s=42, color=style.POINTS[number % len(style.POINTS)], label=name,
            marker=style.MARKERS[number % len(style.MARKERS)], edgecolors="white", zorder=3,
        )  # fmt: skip
    ax.set_xlim(first.min(), first.max())
    ax.set_ylim(second.min(), second.max())
    ax.set_aspect("equal")
    style.legend(ax, loc="upper right")
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)


def ellipse(mean: Any, covariance: Any, distance: float) -> np.ndarray:
    """Return points (181, 2) of the ellipse at so many sd from the mean of a Gaussian."""
    circle = np.column_stack([np.cos(TURN), np.sin(TURN)])
    return np.asarray(mean) + distance * circle @ np.linalg.cholesky(np.asarray(covariance)).T
