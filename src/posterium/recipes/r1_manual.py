"""R1.manual: lines drawn by hand with two sliders, kept, and drawn over later figures.

There is no number to meet: the demands are on what the board keeps and what the figures show.
"""

from typing import Any

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import outlier6
from posterium.plots.lines import LineBoard, Lines, draw_lines
from posterium.plots.regression import regression_band
from posterium.plots.style import figure, pyplot
from posterium.plots.weights import landscape
from posterium.recipes import plane
from posterium.recipes.runner import Outcome, close, recipe

SUMMARY = "lines by hand over outlier6 with two sliders, kept and drawn over later figures"
HAND = ((0.0, 0.0), (-1.5, -1.0), (-2.0, -2.6), (1.0, 2.0))
"""Where the sliders are moved to: bias and weight."""
TICK = 1e-6
"""How near to where it is sent a slider stands."""


def by_hand(x: np.ndarray, y: np.ndarray) -> tuple[Lines, list[bool]]:
    """Move both sliders and press the button, as the mouse does, for each line.

    Returns
    -------
    lines
        What the board kept.
    followed
        For each line whether the board showed it before it was kept.
    """
    board, followed = LineBoard(x, y), []
    for bias, weight in HAND:
        board.bias.set_val(bias)
        board.weight.set_val(weight)
        followed.append(bool(shown(board.ax, bias, weight)))
        press(board.button)
    pyplot().close(board.ax.figure)
    return board.lines, followed


def press(button: Any) -> None:
    """Press and release the mouse on a button."""
    from matplotlib.backend_bases import MouseButton, MouseEvent

    canvas = button.ax.figure.canvas
    at = button.ax.transAxes.transform((0.5, 0.5))
    for name in ("button_press_event", "button_release_event"):
        canvas.callbacks.process(name, MouseEvent(name, canvas, *at, button=MouseButton.LEFT))


def shown(ax: Any, bias: float, weight: float) -> list[Any]:
    """Return the drawn lines that are b + w x."""
    return [
        line for line in ax.lines
        if close(line.get_ydata(), bias + weight * np.asarray(line.get_xdata()), TICK)
    ]  # fmt: skip


@recipe("R1.manual", SUMMARY, fast="nothing")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Keep four lines, draw them over three figures, and look for each in every one."""
    x, y = outlier6()
    lines, followed = by_hand(x, y)
    model = ps.Model(ps.Linear(ps.Affine()), ps.Normal(3.0, scaling="none"), ps.Gaussian(1.0))
    data = ps.as_data(x, y)
    result = ps.fit(key, model, data, ps.Exact())
    grid, axis = np.linspace(-2, 2, 101)[:, None], np.linspace(-8, 8, 200)
    log_joint = plane.log_joint(model, data, axis, axis)

    def over_data(ax: Any) -> Any:
        return draw_lines(grid, lines, data=(x, y), title="Four lines by hand", ax=ax)

    def over_band(ax: Any) -> Any:
        regression_band(grid, ps.predict(key, result, grid), data=(x, y), ax=ax)
        return draw_lines(grid, lines, title="Over the exact predictive", ax=ax)

    def over_landscape(ax: Any) -> Any:
        return landscape(
            axis, axis, log_joint, gaussians={"posterior": plane.moments(result)},
            points={"lines by hand": lines.points}, title="Over the log posterior", ax=ax,
        )  # fmt: skip

    drawn = {draw: draw(figure(6, 4).subplots()) for draw in (over_data, over_band, over_landscape)}
    points = drawn[over_landscape].collections[-1].get_offsets()
    return Outcome(
        {"lines": lines.points, "log_joint": [at(model, data, *line) for line in lines.pairs]},
        {
            "the_line_follows_the_sliders": all(followed),
            "the_button_keeps_what_the_sliders_say": close(lines.points, HAND, TICK),
            **{
                f"every_line_is_drawn_{place}": all(len(shown(ax, *one)) == 1 for one in HAND)
                for place, ax in (("alone", drawn[over_data]), ("over_a_band", drawn[over_band]))
            },
            "every_line_is_a_point_of_the_landscape": close(points, HAND, TICK),
        },
        {"lines": [over_data, over_band, over_landscape]},
    )


def at(model: ps.Model, data: ps.Data, bias: float, weight: float) -> float:
    """Return the log joint of a line in nats."""
    return plane.log_joint(model, data, np.array([bias]), np.array([weight])).item()
