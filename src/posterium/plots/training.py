"""The training curve: what a phase recorded, over its steps."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from posterium.plots import style

TERMS = {"log_likelihood": "log likelihood", "log_prior": "log prior", "kl": "KL from the prior"}


def training_curve(
    records: dict[str, Any],
    *,
    reference: dict[str, float] | None = None,
    smooth: int = 1,
    log: bool = False,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "step",
    ylabel: str = "objective per row (nats)",
) -> Any:
    """Draw recorded quantities over the steps.

    Parameters
    ----------
    records
        Values over the steps by name, (t,), or (t, m) with a thin line a member.
    reference
        Values to compare with by name, drawn as dotted level lines.
    smooth
        Draw the mean of so many steps in place of each value; 1 draws all.
    log
        Logarithmic vertical axis.
    ax
        Matplotlib axes; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    ax = style.axes(ax)
    for number, (name, values) in enumerate(records.items()):
        steps, values = _smoothed(np.asarray(values), smooth)
        thin = 0.8 if values.ndim > 1 else 1.5
        lines = ax.plot(steps, values, linewidth=thin, **style.line(number))
        lines[0].set_label(name)
    for number, (name, level) in enumerate((reference or {}).items()):
        color = style.LINES[(len(records) + number) % len(style.LINES)]
        ax.axhline(level, color=color, linestyle=":", linewidth=1.5, label=name)
    if log:
        ax.set_yscale("log")
    ax.set_xlim(left=0)
    style.legend(ax)
    return style.finish(ax, title=title, xlabel=xlabel, ylabel=ylabel)


def _smoothed(values: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the last step of every full window, and the means of the windows."""
    windows = len(values) // width
    if windows == 0:
        raise ValueError(
            f"smooth must be at most the {len(values)} recorded steps; got {width}. Lower it."
        )
    means = values[: windows * width].reshape(windows, width, *values.shape[1:]).mean(axis=1)
    return width * np.arange(1, windows + 1), means


def both_terms(
    record: Mapping[str, Any],
    *,
    reference: Mapping[str, float] | None = None,
    smooth: int = 1,
    ax: Any = None,
    title: str | None = None,
    xlabel: str = "step",
) -> Any:
    """Draw both terms of the objective apart: the fit to the data, and what holds it back.

    One term alone can mislead: a rising bound may be a likelihood that rises or a divergence that
    falls. Their units are the same, their sizes are not, so each has its own axes. The vertical
    axes suit the values after the first twentieth of the steps.

    Parameters
    ----------
    record
        What a phase recorded, as in ``fit.info["descent"]``: ``log_likelihood``, and ``log_prior``
        or ``kl``, in nats over all rows, (t,), or (t, m) with a thin line a member.
    reference
        Values to compare with, by the name of a term.
    smooth
        Draw the mean of so many steps in place of each value; 1 draws all.
    ax
        Two matplotlib axes; None makes a figure with one above the other.

    Returns
    -------
    numpy.ndarray
        Both axes.

    Raises
    ------
    ValueError
        When a term is not in the record.
    """
    held = next((name for name in ("kl", "log_prior") if name in record), None)
    if held is None or "log_likelihood" not in record:
        raise ValueError(
            "Expected a record with log_likelihood, and log_prior or kl; got "
            f"{', '.join(record) or 'nothing'}. Take that of the phase which trains: "
            "fit.info['descent'] or fit.info['ascent']."
        )
    panels = style.panels(ax, 2, columns=1, sharex=True)
    for panel, name in zip(panels, ("log_likelihood", held), strict=True):
        values = np.asarray(record[name], float)
        known = {k: v for k, v in (reference or {}).items() if k == name}
        training_curve(
            {TERMS[name]: values}, reference={"reference": known[name]} if known else None,
            smooth=smooth, ax=panel, xlabel="" if panel is panels[0] else xlabel,
            ylabel=f"{TERMS[name]} (nats)",
        )  # fmt: skip
        if not known:
            panel.get_legend().remove()
        later = _smoothed(values, smooth)[1]
        later = later[len(later) // 20 :]
        panel.set_ylim(*style.padded((later[np.isfinite(later)], np.array([*known.values()]))))
    style.finish(panels[0], title=title, xlabel=None, ylabel=None)
    return panels
