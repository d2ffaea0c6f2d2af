"""Selective prediction: how good predictions are when the least sure are left to someone else."""

from collections.abc import Mapping
from typing import Any

from posterium.evaluate.scores import selective
from posterium.plots import style

FIRST = 0.05
"""Share of the rows from which on curves are drawn: of fewer the mean loss says little."""


def risk_coverage(
    answers: Mapping[str, tuple[Any, Any]],
    *,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "share of rows that are answered, the surest first",
    ylabel: str = "mean loss of these rows",
) -> Any:
    """Draw the mean loss of the rows that are kept, over the share that is kept.

    An uncertainty that knows where errors are makes the curve rise to the right, up to the mean
    loss of all rows. The level line is that of rows kept by chance; the dotted curve is what the
    losses themselves would allow, the best there is.

    Parameters
    ----------
    answers
        Uncertainty and loss of each row, (n,) each, by the name the legend shows: entropies and
        whether the label was wrong, or predictive sds and squared errors.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    for number, (name, (uncertainty, loss)) in enumerate(answers.items()):
        look = style.line(number)
        uncertainty, loss = style.column(uncertainty, "uncertainty"), style.column(loss, "loss")
        kept, risk, _ = selective.risk_coverage(uncertainty, loss)
        best = selective.risk_coverage(loss, loss).risk
        shown = kept >= FIRST
        ax.plot(kept[shown], risk[shown], linewidth=2, label=name, **look)
        thin = {"color": look["color"], "linewidth": 1}
        last = number == len(answers) - 1
        named = ("losses themselves", "chance") if last else (None, None)
        ax.plot(kept[shown], best[shown], linestyle=":", label=named[0], **thin)
        ax.axhline(risk[-1], linestyle=(0, (1, 3)), label=named[1], **thin)
    ax.set_xlim(0, 1)
    ax.set_ylim(bottom=0)
    style.legend(ax)
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)
