"""R1.landscape: the loss of least squares over bias and weight, with chosen points on it."""

from typing import Any

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import outlier6
from posterium.plots.style import figure
from posterium.plots.weights import loss_landscape
from posterium.recipes import plane
from posterium.recipes.r1_manual import by_hand
from posterium.recipes.runner import Outcome, close, recipe

SUMMARY = "least squares over a 200 x 200 grid of bias and weight, with lines by hand on it"
AXIS = np.linspace(-8, 8, 200)


def squares(x: np.ndarray, y: np.ndarray, bias: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return half the sum of squared residuals of lines, of the shape of bias and weight."""
    residuals = y - bias[..., None] - weight[..., None] * x[:, 0]
    return 0.5 * np.sum(residuals**2, axis=-1)


@recipe("R1.landscape", SUMMARY, fast="nothing")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Hold every value of the landscape, and its points, against NumPy."""
    x, y = outlier6()
    model = ps.Model(ps.Linear(ps.Affine()), ps.Flat(), ps.Gaussian(1.0))
    data = ps.as_data(x, y)
    loss = -plane.log_joint(model, data, AXIS, AXIS)
    constant = 0.5 * len(x) * np.log(2 * np.pi)
    expected = squares(x, y, *np.meshgrid(AXIS, AXIS)) + constant

    row, column = np.unravel_index(loss.argmin(), loss.shape)
    lowest = np.array([AXIS[column], AXIS[row]])
    best = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), y)[0]
    lines, _ = by_hand(x, y)
    bias, weight = lines.points.T
    of_lines = [-plane.log_joint(model, data, *line[:, None]).item() for line in lines.points]
    points = {"lines by hand": lines.points, "least squares": best}

    def draw(ax: Any) -> Any:
        return loss_landscape(
            AXIS, AXIS, loss, points=points, label="loss (nats)", ax=ax,
            title="Least squares on outlier6",
        )  # fmt: skip

    drawn = draw(figure(6, 4).subplots()).collections[-len(points) :]
    return Outcome(
        {"lowest_on_the_grid": lowest, "least_squares": best, "loss_of_lines": of_lines},
        {
            "loss_as_in_numpy": close(loss, expected, 1e-9),
            "lowest_within_half_a_cell": close(lowest, best, (AXIS[1] - AXIS[0]) / 2),
            "lines_as_in_numpy": close(of_lines, squares(x, y, bias, weight) + constant, 1e-9),
            "every_point_is_drawn": all(
                close(dots.get_offsets(), np.atleast_2d(at), 1e-6)
                for dots, at in zip(drawn, points.values(), strict=True)
            ),
        },
        {"landscape": draw},
    )
