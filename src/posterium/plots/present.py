"""The figure of a fit that is still running: predictions where there is a picture, else a curve."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from posterium.driver.watch import Report
from posterium.model.data import Data
from posterium.plots.classification import decision_boundary, probability_curve
from posterium.plots.regression import regression_band
from posterium.plots.training import training_curve
from posterium.posterior.fit import Fit
from posterium.posterior.predict import predict

MARGIN = 0.5
"""How far beyond the data predictions are drawn, in widths of the data's range."""
POINTS, SIDE = 200, 60
"""Inputs along a curve, and along each side of a plane."""
TERMS = ("objective", "log_joint")
"""Records that make a training curve."""
POINTS_OF_CURVE = 500
"""Points of a training curve at most: each is the mean of so many steps that this is kept."""


def draw_present(ax: Any, report: Report) -> bool:
    """Draw what suits the data and the fit as it stands; say whether there was anything to draw.

    Parameters
    ----------
    ax
        Matplotlib axes.
    report
        What a callback got.
    """
    data = report.data
    if isinstance(data, Data) and (draw := _drawer(data)) is not None:
        fit = report.fit()
        if fit is not None:
            draw(ax, fit, data)
            return True
    record = report.record()
    name = next((name for name in TERMS if len(record.get(name, ()))), None)
    if name is None:
        return False
    values = record[name].reshape(len(record[name]), -1)
    values = np.where(np.isfinite(values), values, np.nan)
    label = "objective per row (nats)" if name == "objective" else "log joint (nats)"
    training_curve({name: values}, smooth=-(-len(values) // POINTS_OF_CURVE), ax=ax, ylabel=label)
    ax.get_legend().remove()
    return True


def _drawer(data: Data) -> Callable[[Any, Fit, Data], None] | None:
    """Return what draws predictions for such data, or None where there is no picture of them."""
    inputs = data.x.shape[1] if data.x.ndim == 2 else 0
    if np.issubdtype(data.y.dtype, np.floating):
        return _draw_band if inputs == 1 and data.y.shape[1] == 1 else None
    if np.max(data.y) > 1:
        return None
    return {1: _draw_curve, 2: _draw_boundary}.get(inputs)


def _draw_band(ax: Any, fit: Fit, data: Data) -> None:
    """Draw the predictive over one input, whose scale is that of the data throughout."""
    x = _around(data.x[:, 0], POINTS)
    found = _predicted(fit, x[:, None])
    regression_band(x, found, data=(data.x, data.y), ax=ax)
    low, high = data.y.min(), data.y.max()
    ax.set_ylim(low - MARGIN * (high - low or 1), high + MARGIN * (high - low or 1))


def _draw_curve(ax: Any, fit: Fit, data: Data) -> None:
    """Draw the probability of class 1 over one input."""
    x = _around(data.x[:, 0], POINTS)
    found = _predicted(fit, x[:, None])
    probability_curve(x, {"P(y = 1)": found.probs[:, 1]}, data=(data.x, data.y), ax=ax)


def _draw_boundary(ax: Any, fit: Fit, data: Data) -> None:
    """Draw the probability of class 1 over two inputs."""
    first, second = (_around(column, SIDE) for column in np.asarray(data.x).T)
    grid = np.stack(np.meshgrid(first, second), axis=-1)
    found = _predicted(fit, grid.reshape(-1, 2))
    probability = found.probs[:, 1].reshape(grid.shape[:2])
    decision_boundary(first, second, probability, data=(data.x, data.y), ax=ax)


def _predicted(fit: Fit, x: np.ndarray) -> Any:
    """Predict by the same key at every time, so that what moves is the fit."""
    return predict(jax.random.key(0), fit, x)


def _around(values: np.ndarray, count: int) -> np.ndarray:
    """Return so many numbers over the range of some, and beyond on both sides."""
    low, high = float(values.min()), float(values.max())
    margin = MARGIN * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, count)
