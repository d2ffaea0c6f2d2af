"""Lines drawn by hand: two sliders, bias and weight, and what one keeps, drawn over any figure.

A line is f(x) = b + w x. Kept lines are points in the plane of both weights, so the same record
goes over data, here, and over a landscape, as its `points`.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from posterium.plots import style

REACH = 5.0
"""Sliders go so far from 0 on both sides."""
NUMBERED = 9
"""So many lines at most are told apart in a legend."""


@dataclass
class Lines:
    """Lines that were kept, in their order, as pairs of bias and weight.

    Parameters
    ----------
    pairs
        Bias b and weight w of each line, of f(x) = b + w x.

    Examples
    --------
    >>> lines = Lines()
    >>> lines.keep(-1.5, 0.5)
    >>> lines.points, lines([0.0, 2.0])
    (array([[-1.5,  0.5]]), array([[-1.5, -0.5]]))
    """

    pairs: list[tuple[float, float]] = field(default_factory=list)

    def __len__(self) -> int:
        """Return how many were kept."""
        return len(self.pairs)

    def __call__(self, x: Any) -> np.ndarray:
        """Return the height of every line at inputs x (n,) or (n, 1), as (m, n)."""
        points = self.points
        return points[:, :1] + points[:, 1:] * style.column(x, "x")

    def keep(self, bias: float, weight: float) -> None:
        """Add a line."""
        if not (np.isfinite(bias) and np.isfinite(weight)):
            raise ValueError(
                f"Expected finite numbers as bias and weight; got {bias} and {weight}."
            )
        self.pairs.append((float(bias), float(weight)))

    @property
    def points(self) -> np.ndarray:
        """Bias and weight of each line, (m, 2)."""
        return np.array(self.pairs, float).reshape(-1, 2)


def draw_lines(
    x: Any,
    lines: Lines,
    *,
    data: tuple[Any, Any] | None = None,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "x",
    ylabel: str = "y",
) -> Any:
    """Draw kept lines over whatever the axes show, with a number each.

    Parameters
    ----------
    x
        Inputs over whose range, and a little more, the lines run: (n,) or (n, 1), in any order.
    lines
        What was kept.
    data
        Observed inputs and targets, drawn as points.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    x = style.column(x, "x")
    ends = np.array(style.padded((x,), 0.05))
    several = len(lines) <= NUMBERED
    for number, heights in enumerate(lines(ends)):
        name = f"line {number + 1}" if several else "lines by hand"
        look = style.line(number + 1) if several else {"color": style.REFERENCE}  # 0 is a mean
        label = name if several or number == 0 else None
        ax.plot(ends, heights, linewidth=1.4 if several else 0.9, label=label, **look)
    if data is not None:
        style.data_points(ax, *data)
    ax.set_xlim(*ends)
    style.legend(ax)
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)


class LineBoard:
    """A figure with two sliders, a line that follows them, and a button that keeps it.

    It works in a window and in a notebook with an interactive backend (`%matplotlib widget`). Hold
    the board as long as the figure is used: sliders that nothing holds stand still.

    Parameters
    ----------
    x, y
        Observed inputs and targets, (n,) or (n, 1) each.
    lines
        Where kept lines go; None begins a new record.
    reach
        Sliders go from -reach to reach.

    Attributes
    ----------
    lines
        What was kept.
    ax
        Axes with the data and the lines.
    bias, weight
        The sliders: `set_val` moves one as the mouse does.
    button
        Keeps the line as it stands.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        *,
        lines: Lines | None = None,
        reach: float = REACH,
        title: str | None = "Move the line, keep those that you believe",
    ) -> None:
        figure = style.pyplot().figure(figsize=(6, 5), layout="none")
        from matplotlib.widgets import Button, Slider

        self.lines = Lines() if lines is None else lines
        x, y = style.column(x, "x"), style.column(y, "y")
        margin = 0.1 * np.ptp(x)
        self._ends = np.array([x.min() - margin, x.max() + margin])
        self.ax = figure.add_axes((0.12, 0.32, 0.85, 0.6))
        style.data_points(self.ax, x, y)
        (self._line,) = self.ax.plot(self._ends, [0, 0], color=style.MEAN, linewidth=2)
        self._kept: list[Any] = []
        self.ax.set_xlim(*self._ends)
        self.ax.set_ylim(*style.padded((y, np.array([-reach, reach])), 0.1))
        style.finish(self.ax, title=title, xlabel="x", ylabel="y")
        self.bias, self.weight = (
            Slider(
                figure.add_axes((0.2, place, 0.55, 0.04)),
                name,
                -reach,
                reach,
                valinit=0.0,
                color=style.MEAN,
                initcolor="none",
            )
            for name, place in (("bias b", 0.14), ("weight w", 0.06))
        )
        self.button = Button(figure.add_axes((0.86, 0.07, 0.11, 0.1)), "keep")
        for slider in (self.bias, self.weight):
            slider.on_changed(lambda value: self._follow())
        self.button.on_clicked(lambda event: self.keep())
        self._follow()
        self._show()

    def keep(self) -> None:
        """Keep the line as it stands, and draw it thin from now on."""
        self.lines.keep(self.bias.val, self.weight.val)
        self._show()

    def _follow(self) -> None:
        """Put the line where the sliders say."""
        self._line.set_ydata(self.bias.val + self.weight.val * self._ends)
        self.ax.figure.canvas.draw_idle()

    def _show(self) -> None:
        """Draw the kept lines that are not drawn yet."""
        for heights in self.lines(self._ends)[len(self._kept) :]:
            self._kept += self.ax.plot(self._ends, heights, color=style.REFERENCE, linewidth=0.9)
        self.ax.figure.canvas.draw_idle()
