"""Sections on predictions of numbers."""

from typing import Any

import numpy as np

from posterium.evaluate import scores
from posterium.plots import style
from posterium.plots.calibration import coverage_curve, pit
from posterium.plots.regression import predicted_observed
from posterium.plots.uncertainty import aleatoric_epistemic
from posterium.report.evaluated import LEVEL, Numbers
from posterium.report.figures import Figure, Sheet
from posterium.report.sections import SHOWN, Sections, Tile, drawn_rows, rows_note
from posterium.report.subject import Subject
from posterium.report.tables import ROWS, UncertainRow, unusual
from posterium.report.words import (
    count,
    coverage_reading,
    drawn_note,
    number,
    percent,
    regression_lines,
    with_error,
)

WIDE = 5.0
"""Intervals wider than so many times the median one do not stretch the axes."""


def sections(subject: Subject, found: Numbers, sheet: Sheet) -> Sections:
    """Return what the page says of predictions of numbers, target by target."""
    single = len(subject.targets) == 1
    tables, predicted, calibration, split = [], [], [], []
    joint = scores.nll(found.log_prob)
    for place, name in enumerate(subject.targets):
        one = found.target(place)
        unit = "units of the target" if single else f"units of {name}"
        words = regression_lines(_scored(one, alone=single), one.y, unit)
        tables.append(("" if single else name, words))
        if place < SHOWN:
            label = "" if single else f": {name}"
            predicted.append(_predicted(one, name, label, sheet))
            calibration += _calibration(one, label, sheet)
            split.append(_split(one, name, label, sheet))
    first = _scored(found.target(0), alone=single)
    return Sections(
        tables=tables,
        predicted=predicted,
        calibration=calibration,
        split=split,
        tiles=_tiles(first, found, subject, joint),
        summary=_summary(first, found.target(0), subject, joint),
        rows=uncertain_rows(subject, found),
        row_heads=_heads(subject),
        more=max(0, len(subject.targets) - SHOWN),
    )


def _scored(one: Numbers, *, alone: bool) -> scores.Scores:
    log_prob = one.log_prob if alone else None
    return scores.number_scores(one.y, one.mean, one.sd, one.interval(), one.crps, log_prob)


def _tiles(
    first: scores.Scores, found: Numbers, subject: Subject, joint: scores.Score
) -> list[Tile]:
    if len(subject.targets) > 1:
        return [
            Tile("Targets", f"{len(subject.targets):,}"),
            Tile("NLL of all targets", *with_error(joint)),
        ]
    return [
        Tile("RMSE", *with_error(first["rmse"])),
        Tile("R²", *with_error(first["r2"])),
        Tile("90% intervals hold", *with_error(first["coverage_90"], share=True)),
    ]


def _summary(
    first: scores.Scores, one: Numbers, subject: Subject, joint: scores.Score
) -> list[str]:
    if len(subject.targets) > 1:
        return [
            f"{count(len(subject.targets), 'target')} are predicted together; their joint NLL is "
            f"{number(joint.value)} nats a row."
        ]
    spread = float(one.y.std())
    lines = [
        f"A prediction misses by {number(first['rmse'].value, 3)} typically (RMSE); predicting the "
        f"mean for every row would miss by {number(spread, 3)}."
    ]
    lines.append(f"90% intervals hold {percent(first['coverage_90'].value)} of the rows. "
                 f"{coverage_reading(first['coverage_90'].value, len(one.y))}")  # fmt: skip
    share = epistemic_share(one)
    lines.append(
        f"In a typical row {percent(share)} of the predictive variance is epistemic, what more "
        "data would reduce; the rest is noise."
    )
    return lines


def epistemic_share(one: Numbers) -> float:
    """Return which share of the predictive variance is epistemic, in the median row."""
    return float(np.median(one.epistemic_var / (one.epistemic_var + one.aleatoric_var)))


def _predicted(one: Numbers, name: str, label: str, sheet: Sheet) -> Figure:
    rows = drawn_rows(len(one.y))
    part = one.take(rows)
    inside = float(np.mean((one.low <= one.y) & (one.y <= one.high)))
    caption = (
        f"Each dot is a row, each bar its {percent(LEVEL)} interval; on the dashed line prediction "
        f"and observation agree. {percent(inside)} of all {count(len(one.y), 'scored row')} lie "
        f"inside. {rows_note(len(rows), len(one.y))}"
    )
    width = part.high - part.low
    usual = width <= WIDE * np.median(width)
    if not usual.all():
        caption = f"{caption.strip()} {count(int(np.sum(~usual)), 'very wide bar')} may be cut off."
    limits = style.padded((part.y, part.mean, part.low[usual], part.high[usual]))

    def draw(ax: Any) -> Any:
        predicted_observed(part, part.y, level=LEVEL, ax=ax)
        ax.set_xlabel(f"observed {style.short(name)}")
        ax.set_ylabel(f"predicted {style.short(name)}")
        ax.set(xlim=limits, ylim=limits)

    return sheet.figure(f"Predicted against observed{label}", draw, caption.strip(), height=4.1)


def _calibration(one: Numbers, label: str, sheet: Sheet) -> list[Figure]:
    rows = len(one.y)
    few = f" With {count(rows, 'row')} only gross faults can be seen." if rows < 50 else ""
    return [
        sheet.figure(
            f"PIT histogram{label}",
            lambda ax: pit(one.pit, ax=ax),
            "Where observations fall in their predicted distributions. Flat is calibrated: 95% of "
            "bars end in the grey band by chance. A hump: intervals too wide; a bowl: too narrow; "
            f"a slope: predictions off to one side.{few}",
            height=3.5,
        ),
        sheet.figure(
            f"Coverage of intervals{label}",
            lambda ax: coverage_curve(one.pit, ax=ax),
            "Share of rows inside the interval of every probability. On the dashed line intervals "
            "keep what they promise; below it they are too narrow, above it too wide. In the grey "
            "band the difference is no more than chance.",
            height=3.5,
        ),
    ]


def _split(one: Numbers, name: str, label: str, sheet: Sheet) -> Figure:
    rows = drawn_rows(len(one.y))
    part = one.take(rows)
    caption = (
        "Height: standard deviation of each row's prediction, rows sorted by it. The colours share "
        "it as the two parts share the variance. Aleatoric is noise that more data would leave; "
        f"epistemic is what the model has not learned: {percent(epistemic_share(one))} of the "
        f"variance in the median row. {drawn_note(one.epistemic_var, one.epistemic_error)} "
        f"{rows_note(len(rows), len(one.y))}"
    )
    return sheet.figure(
        f"Two kinds of uncertainty{label}",
        lambda ax: aleatoric_epistemic(
            part.aleatoric_var, part.epistemic_var, total=part.sd, ax=ax,
            ylabel=f"sd of {style.short(name)}",
        ),
        caption.strip(),
    )  # fmt: skip


def _heads(subject: Subject) -> tuple[str, ...]:
    word = subject.row_word.capitalize()
    return (word, "Observed", "Predicted", f"{percent(LEVEL)} interval", "sd", "Epistemic",
            "Most unusual cell")  # fmt: skip


def uncertain_rows(subject: Subject, found: Numbers) -> list[UncertainRow]:
    """Return the scored rows with the largest sd, in sds of each target where there are several."""
    size = (found.sd / subject.target_scale).max(axis=1)
    target = (found.sd / subject.target_scale).argmax(axis=1)
    places = np.flatnonzero(subject.scored)
    chosen = np.argsort(-size, kind="stable")[:ROWS]
    rows, several = [], len(subject.targets) > 1
    for row in chosen:
        k = target[row]
        variance = found.epistemic_var[row, k] + found.aleatoric_var[row, k]
        rows.append(
            UncertainRow(
                row=f"{subject.rows[places[row]]:,}"
                + (f" ({subject.targets[k]})" if several else ""),
                observed=number(found.y[row, k]),
                predicted=number(found.mean[row, k]),
                interval=f"{number(found.low[row, k])} to {number(found.high[row, k])}",
                uncertainty=number(found.sd[row, k], 3),
                epistemic=percent(found.epistemic_var[row, k] / variance),
                unusual=unusual(subject, subject.x[places[row]]),
            )
        )
    return rows
