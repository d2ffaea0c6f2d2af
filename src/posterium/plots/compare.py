"""Figures that hold methods against one another: their scores on one axis, their bands on one."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from posterium.plots import style
from posterium.plots.regression import regression_band


def score_comparison(
    scores: Mapping[str, tuple[float, float]],
    *,
    lower_is_better: bool = True,
    errors: float = 2.0,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "negative log likelihood a row (nats), lower is better",
) -> Any:
    """Draw one score of several methods, from top to bottom, each with its error.

    The best is filled, and a thin line goes down from it. Errors are those of each score alone:
    scores on the same rows go together, so methods may differ though their bars overlap. Compare
    row by row to decide.

    Parameters
    ----------
    scores
        Value and standard error of each method by name, in the order to be shown: what the
        functions of `posterium.evaluate` return. An error may be NaN, and then has no bar.
    lower_is_better
        Whether the lowest value is the best.
    errors
        Half length of the bars, in standard errors.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    value, se = np.array([tuple(score)[:2] for score in scores.values()], float).T
    if not np.isfinite(value).any():
        raise ValueError("Expected a finite score of at least one method; got none.")
    best = int(np.nanargmin(value) if lower_is_better else np.nanargmax(value))
    places = np.arange(len(value))
    ax.axvline(value[best], color=style.REFERENCE, linewidth=0.8, linestyle=":")
    ax.hlines(
        places, value - errors * np.nan_to_num(se), value + errors * np.nan_to_num(se),
        color=style.MEAN, linewidth=2,
    )  # fmt: skip
    filled = [style.MEAN if place == best else style.PAPER for place in places]
    ax.scatter(value, places, s=44, c=filled, edgecolors=style.MEAN, linewidths=1.6, zorder=3)
    ax.set_yticks(places, list(scores))
    ax.set_ylim(len(value) - 0.5, -0.5)
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=None)


def band_comparison(
    x: Any,
    predictives: Mapping[str, Any],
    *,
    data: tuple[Any, Any] | None = None,
    epistemic: bool = False,
    sds: float = 2.0,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "x",
    ylabel: str = "y",
) -> Any:
    """Draw the predictives of several methods over one another: means, and the ends of bands.

    Up to four can be told apart; for more, see `band_panels`.

    Parameters
    ----------
    x
        Inputs of the predictions, (n,) or (n, 1), in any order.
    predictives
        What `predict` returned for them, by name; or anything with `mean`, `sd` and `epistemic_sd`.
    data
        Observed inputs and targets, drawn as points.
    epistemic
        Bands without the observation noise.
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
    x = style.column(x, "x")
    order = np.argsort(x)
    if data is not None:
        style.data_points(ax, *data)
    for number, (name, found) in enumerate(predictives.items()):
        look = style.line(number)
        sd = found.epistemic_sd if epistemic else found.sd
        mean, half = style.column(found.mean, name)[order], sds * style.column(sd, name)[order]
        ax.plot(x[order], mean, linewidth=2, label=f"{name}, {sds:g} sd", **look)
        for end in (mean - half, mean + half):
            ax.plot(x[order], end, linewidth=0.9, **look)
        ax.fill_between(
            x[order], mean - half, mean + half, color=look["color"], alpha=0.08, linewidth=0
        )
    ax.set_xlim(x.min(), x.max())
    style.legend(ax)
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)


def band_panels(
    x: Any,
    predictives: Mapping[str, Any],
    *,
    data: tuple[Any, Any] | None = None,
    columns: int = 3,
    sds: float = 2.0,
    ax: Any = None,
    xlabel: str = "x",
    ylabel: str = "y",
) -> Any:
    """Draw the predictive of each method in a panel of its own, all with the same limits.

    Parameters
    ----------
    x
        Inputs of the predictions, (n,) or (n, 1), in any order.
    predictives
        What `predict` returned for them, by name; or anything with `mean`, `sd` and `epistemic_sd`.
    data
        Observed inputs and targets, drawn as points.
    columns
        Panels side by side in a new figure.
    sds
        Half width of the bands, in standard deviations.
    ax
        As many matplotlib axes as there are methods; None makes a figure.

    Returns
    -------
    numpy.ndarray
        All axes, in the order of the methods.
    """
    panels = style.panels(ax, len(predictives), columns=columns, sharey=True)
    for panel, (name, found) in zip(panels, predictives.items(), strict=True):
        regression_band(
            x, found, data=data, sds=sds, ax=panel, title=name, xlabel=xlabel,
            ylabel=ylabel if panel is panels[0] else "",
        )  # fmt: skip
    style.share_limits(panels)
    for panel in panels[:-1]:
        panel.get_legend().remove()
    style.legend_below(panels[-1], columns=2)
    return panels
