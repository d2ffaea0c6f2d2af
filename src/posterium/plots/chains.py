"""Figures of chains in function space: what each predicts, draw by draw, and how they are ranked.

Weights of a network can change places without any change of the function; what chains must agree
on are predictions, so these are what is drawn.
"""

from typing import Any

import jax
import numpy as np
from scipy.stats import rankdata

from posterium.evaluate import calibration, mixing
from posterium.evaluate import draws as by_draw
from posterium.plots import style
from posterium.posterior.fit import Fit

LEAST_DRAWS = 4
MOST_BINS = 20
TALL = 0.9
"""Of the height of a chain's row, the height of its highest bar at most."""


def trace(
    values: Any,
    *,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "draw",
    ylabel: str = "value",
) -> Any:
    """Draw what chains say, draw by draw, a line a chain: they should look alike, without trend.

    Parameters
    ----------
    values
        One quantity under every draw, (c, s) for c chains: a prediction at one input, see
        `probe_values`, or a log density.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax, values = style.axes(ax), _chains(values)
    steps = np.arange(1, values.shape[1] + 1)
    for number, chain in enumerate(values):
        color = style.LINES[number % len(style.LINES)]
        ax.plot(steps, chain, color=color, linewidth=0.7, alpha=0.8, label=f"chain {number + 1}")
    ax.set_xlim(1, values.shape[1])
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)


def ranks(
    values: Any,
    *,
    bins: int | None = None,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "rank among the draws of all chains",
) -> Any:
    """Draw how the draws of each chain rank among all, a row of bars a chain: flat where they mix.

    A chain whose bars lean to one side is lower or higher than the others, one with a hump is
    narrower. The grey band is where 95 % of bars lie by chance, for as many independent draws as
    the chain is worth by itself (its bulk effective sample size).

    Parameters
    ----------
    values
        One quantity under every draw, (c, s) for c chains.
    bins
        Number of bins; None for as many as the draws of a chain fill, 20 at most.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Notes
    -----
    Rank plots are those of vehtari2021, section 5.
    """
    ax, values = style.axes(ax), _chains(values)
    chains, each = values.shape
    bins = bins or calibration.bins_for(each, MOST_BINS)
    edges = np.linspace(0, values.size, bins + 1)
    placed = rankdata(values).reshape(values.shape) - 0.5
    shares = np.stack([np.histogram(chain, edges)[0] for chain in placed]) * bins / each
    even = TALL / max(2.0, shares.max())
    for number, share in enumerate(shares):
        independent = np.nan_to_num(mixing.ess_bulk(values[number : number + 1]))
        half = calibration.Z * np.sqrt((bins - 1) / max(float(independent), 1.0))
        floor, color = -float(number), style.LINES[number % len(style.LINES)]
        low, high = (floor + even * np.clip(1 + side * half, 0, 2) for side in (-1, 1))
        ax.fill_between([0, values.size], low, high, color=style.REFERENCE, alpha=0.2, linewidth=0)
        ax.bar(
            edges[:-1], even * share, np.diff(edges), bottom=floor, align="edge", color=color,
            alpha=0.75, edgecolor=style.PAPER, linewidth=0.6,
        )  # fmt: skip
        ax.plot([0, values.size], [floor + even] * 2, color=style.DATA, lw=0.7, ls="--")
    names = [f"chain {number + 1}" for number in range(chains)]
    ax.set_yticks(even - np.arange(chains), names)
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(0, values.size)
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=None)


def trace_and_ranks(key: jax.Array, fit: Fit, x: Any, *, draws: int = 100, ax: Any = None) -> Any:
    """Draw trace and ranks of what a fit predicts at some inputs, a row of two panels each.

    Titles on the right say R-hat and the bulk effective sample size of each prediction.

    Parameters
    ----------
    key
        Typed random key, for draws of a posterior that has no draws of its own.
    fit
        What `fit` returned: by a sampler, or a mixture, whose members take the place of chains.
    x
        Inputs to look at, (q, ...): few.
    draws
        Draws of each member of a mixture; those of a sampler are all taken.
    ax
        Two matplotlib axes a prediction; None makes a figure.

    Returns
    -------
    numpy.ndarray
        All axes, trace and ranks by turns.
    """
    found = probe_values(key, fit, x, draws=draws)
    panels = style.panels(ax, 2 * len(found), columns=2)
    for (name, values), left, right in zip(found.items(), panels[::2], panels[1::2], strict=True):
        trace(values, ax=left, ylabel=name)
        said = mixing.summary(values[:, :, None])
        ranks(
            values, ax=right,
            title=f"R-hat {said['rhat'][0]:.3f}, bulk ESS {said['ess_bulk'][0]:,.0f}",
        )  # fmt: skip
    return panels


def probe_values(key: jax.Array, fit: Fit, x: Any, *, draws: int = 100) -> dict[str, np.ndarray]:
    """Return what each draw of a fit predicts at some inputs, (c, s) by name.

    Parameters
    ----------
    key
        Typed random key, for draws of a posterior that has no draws of its own.
    fit
        What `fit` returned.
    x
        Inputs, (q, ...).
    draws
        Draws of each member of a mixture; those of a sampler are all taken.

    Returns
    -------
    dict of str to numpy.ndarray
        Of a regression means and log noise variances, of classes log probabilities. What is the
        same under every draw, such as a noise that is fixed, is left out.
    """
    values = by_draw.function_values(key, fit, x, draws)
    names = by_draw.value_names(fit.model.likelihood, values.shape[3])
    places = [_place(row) for row in np.asarray(x)]
    return {
        f"{name} at {place}": values[:, :, i, j]
        for i, place in enumerate(places)
        for j, name in enumerate(names)
        if np.ptp(values[:, :, i, j]) > 0
    }


def _place(row: np.ndarray) -> str:
    """Return an input in few characters."""
    shown = np.ravel(row)[:3]
    end = ", …" if np.size(row) > 3 else ""
    return ", ".join(f"{value:.3g}" for value in shown) + end


def _chains(values: Any) -> np.ndarray:
    """Return draws by chain, (c, s)."""
    found = np.asarray(values, float)
    if found.ndim != 2 or found.shape[1] < LEAST_DRAWS:
        raise ValueError(
            f"Expected draws by chain, (c, s), at least {LEAST_DRAWS} of each; got shape "
            f"{found.shape}. Draw one quantity at a time."
        )
    return found
