"""Figures of uncertainty: what of it is noise, and what more data would remove."""

from typing import Any

import numpy as np

from posterium.plots import style


def aleatoric_epistemic(
    aleatoric: Any,
    epistemic: Any,
    *,
    total: Any = None,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "rows, the surest first",
    ylabel: str = "uncertainty",
) -> Any:
    """Draw both parts of every row's uncertainty, stacked, rows in the order of the whole.

    Parameters
    ----------
    aleatoric, epistemic
        Parts that add up: variances, or entropies in nats, (n,) each.
    total
        Height of each row's stack, (n,), which the parts share in proportion: standard deviations
        where the parts are variances. None for their sum.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    aleatoric = style.column(aleatoric, "aleatoric")
    epistemic = style.column(epistemic, "epistemic")
    whole = aleatoric + epistemic
    height = whole if total is None else style.column(total, "total")
    share = np.divide(aleatoric, whole, out=np.ones_like(whole), where=whole > 0)
    order = np.argsort(height, kind="stable")
    height, noise = height[order], (height * share)[order]
    rank = np.arange(len(order) + 1) / len(order)
    for low, high, color, name in (
        (np.zeros_like(noise), noise, style.ALEATORIC, "aleatoric (noise)"),
        (noise, height, style.EPISTEMIC, "epistemic (model)"),
    ):
        ax.fill_between(
            rank, np.append(low, low[-1]), np.append(high, high[-1]), step="post", color=color,
            alpha=0.75, linewidth=0, label=name,
        )  # fmt: skip
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.04 * height.max() or 1)
    ax.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
    style.legend_above(ax)
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)
