"""The temperature curve: how well a method predicts held-out rows, colder and warmer."""

from typing import Any

import numpy as np

from posterium.plots import style


def temperature_curve(curve: Any, *, ax: Any = None, title: str | None = None) -> Any:
    """Draw what each temperature gains over the posterior itself, T = 1.

    Parameters
    ----------
    curve
        What `cold_posterior_curve` returned.
    ax
        Matplotlib axes; None makes a figure.
    title
        Title of the axes.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    gain, error = np.asarray(curve.difference), np.asarray(curve.difference_error)
    color = style.LINES[0]
    ax.axhline(0, color=style.DATA, linewidth=0.8)
    ax.errorbar(
        curve.temperatures, gain, 2 * error, color=color, marker="o", capsize=3, label="2 se"
    )
    ax.set_xscale("log")
    style.legend(ax)
    return style.finish(
        ax, title=title, xlabel="temperature", ylabel="log density a row, less that at T = 1 (nats)"
    )
