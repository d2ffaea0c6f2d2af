"""The training curve: what a phase recorded, over its steps."""

from typing import Any

import numpy as np

from posterium.plots import style


def training_curve(
    records: dict[str, Any],
    *,
    reference: dict[str, float] | None = None,
    smooth: int = 1,
    log: bool = False,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "step",
    ylabel: str = "objective per row (nats)",
) -> Any:
    """Draw recorded quantities over the steps.

    Parameters
    ----------
    records
        Values over the steps by name, (t,), or (t, m) with a thin line a member.
    reference
        Values to compare with by name, drawn as dotted level lines.
    smooth
        Draw the mean of so many steps in place of each value; 1 draws all.
    log
        Logarithmic vertical axis.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    for number, (name, values) in enumerate(records.items()):
        steps, values = _smoothed(np.asarray(values), smooth)
        thin = 0.8 if values.ndim > 1 else 1.5
        lines = ax.plot(steps, values, linewidth=thin, **style.line(number))
        lines[0].set_label(name)
    for number, (name, level) in enumerate((reference or {}).items()):
        color = style.LINES[(len(records) + number) % len(style.LINES)]
        ax.axhline(level, color=color, linestyle=":", linewidth=1.5, label=name)
    if log:
        ax.set_yscale("log")
    ax.set_xlim(left=0)
    style.legend(ax)
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)


def _smoothed(values: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the last step of every full window, and the means of the windows."""
    windows = len(values) // width
    if windows == 0:
        raise ValueError(
            f"smooth must be at most the {len(values)} recorded steps; got {width}. Lower it."
        )
    means = values[: windows * width].reshape(windows, width, *values.shape[1:]).mean(axis=1)
    return width * np.arange(1, windows + 1), means
