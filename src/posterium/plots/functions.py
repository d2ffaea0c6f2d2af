"""Figures of drawn functions of one input: what a prior, or a posterior, takes for likely."""

from typing import Any

import numpy as np

from posterium.plots import style

LEVELS = (0.9, 0.5)


def drawn(predictive: Any, *, count: int | None = None, output: int = 0) -> np.ndarray:
    """Return the functions of a predictive by draws, (s, n): the means of one target.

    Parameters
    ----------
    predictive
        What `predict(..., how="draws")` or `prior_predictive` returned; of a regression.
    count
        Of the first so many draws; None for all.
    output
        Which target.

    Raises
    ------
    ValueError
        Where the prediction is in closed form, so that no function was drawn.
    """
    blocks = [np.asarray(block.mean) for block in predictive.components()]
    functions = np.concatenate(blocks, axis=1)[:count, :, output]
    if len(functions) < 2 and count != 1:
        raise ValueError(
            f"Expected a predictive by draws, to have functions; got {len(functions)} of them. "
            "Predict with how='draws', draws=100."
        )
    return functions


def function_draws(
    x: Any,
    predictive: Any,
    *,
    shown: int = 10,
    output: int = 0,
    data: tuple[Any, Any] | None = None,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "x",
    ylabel: str = "f(x)",
) -> Any:
    """Draw functions of one input as lines, and the middle 50 and 90 % of all as bands.

    Parameters
    ----------
    x
        Inputs of the predictions, (n,) or (n, 1), in any order.
    predictive
        What `predict` or `prior_predictive` returned for them, by draws; of a regression.
    shown
        How many functions are lines.
    output
        Which target.
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
    order = np.argsort(x)
    x, functions = x[order], drawn(predictive, output=output)[:, order]
    for level in LEVELS:
        low, high = np.quantile(functions, [0.5 - level / 2, 0.5 + level / 2], axis=0)
        ax.fill_between(
            x,
            low,
            high,
            color=style.EPISTEMIC,
            alpha=0.18,
            linewidth=0,
            label=f"middle {level:.0%}",
        )
    for number, line in enumerate(functions[:shown]):
        ax.plot(x, line, linewidth=1, color=style.LINES[number % len(style.LINES)])
    if data is not None:
        style.data_points(ax, *data)
    ax.set_xlim(x[0], x[-1])
    style.legend(ax, loc="upper left")
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)
