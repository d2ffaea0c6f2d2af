"""A fit drawn by one call: band, surface or effects, by how many inputs it has and what it says."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from posterium.model.data import Data
from posterium.plots import style
from posterium.plots.classification import class_regions, probability_curve
from posterium.plots.effects import AVERAGED, partial_dependence_panels
from posterium.plots.regression import regression_band
from posterium.plots.surfaces import mean_and_sd, probability_and_uncertainty, surface
from posterium.posterior.fit import Fit
from posterium.posterior.predict import predict
from posterium.posterior.predictive import ClassPredictive

PLACES, SIDE = 201, 60
"""Inputs along a curve, and along each side of a surface."""
BEYOND = 0.25
"""Share of the range of an input that is shown beyond it on both sides."""
PANELS = 6
"""Slices at most."""
LEVEL = 0.9
"""Probability of the band of drawn probabilities."""
Ask = Callable[[np.ndarray], Any]


def draw(
    key: jax.Array,
    fit: Fit,
    data: Any = None,
    *,
    at: Any = None,
    output: int = 0,
    draws: int | None = None,
    how: str | None = None,
    names: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """Draw what a fit predicts over its inputs, and how unsure it is.

    Of one input it is a band, or curves of the class probabilities with the middle 90 % of those
    drawn. Of two it is two surfaces: mean and epistemic sd, or the classes and the mutual
    information. Of more it is the partial dependence on each column, those that move the
    prediction most first, or with `at` slices through one row. One and two inputs are shown a
    quarter of their range beyond the rows, where the model has to say that it does not know.

    Parameters
    ----------
    key
        Typed random key, as for `predict`.
    fit
        What `fit` returned, for rows of numbers, (d,).
    data
        `Data` or a pair (x, y), drawn as points; effects are averages over their rows. None makes
        up rows within the ranges that the fit saw, and draws no points.
    at
        A row (d,): show the prediction as one column at a time leaves it.
    output
        Which target, where there are several.
    draws, how
        As for `predict`.
    names
        Of the d inputs.
    ax
        Matplotlib axes, as many as there are panels: one of one input, two of two, and one a column
        of more, six at most. None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes or numpy.ndarray
        What was drawn on; an array where there are several.

    Raises
    ------
    ValueError
        When the inputs are no rows of numbers, or `at` or `names` do not suit them.
    """
    x, y = _rows(data)
    low, high = _ends(fit, x)
    width = len(low)
    names = [*names] if names else ["x"] if width == 1 else [f"x{i + 1}" for i in range(width)]
    if len(names) != width or (at is not None and np.shape(at) != (width,)):
        raise ValueError(
            f"Expected a name, and in `at` a number, for each of {width} inputs; got {len(names)} "
            f"names and {at!r}."
        )

    def ask(rows: np.ndarray) -> Any:
        return predict(key, fit, rows, draws=draws, how=how)

    if at is not None:
        return _slices(ask, np.asarray(at, float), low, high, output, names, ax)
    if width > 2:
        rows = fit.seen.inputs(AVERAGED) if x is None and fit.seen else x
        return partial_dependence_panels(ask, rows, names, output=output, ax=ax)
    points = None if x is None or y is None else (x, y if np.ndim(y) == 1 else y[:, output])
    margin = BEYOND * (high - low)
    return (_curve if width == 1 else _surfaces)(
        ask, low - margin, high + margin, points, output, names, ax
    )


def _rows(data: Any) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return inputs and targets of the data, or None for each."""
    if data is None:
        return None, None
    x, y = (data.x, data.y) if isinstance(data, Data) else data
    x = np.asarray(x)
    return (x[:, None] if x.ndim == 1 else x), np.asarray(y)


def _ends(fit: Fit, x: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest value of each input, (d,)."""
    if x is not None:
        low, high = x.min(axis=0), x.max(axis=0)
    elif fit.seen is not None:
        low, high = fit.seen.low, fit.seen.high
    else:
        raise ValueError(
            "Expected data, since this fit does not know the ranges of its inputs; got None. "
            "Give the rows: draw(key, fit, (x, y))."
        )
    if np.ndim(low) != 1:
        raise ValueError(
            f"Expected inputs as rows of numbers, (n, d); got rows of shape {np.shape(low)}. "
            "Draw what matters of them by the other functions of posterium.plots."
        )
    return np.asarray(low, float), np.asarray(high, float)


def _curve(
    ask: Ask,
    low: np.ndarray,
    high: np.ndarray,
    points: tuple[Any, Any] | None,
    output: int,
    names: list[str],
    ax: Any,
) -> Any:
    """Draw what is predicted over one input."""
    grid = np.linspace(low, high, PLACES)
    return _along(ask(grid), grid[:, 0], points, output, names[0], style.axes(ax))


def _along(
    found: Any, x: np.ndarray, points: tuple[Any, Any] | None, output: int, name: str, ax: Any
) -> Any:
    """Draw a predictive over one input: a band, or class probabilities."""
    if not isinstance(found, ClassPredictive):
        return regression_band(x, _one_target(found, output), data=points, ax=ax, xlabel=name)
    each = np.concatenate([np.exp(b.log_probs) for b in found.components()], axis=1)
    ends = np.quantile(each, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0)
    classes = found.shape[1]
    shown = [1] if classes == 2 else range(classes)
    titles = {number: f"P(y = {number})" for number in shown}
    ax = probability_curve(
        x, {titles[c]: found.probs[:, c] for c in shown}, ax=ax, xlabel=name, ylabel="probability",
        bands={titles[c]: (ends[0, :, c], ends[1, :, c]) for c in shown},
        data=points if classes == 2 else None,
    )  # fmt: skip
    if points is not None and classes > 2:
        style.class_points(ax, points[0][:, 0], np.full(len(points[0]), -0.05), points[1], size=12)
    return ax


def _surfaces(
    ask: Ask,
    low: np.ndarray,
    high: np.ndarray,
    points: tuple[Any, Any] | None,
    output: int,
    names: list[str],
    ax: Any,
) -> np.ndarray:
    """Draw what is predicted over two inputs, and beside it what the model does not know."""
    first, second = np.linspace(low, high, SIDE).T
    found = ask(np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2))
    label = {"xlabel": names[0], "ylabel": names[1]}
    if not isinstance(found, ClassPredictive):
        one = _one_target(found, output)
        mean, sd = (part.reshape(SIDE, SIDE) for part in (one.mean, one.epistemic_sd))
        return mean_and_sd(
            first, second, mean, sd, data=points, ax=ax, sd_label="epistemic sd", **label
        )
    unsure = found.mutual_information.reshape(SIDE, SIDE)
    probs = found.probs.reshape(SIDE, SIDE, -1)
    if probs.shape[2] == 2:
        return probability_and_uncertainty(
            first, second, probs[..., 1], unsure, data=points, ax=ax, **label
        )
    left, right = panels = style.panels(ax, 2, sharex=True, sharey=True)
    class_regions(first, second, probs, data=points, ax=left, title="Most probable class", **label)
    surface(
        first, second, unsure, label="mutual information (nats)", from_zero=True, data=points,
        ax=right, title="What the model does not know", xlabel=names[0], ylabel="",
    )  # fmt: skip
    return panels


def _slices(
    ask: Ask,
    at: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    output: int,
    names: list[str],
    ax: Any,
) -> np.ndarray:
    """Draw what is predicted as one column at a time leaves a row."""
    columns = np.flatnonzero(high > low)[:PANELS]
    panels = style.panels(ax, len(columns), columns=3, sharey=True)
    for panel, column in zip(panels, columns, strict=True):
        rows = np.repeat(at[None], PLACES, axis=0)
        rows[:, column] = np.linspace(
            min(low[column], at[column]), max(high[column], at[column]), PLACES
        )
        _along(ask(rows), rows[:, column], None, output, names[column], panel)
        panel.axvline(at[column], color=style.REFERENCE, linewidth=1, linestyle=":")
    style.share_limits(panels)
    for panel in panels[:-1]:
        panel.get_legend().remove()
        if panel is not panels[0]:
            panel.set_ylabel("")
    return panels


class Target(NamedTuple):
    """What is drawn of one target: its mean, whole sd and epistemic sd, (n,) each."""

    mean: np.ndarray
    sd: np.ndarray
    epistemic_sd: np.ndarray


def _one_target(found: Any, output: int) -> Target:
    """Return what a predictive says of one target."""
    parts = (found.mean, found.sd, found.epistemic_sd)
    return Target(*(part if np.ndim(part) == 1 else part[:, output] for part in parts))
