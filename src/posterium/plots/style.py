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
POINTS = ("#E69F00", "#000000", "#56B4E9", "#F0E442")
DASHES = ("-", "--", "-.", (0, (5, 1)))
CLASSES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
BELOW = 0.45
"""Inches from the axes down to what stands under ticks and label."""
MANY = 200
"""More points than this are drawn small and pale."""
CROWD = 5_000
"""More points than this are drawn as a cloud of cells."""
CELLS = (90, 55)
"""Cells of a cloud across the figure, and up."""


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


def panels(ax: Any, count: int, *, columns: int | None = None, **options: Any) -> np.ndarray:
    """Return so many axes, (count,): those given, or new ones in a figure of their own.

    Parameters
    ----------
    ax
        As many axes as asked for, in any shape; None makes a figure.
    count
        How many.
    columns
        So many stand side by side at most; None for all.
    **options
        For new axes, as `matplotlib.pyplot.subplots` takes them.

    Raises
    ------
    ValueError
        When axes are given, but not as many.
    """
    if ax is not None:
        given = np.ravel(np.asarray(ax, object))
        if len(given) != count:
            raise ValueError(
                f"Expected {count} axes for this figure; got {len(given)}. Make them by "
                f"plt.subplots(1, {count}), or leave ax out."
            )
        return given
    down = -(-count // (columns or count))
    across = -(-count // down)
    width, height = {1: (6, 2.7), 2: (4.8, 3.8)}.get(across, (3.6, 3.0))
    sheet = pyplot().figure(figsize=(width * across, height * down), layout="constrained")
    made = np.ravel(sheet.subplots(down, across, squeeze=False, **options))
    for spare in made[count:]:
        spare.remove()
    return made[:count]


def share_limits(panels: Any) -> None:
    """Give panels the same vertical limits, those that hold what all of them show."""
    low, high = np.array([panel.get_ylim() for panel in panels]).T
    for panel in panels:
        panel.set_ylim(low.min(), high.max())


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


def legend_below(ax: Any, columns: int | None = None) -> Any:
    """Put a legend under the axes, where it hides nothing: in one row, or in so many columns."""
    from matplotlib.transforms import ScaledTranslation

    entries = len(ax.get_legend_handles_labels()[0])
    down = ScaledTranslation(0, -BELOW, ax.figure.dpi_scale_trans)
    return legend(
        ax, loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=ax.transAxes + down,
        ncols=columns or entries, frameon=False, columnspacing=1.2, handlelength=1.4,
        borderaxespad=0,
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


def data_points(ax: Any, x: Any, y: Any) -> None:
    """Draw the data as points, small and pale ones beyond 200, as a cloud beyond 5,000."""
    x, y = column(x, "data x"), column(y, "data y")
    if len(x) > CROWD:
        _cloud(ax, x, y)
        return
    look = {"s": 3, "alpha": 0.4, "linewidths": 0} if len(x) > MANY else {"s": 26}
    ax.scatter(x, y, color=DATA, zorder=3, label="data", **look)


def _cloud(ax: Any, x: np.ndarray, y: np.ndarray) -> None:
    """Draw points as cells, darker the more there are, under everything else."""
    from matplotlib.colors import ListedColormap

    greys = ListedColormap(np.linspace(0.93, 0.62, 64)[:, None].repeat(3, axis=1))
    ax.hexbin(
        x, y, gridsize=CELLS, mincnt=1, bins="log", cmap=greys, linewidths=0.2, zorder=0.5,
        rasterized=True,
    )  # fmt: skip
    ax.scatter([], [], marker="h", s=40, color="0.75", label=f"data: {len(x):,}, darker is more")


def class_points(ax: Any, first: Any, second: Any, labels: Any, *, size: float = 22) -> None:
    """Draw points by class, each class with a colour and a mark of its own."""
    first, second, labels = np.asarray(first), np.asarray(second), np.asarray(labels)
    for label in np.unique(labels):
        rows, number = labels == label, int(label)
        ax.scatter(
            first[rows], second[rows], s=size, color=CLASSES[number % len(CLASSES)],
            marker=MARKERS[number % len(MARKERS)], edgecolors=PAPER, linewidths=0.5, zorder=3,
            label=f"class {number}",
        )  # fmt: skip


def check_grid(first: np.ndarray, second: np.ndarray, values: np.ndarray, name: str) -> None:
    """Refuse values that do not have a row for each second and a column for each first number."""
    if values.shape != (second.size, first.size):
        raise ValueError(
            f"{name} must have shape {(second.size, first.size)}, rows for the second axis; got "
            f"{values.shape}. Use the order of numpy.meshgrid(first, second)."
        )


def show_grid(ax: Any, first: np.ndarray, second: np.ndarray) -> None:
    """Show the grid that two axes span, and no more."""
    ax.set_xlim(first.min(), first.max())
    ax.set_ylim(second.min(), second.max())


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
