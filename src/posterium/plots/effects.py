"""Figures of effects: how the average prediction moves with one column."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from posterium.evaluate.dependence import partial_dependence
from posterium.plots import style

AVERAGED, SETTINGS, TICKS = 100, 16, 60
"""Rows that are averaged over, settings of a column, and marks of observed values, at most."""


def effect(
    values: Any,
    curves: Mapping[str, tuple[Any, Any]],
    *,
    observed: Any = None,
    sds: float = 2.0,
    ax: Any = None,
    title: str | None = None,
    xlabel: str | None = None,
    ylabel: str | None = "average prediction",
) -> Any:
    """Draw the partial dependence on one column, with a band for what the model does not know.

    Parameters
    ----------
    values
        The settings of the column: numbers (m,), drawn as lines, or texts, drawn as points.
    curves
        Average prediction and its epistemic sd at each setting, (m,) each, by name; names are
        shown when there are several.
    observed
        Values the column has in the data, drawn as ticks along the bottom.
    sds
        Half width of the bands, in standard deviations.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    words = [str(value) for value in values]
    numeric = not any(isinstance(value, str) for value in values)
    for number, (name, (mean, sd)) in enumerate(curves.items()):
        look = style.line(number)
        mean, half = np.asarray(mean, float), sds * np.asarray(sd, float)
        label = name if len(curves) > 1 else None
        if numeric:
            x = np.asarray(values, float)
            ax.fill_between(
                x, mean - half, mean + half, color=look["color"], alpha=0.22, linewidth=0
            )
            ax.plot(x, mean, linewidth=2, label=label, **look)
        else:
            _levels(ax, mean, half, number - (len(curves) - 1) / 2, look["color"], label)
    if numeric and observed is not None:
        _ticks(ax, np.asarray(observed, float))
    if not numeric:
        _name_levels(ax, words)
    return style.finish(
        ax, title=title, xlabel=xlabel if numeric else ylabel, ylabel=ylabel if numeric else xlabel
    )


def partial_dependence_panels(
    predict: Callable[[np.ndarray], Any],
    x: Any,
    names: Sequence[str],
    *,
    output: int = 0,
    most: int = 6,
    ax: Any = None,
) -> np.ndarray:
    """Draw the partial dependence on the columns that move the prediction most, these first.

    Parameters
    ----------
    predict
        Predictive distribution at rows (n, d).
    x
        Rows to average over, (n, d); of more than 100 so many are taken, evenly spaced.
    names
        Of the d columns.
    output
        Which target, where there are several; of classes all are drawn, of two the second.
    most
        Panels at most; columns that do not vary in x have none.
    ax
        As many matplotlib axes as there are panels; None makes a figure.

    Returns
    -------
    numpy.ndarray
        All axes, with the same vertical limits.
    """
    x = np.asarray(x)
    varying = np.flatnonzero(np.ptp(x, axis=0) > 0).tolist()
    if not varying:
        raise ValueError("Expected a column that varies; all of x are constant. Give more rows.")
    rows = x[np.unique(np.linspace(0, len(x) - 1, AVERAGED).round().astype(int))]
    classes = getattr(predict(rows[:1]), "probs", None)
    if classes is None:
        shown, ylabel = {"mean": output}, "average prediction"
    elif classes.shape[1] == 2:
        shown, ylabel = {"P(y = 1)": 1}, "average P(y = 1)"
    else:
        shown = {f"class {c}": c for c in range(classes.shape[1])}
        ylabel = "average probability"
    found = []
    for column in varying:
        settings = _settings(x[:, column])
        mean, sd = partial_dependence(predict, rows, column, settings)
        found.append((column, settings, {n: (mean[:, k], sd[:, k]) for n, k in shown.items()}))
    found.sort(key=lambda one: -max(np.ptp(mean) for mean, _ in one[2].values()))
    panels = style.panels(ax, min(most, len(found)), columns=3, sharey=True)
    for panel, (column, settings, curves) in zip(panels, found, strict=False):
        effect(
            settings, curves, ax=panel, xlabel=names[column],
            observed=np.unique(np.quantile(x[:, column], np.linspace(0, 1, TICKS))),
            ylabel=ylabel if panel is panels[0] else "",
        )  # fmt: skip
    style.share_limits(panels)
    style.legend(panels[0])
    return panels


def _settings(values: np.ndarray) -> np.ndarray:
    """Return what to set a column to: its values where these are few, else an even grid."""
    different = np.unique(values)
    if len(different) <= SETTINGS:
        return different
    return np.linspace(different[0], different[-1], SETTINGS)


def _levels(
    ax: Any, mean: np.ndarray, half: np.ndarray, place: float, color: str, label: str | None
) -> None:
    """Draw a point with its interval for every level, levels from top to bottom."""
    y = np.arange(len(mean)) + 0.16 * place
    ax.hlines(y, mean - half, mean + half, color=color, linewidth=2.4, alpha=0.5)
    ax.scatter(mean, y, color=color, s=26, zorder=3, label=label, linewidths=0)


def _name_levels(ax: Any, words: Sequence[str]) -> None:
    ax.set_yticks(range(len(words)), words)
    ax.set_ylim(len(words) - 0.5, -0.5)


def _ticks(ax: Any, observed: np.ndarray) -> None:
    """Mark observed values along the bottom, in the lowest thirtieth of the axes."""
    ax.vlines(
        observed, 0, 0.035, transform=ax.get_xaxis_transform(), color=style.REFERENCE,
        linewidth=0.7, alpha=0.6,
    )  # fmt: skip
