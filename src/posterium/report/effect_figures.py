"""The section on effects: which columns move the prediction, and how."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from posterium.plots import style
from posterium.plots.effects import effect
from posterium.posterior.posterior import Mixture, Point
from posterium.report.effects import Effect, effects
from posterium.report.figures import COLOURS, Figure, Sheet
from posterium.report.subject import Subject
from posterium.report.words import count, number, percent

SHOWN = 8
"""Columns with a figure at most."""
LINES = 4
"""Classes, or targets, drawn in one figure at most."""
ROWS = 100
"""Rows averaged over at most."""


@dataclass(frozen=True)
class EffectSection:
    """Figures of the effects.

    Parameters
    ----------
    figures
        The columns that move the prediction most, these first.
    key
        Name and colour variable of each line, where there are several.
    text
        How to read them.
    summary
        The most influential columns in a sentence; "" where none has an effect.
    """

    figures: list[Figure]
    key: list[tuple[str, str]]
    text: str
    summary: str


def effect_section(subject: Subject, sheet: Sheet) -> EffectSection:
    """Return the effects of the columns that move the prediction most."""
    unit = np.ones(len(subject.classes)) if subject.classes else subject.target_scale
    found = effects(subject.predict, subject.columns, subject.x, most=SHOWN, rows=ROWS, unit=unit)
    shown = _outputs(subject, found)
    names = subject.classes or subject.targets
    look = [COLOURS[style.line(place)["color"]] for place in range(len(shown))]
    key = [(names[k], colour) for k, colour in zip(shown, look, strict=True)]
    limits = _limits(found, shown)
    figures = [_figure(subject, one, shown, limits, sheet) for one in found]
    return EffectSection(
        figures,
        key if len(key) > 1 else [],
        _text(subject, len(found), shown),
        _summary(found, len(subject.columns)),
    )


def _outputs(subject: Subject, found: list[Effect]) -> list[int]:
    """Return which classes or targets are drawn: those that move most."""
    if len(subject.classes) == 2:
        return [1]
    total = len(subject.classes or subject.targets)
    moves = np.sum([one.moves() for one in found], axis=0) if found else np.zeros(total)
    if not subject.classes:
        return list(range(min(LINES, total))) if total > 1 else [0]
    return sorted(np.argsort(-moves, kind="stable")[:LINES].tolist())


def _units(subject: Subject) -> bool:
    """Say whether several targets are drawn together, each in sds of its own."""
    return not subject.classes and len(subject.targets) > 1


def _limits(found: list[Effect], shown: list[int]) -> tuple[float, float]:
    """Return limits that all figures share, so that they can be compared."""
    if not found:
        return 0.0, 1.0
    low = min(float((one.mean - 2 * one.sd)[:, shown].min()) for one in found)
    high = max(float((one.mean + 2 * one.sd)[:, shown].max()) for one in found)
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _figure(
    subject: Subject, one: Effect, shown: list[int], limits: tuple[float, float], sheet: Sheet
) -> Figure:
    labels = one.labels()
    words = any(isinstance(label, str) for label in labels)
    labels = [style.short(label, 18) for label in labels] if words else labels
    names = subject.classes or subject.targets
    several = _units(subject)
    centre = one.mean.mean(axis=0) if several else np.zeros(one.mean.shape[1])
    scale = subject.target_scale if several else np.ones(one.mean.shape[1])
    curves = {
        f"{place} {names[k]}": (
            (one.mean[:, k] - centre[k]) / scale[k], one.sd[:, k] / scale[k]
        )
        for place, k in enumerate(shown)
    }  # fmt: skip
    values = one.column.values(subject.x)
    observed = None if words else np.unique(np.quantile(values, np.linspace(0, 1, 60)))
    if observed is not None:
        low, high = float(min(labels)), float(max(labels))
        observed = observed[(observed >= low) & (observed <= high)]

    def draw(ax: Any) -> Any:
        effect(labels, curves, observed=observed, ax=ax, ylabel=_axis(subject))
        if not several:
            (ax.set_xlim if words else ax.set_ylim)(_clipped(subject, limits))

    return sheet.figure(one.column.name, draw, _moves(subject, one, shown), height=2.8)


def _clipped(subject: Subject, limits: tuple[float, float]) -> tuple[float, float]:
    if not subject.classes:
        return limits
    return max(limits[0], -0.02), min(limits[1], 1.02)


def _axis(subject: Subject) -> str:
    if len(subject.classes) == 2:
        return f"mean P({style.short(subject.classes[1], 18)})"
    if subject.classes:
        return "mean probability"
    if len(subject.targets) > 1:
        return "change of the mean (sd)"
    return f"mean {style.short(subject.targets[0], 24)}"


def _moves(subject: Subject, one: Effect, shown: list[int]) -> str:
    move = float(one.moves()[shown].max())
    if subject.classes:
        return f"Moves the mean probability by {percent(move)} at most."
    if len(subject.targets) > 1:
        move = float((one.moves() / subject.target_scale).max())
        return f"Moves a target's mean by {number(move, 2)} sd at most."
    return f"Moves the mean by {number(move, 3)}."


def _text(subject: Subject, shown: int, lines: list[int]) -> str:
    rows = min(ROWS, len(subject.x))
    text = (
        f"The mean prediction over {count(rows, 'row')} when the column is set to one value in all "
        "of them and the others stay as they are (partial dependence), the most influential "
        "columns first. "
    )
    text += (
        "One network gives no band. "
        if _point(subject)
        else "Bands are ± 2 epistemic standard deviations. "
    )
    text += (
        "Ticks at the bottom are values in the data. An effect is what the model does, not what "
        "would happen if the column were changed; columns that go together can mislead."
    )
    if shown < len(subject.columns):
        text += f" {shown} of {len(subject.columns):,} columns are shown."
    if subject.classes and len(lines) < len(subject.classes) > 2:
        text += f" The {len(lines)} classes that move most are shown."
    return text


def _point(subject: Subject) -> bool:
    part, members = subject.fit.posterior, 1
    while isinstance(part, Mixture):
        members *= part.size()
        part = part.member(0)[0]
    return isinstance(part, Point) and members == 1


def _summary(found: list[Effect], columns: int) -> str:
    names = [f"“{style.short(one.column.name, 40)}”" for one in found[:3]]
    if not names or columns == 1:
        return ""
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    move = "moves" if len(names) == 1 else "move"
    return f"{listed} {move} the predictions most."
