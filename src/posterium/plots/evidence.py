"""Figures of the evidence: how tuning climbs it, and its profile over one hyper-parameter."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from posterium._struct import replace
from posterium.model import hyper
from posterium.numerics import trees
from posterium.plots import style
from posterium.posterior.fit import Fit

CLOSE = 2.0
"""Nats within which the data do not tell values of a hyper-parameter apart."""


def evidence_trajectory(
    log_evidence: Any,
    values: Mapping[str, Any],
    *,
    reference: Mapping[str, float] | None = None,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "step",
    ylabel: str = "log evidence (nats)",
) -> Any:
    """Draw the log evidence over the steps of a tuning, and beside it the hyper-parameters.

    Parameters
    ----------
    log_evidence
        At each step, (t,); NaN where it was not taken.
    values
        Hyper-parameters by name in their own unit, (t,) each; on a logarithmic axis, since all are
        positive. See `trajectory_of`.
    reference
        Log evidences to compare with by name, drawn as dotted level lines.
    ax
        Two matplotlib axes; None makes a figure.

    Returns
    -------
    numpy.ndarray
        Both axes.
    """
    left, right = panels = style.panels(ax, 2)
    found = style.column(log_evidence, "log_evidence").astype(float)
    steps = np.arange(1, len(found) + 1)
    taken = np.isfinite(found)
    left.plot(steps[taken], found[taken], color=style.MEAN, linewidth=1.8)
    for number, (name, level) in enumerate((reference or {}).items()):
        color = style.LINES[(number + 1) % len(style.LINES)]
        left.axhline(level, color=color, linestyle=":", linewidth=1.5, label=name)
    style.legend(left)
    for number, (name, path) in enumerate(values.items()):
        path = style.column(path, name)
        right.plot(
            np.arange(1, len(path) + 1), path, linewidth=1.8, label=f"{name}: {path[-1]:.3g}",
            **style.line(number),
        )  # fmt: skip
    right.set_yscale("log")
    style.legend(right)
    style.finish(left, title=title, xlabel=xlabel, ylabel=ylabel)
    style.finish(right, title=None, xlabel=xlabel, ylabel="value")
    return panels


def evidence_profile(
    values: Any,
    curves: Mapping[str, Any],
    *,
    chosen: Mapping[str, float] | None = None,
    log: bool = True,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "hyper-parameter",
    ylabel: str = "log evidence (nats)",
) -> Any:
    """Draw the log evidence over one hyper-parameter, a curve a model, with its highest point.

    The pale part of the horizontal axis is where the first curve is within 2 nats of its top: the
    data do not tell such values apart.

    Parameters
    ----------
    values
        Of the hyper-parameter, (n,), in any order.
    curves
        Log evidence at these, (n,) each, by name.
    chosen
        Values of the hyper-parameter by name, drawn as vertical lines: what a tuning found.
    log
        Logarithmic horizontal axis.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    values = style.column(values, "values").astype(float)
    order = np.argsort(values)
    values = values[order]
    for number, (name, curve) in enumerate(curves.items()):
        curve, look = style.column(curve, name)[order], style.line(number)
        ax.plot(values, curve, linewidth=2, label=name, **look)
        best = np.nanargmax(curve)
        ax.scatter(values[best], curve[best], s=42, color=look["color"], zorder=3)
        if number == 0:
            near = values[curve >= curve[best] - CLOSE]
            ax.axvspan(
                near.min(), near.max(), color=style.REFERENCE, alpha=0.15, linewidth=0,
                label=f"within {CLOSE:g} nats of the top",
            )  # fmt: skip
    for number, (name, value) in enumerate((chosen or {}).items()):
        color = style.LINES[(len(curves) + number) % len(style.LINES)]
        ax.axvline(value, color=color, linestyle=":", linewidth=1.6, label=f"{name}: {value:.3g}")
    if log:
        ax.set_xscale("log")
    ax.set_xlim(values[0], values[-1])
    style.legend(ax)
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)


def trajectory_of(fit: Fit) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return log evidence (t,) and hyper-parameters, (t,) by path, as a tuning recorded them.

    All rounds of `Evidence` one after another, or the whole descent of `OnlineEvidence`. By
    ``by="grid"`` the first is the score of the rows held out.

    Raises
    ------
    ValueError
        When the fit tuned nothing, or is one of several members.
    """
    records = [r for r in fit.info.values() if isinstance(r, dict) and "raws" in r]
    if not records or np.ndim(records[0]["raws"]) != 2:
        raise ValueError(
            f"Expected one fit by Evidence or OnlineEvidence; {fit.method or 'this one'} recorded "
            "no hyper-parameters step by step. Fit with Evidence(Laplace())."
        )
    kind = "log_evidence" if "log_evidence" in records[0] else "objective"
    raws = np.concatenate([record["raws"] for record in records]).astype(float)
    return np.concatenate([record[kind] for record in records]), _named(fit.model, raws)


def _named(model: Any, raws: np.ndarray) -> dict[str, np.ndarray]:
    """Return columns (t, h) of unconstrained coordinates as values by the path of each."""
    found, begin = {}, 0
    nodes, _ = jax.tree_util.tree_flatten_with_path(model, is_leaf=hyper.is_learned)
    for path, node in ((trees.path_of(keys), node) for keys, node in nodes):
        if not hyper.is_learned(node):
            continue
        size = np.size(node.raw)
        part = raws[:, begin : begin + size]
        begin += size
        many = replace(node, raw=part.reshape(len(raws), *np.shape(node.raw))).value
        for place in np.ndindex(np.shape(node.raw)):
            name = f"{path}[{','.join(map(str, place))}]" if place else path
            found[name] = np.asarray(many)[(slice(None), *place)]
    return found
