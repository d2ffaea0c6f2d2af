"""The look that all figures share: colours that colour-blind readers tell apart, and axes.

Colours are those of Okabe and Ito (2008). One meaning, one colour, in every figure.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

DATA = "#000000"
PAPER = "#ffffff"
MEAN = "#0072B2"
EPISTEMIC = "#0072B2"
ALEATORIC = "#E69F00"
REFERENCE = "#777777"
MISS = "#D55E00"
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000")
POINTS = ("#E69F00", "#009E73", "#CC79A7", "#000000")
DASHES = ("-", "--", "-.", (0, (5, 1)))
CLASSES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
PALE = 0.75
"""How much of its strength a colour keeps as the ground that points and lines are drawn on."""


def axes(ax: Any) -> Any:
    """Return the axes given, or new ones in a figure of their own.

    Raises
    ------
    ImportError
        When matplotlib is not installed.
    """
    if ax is not None:
        return ax
    return pyplot().subplots(figsize=(6, 4), layout="constrained")[1]


def pyplot() -> Any:
    """Return matplotlib's pyplot, or say how to install it."""
    try:
        from matplotlib import pyplot as module
    except ImportError as error:
        raise ImportError(
            "Figures need matplotlib, which is not installed. Install the extra: "
            'pip install "posterium[plots]".'
        ) from error
    return module


def line(number: int) -> dict[str, Any]:
    """Return colour and dashes of line number so and so: a pair of its own for the first 20."""
    return {"color": LINES[number % len(LINES)], "linestyle": DASHES[number % len(DASHES)]}


def finish(ax: Any, *, title: str | None, xlabel: str | None, ylabel: str | None) -> Any:
    """Write title and labels, thin the frame, and return the axes."""
    if title:
        ax.set_title(title, fontsize="medium")
    if xlabel:
        ax.set_xlabel(xlabel)
    if ylabel:
        ax.set_ylabel(ylabel)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def legend(ax: Any, **options: Any) -> Any:
    """Put a legend where it hides least, on a pale ground; nothing when nothing has a label."""
    handles, labels = ax.get_legend_handles_labels()
    if not handles:
        return None
    return ax.legend(handles, labels, fontsize="small", framealpha=0.85, **options)


def legend_below(ax: Any) -> Any:
    """Put a legend in one row under the axes, where it hides nothing."""
    entries = len(ax.get_legend_handles_labels()[0])
    return legend(
        ax, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=entries, frameon=False,
        columnspacing=1.2, handlelength=1.4, borderaxespad=0,
    )  # fmt: skip


def legend_above(ax: Any) -> Any:
    """Put a legend in one row above the axes, where it hides nothing."""
    entries = len(ax.get_legend_handles_labels()[0])
    return legend(
        ax, loc="lower left", bbox_to_anchor=(0, 1), ncols=entries, frameon=False,
        columnspacing=1.4, handlelength=1.4, borderaxespad=0.2,
    )  # fmt: skip


def short(text: str, limit: int = 28) -> str:
    """Return a name cut in the middle to at most so many characters."""
    if len(text) <= limit:
        return text
    head = limit // 2
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def column(values: Any, name: str) -> np.ndarray:
    """Return numbers as one column (n,): a vector, or a matrix of one column.

    Raises
    ------
    ValueError
        When there is more than one column.
    """
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(
            f"{name} must be one column, (n,) or (n, 1); got shape {array.shape}. "
            "Draw one column at a time."
        )
    return array


def data_points(ax: Any, x: Any, y: Any, *, dense: bool = False) -> None:
    """Draw the data as points; small and pale ones where they are dense."""
    x, y = column(x, "data x"), column(y, "data y")
    look = {"s": 3, "alpha": 0.4, "linewidths": 0} if dense else {"s": 26}
    ax.scatter(x, y, color=DATA, zorder=3, label="data", **look)


def probability_colours(count: int) -> np.ndarray:
    """Return colours (count, 3) from class 0 over white to class 1: pale blue to pale red."""
    pyplot()
    from matplotlib import colormaps

    strong = colormaps["RdBu_r"]((np.arange(count) + 0.5) / count)[:, :3]
    return 1 - PALE * (1 - strong)


def density_colours(count: int) -> list[str]:
    """Return greys from white to a middle grey, on which lines still show."""
    return [f"{level:.4f}" for level in np.linspace(1, 1 - PALE * 0.75, count)]


def check_grid(first: np.ndarray, second: np.ndarray, values: np.ndarray, name: str) -> None:
    """Refuse values that do not have a row for each second and a column for each first number."""
    if values.shape != (second.size, first.size):
        raise ValueError(
            f"{name} must have shape {(second.size, first.size)}, rows for the second axis; got "
            f"{values.shape}. Use the order of numpy.meshgrid(first, second)."
        )


def padded(values: Iterable[np.ndarray], share: float = 0.04) -> tuple[float, float]:
    """Return limits around all values with a margin on both sides."""
    every = np.concatenate([np.ravel(v) for v in values])
    low, high = float(every.min()), float(every.max())
    margin = share * (high - low) or 1.0
    return low - margin, high + margin


def figure(width: float, height: float) -> Any:
    """Return an empty figure, in inches, that no window shows and nothing keeps alive."""
    pyplot()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
