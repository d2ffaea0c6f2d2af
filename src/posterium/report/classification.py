"""Sections on predictions of classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from posterium.evaluate import scores
from posterium.plots import style
from posterium.plots.calibration import reliability
from posterium.plots.classification import confusion
from posterium.plots.uncertainty import aleatoric_epistemic
from posterium.report.evaluated import Labels
from posterium.report.figures import Figure, Sheet
from posterium.report.sections import Sections, Tile, drawn_rows, rows_note
from posterium.report.subject import Subject
from posterium.report.tables import ROWS, UncertainRow, unusual
from posterium.report.words import (
    classification_lines,
    drawn_note,
    number,
    percent,
    with_error,
)

MATRIX = 10
"""Classes of the confusion matrix at most; the rarer ones share its last place."""


def sections(subject: Subject, found: Labels, sheet: Sheet) -> Sections:
    """Return what the page says of predictions of classes."""
    scored = scores.class_scores(found.probs, found.y, found.log_prob)
    return Sections(
        tables=[("", classification_lines(scored, found.y, subject.classes))],
        predicted=[_confusion(found, subject.classes, sheet)],
        calibration=_calibration(found, subject.classes, sheet),
        split=[_split(found, sheet)],
        tiles=[
            Tile("Accuracy", *with_error(scored["accuracy"], share=True)),
            Tile("AUROC", *with_error(scored["auroc"]))
            if np.isfinite(scored["auroc"].value)
            else Tile("NLL", *with_error(scored["nll"])),
            Tile("Calibration error", *with_error(scored["ece"], share=True)),
        ],
        summary=_summary(found, subject.classes, scored),
        rows=uncertain_rows(subject, found),
        row_heads=(
            subject.row_word.capitalize(), "Observed", "Predicted", "Next likely",
            "Entropy (nats)", "Epistemic", "Most unusual cell",
        ),
    )  # fmt: skip


def _summary(found: Labels, classes: tuple[str, ...], scored: scores.Scores) -> list[str]:
    counts = np.bincount(found.y, minlength=len(classes))
    top = found.probs.max(axis=1)
    confident, right = top.mean(), scored["accuracy"].value
    chance = np.sqrt((top * (1 - top)).mean() / len(top))
    return [
        f"{percent(right)} of the rows get the right class; always saying "
        f"“{style.short(classes[int(counts.argmax())], 40)}” would be right for "
        f"{percent(counts.max() / len(found.y))}.",
        f"The mean confidence in the predicted class is {percent(confident)}"
        + (
            ", about as often as it is right."
            if abs(confident - right) <= 2 * max(scored["accuracy"].se or 0, chance)
            else f", {'more' if confident > right else 'less'} than how often it is right: the "
            f"model is {'over' if confident > right else 'under'}confident."
        ),
        f"{percent(epistemic_share(found))} of the entropy is epistemic, what more data would "
        "reduce; the rest is overlap of the classes.",
    ]


def epistemic_share(found: Labels) -> float:
    """Return which share of the entropy is epistemic, over all rows; 0 where there is none."""
    total = float(found.entropy.sum())
    return float(found.epistemic.sum()) / total if total > 0 else 0.0


def shortened(names: Sequence[str], limit: int) -> list[str]:
    """Return names cut to a length, with their numbers before them where they become alike."""
    cut = [style.short(name, limit) for name in names]
    if len(set(cut)) == len(cut):
        return cut
    return [f"{place}: {style.short(name, limit - 3)}" for place, name in enumerate(names, 1)]


def _confusion(found: Labels, classes: tuple[str, ...], sheet: Sheet) -> Figure:
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (found.y, found.probs.argmax(axis=1)), 1)
    names = shortened(classes, 16)
    caption = (
        "Rows by observed class (down) and predicted class (across), shaded by the share of the "
        "observed class. The diagonal is right."
    )
    if len(classes) > MATRIX:
        order = np.argsort(-counts.sum(axis=1), kind="stable")[: MATRIX - 1]
        kept = np.sort(order)
        place = np.full(len(classes), MATRIX - 1)
        place[kept] = np.arange(MATRIX - 1)
        folded = np.zeros((MATRIX, MATRIX), int)
        np.add.at(folded, (place[:, None], place[None, :]), counts)
        counts = folded
        names = [*(names[i] for i in kept), "others"]
        caption += (
            f" The {MATRIX - 1} most frequent of {len(classes)} classes; “others” holds the rest, "
            "right or not."
        )
    return sheet.figure(
        "Predicted against observed",
        lambda ax: confusion(counts, names, ax=ax),
        caption,
        height=4.0,
    )


def _calibration(found: Labels, classes: tuple[str, ...], sheet: Sheet) -> list[Figure]:
    few = " With so few rows the bars are long." if len(found.y) < 50 else ""
    how = (
        "Rows are put into bins by probability; the larger the dot, the more rows. Bars are 95% "
        f"intervals: one that crosses the dashed line shows no fault.{few}"
    )
    top, right = found.probs.max(axis=1), found.probs.argmax(axis=1) == found.y
    figures = [
        sheet.figure(
            "Reliability of the predicted class",
            lambda ax: reliability(
                top, right, ax=ax, xlabel="confidence in the predicted class",
                ylabel="share that is right",
            ),
            f"How often the predicted class is right. {how} Below the line is overconfidence.",
            height=3.7,
        )
    ]  # fmt: skip
    if len(classes) == 2:
        name = style.short(classes[1], 20)
        figures.append(
            sheet.figure(
                f"Reliability of P({name})",
                lambda ax: reliability(
                    found.probs[:, 1], found.y == 1, ax=ax, xlabel=f"predicted P({name})",
                    ylabel=f"share that is {name}",
                ),
                f"How often rows are “{name}”. {how}",
                height=3.7,
            )
        )  # fmt: skip
    else:
        figures.append(_each_class(found, classes, sheet))
    return figures


def _each_class(found: Labels, classes: tuple[str, ...], sheet: Sheet) -> Figure:
    """Compare, class by class, how often it is expected and how often it is observed."""
    expected, observed = (
        found.probs.mean(axis=0),
        np.bincount(found.y, minlength=len(classes)) / len(found.y),
    )
    shown = np.sort(np.argsort(-observed, kind="stable")[:MATRIX])
    error = 2 * np.sqrt((found.probs * (1 - found.probs)).sum(axis=0)) / len(found.y)

    names = shortened(classes, 18)

    def draw(ax: Any) -> Any:
        y = np.arange(len(shown))
        low, high = (expected - error).clip(0)[shown], (expected + error)[shown]
        ax.hlines(y, low, high, color=style.MEAN, linewidth=5, alpha=0.3)
        ax.scatter(observed[shown], y, color=style.MISS, marker="D", s=22, zorder=3, linewidths=0)
        ax.set_yticks(y, [names[i] for i in shown])
        ax.set_ylim(len(shown) - 0.5, -0.5)
        ax.set_xlim(left=0)
        style.finish(ax, title=None, xlabel="share of rows", ylabel=None)

    text = (
        "Bar: the share of each class that the probabilities lead to expect, ± 2 sd. Diamond: the "
        "share observed. One outside its bar is a class predicted too often or too rarely."
    )
    if len(shown) < len(classes):
        text += f" The {len(shown)} most frequent of {len(classes)} classes."
    return sheet.figure("Classes expected and observed", draw, text, height=3.7)


def _split(found: Labels, sheet: Sheet) -> Figure:
    rows = drawn_rows(len(found.y))
    part = found.take(rows)
    caption = (
        "Entropy of each row's prediction, rows sorted by it. Aleatoric: the classes overlap, "
        "which more data would leave. Epistemic (mutual information): the functions of the "
        f"posterior disagree: {percent(epistemic_share(found))} of all entropy here. "
        f"{drawn_note(found.epistemic, found.epistemic_error)} {rows_note(len(rows), len(found.y))}"
    )
    return sheet.figure(
        "Two kinds of uncertainty",
        lambda ax: aleatoric_epistemic(
            part.aleatoric, part.epistemic, ax=ax, ylabel="entropy (nats)"
        ),
        caption.strip(),
    )


def uncertain_rows(subject: Subject, found: Labels) -> list[UncertainRow]:
    """Return the scored rows of the highest entropy."""
    places = np.flatnonzero(subject.scored)
    rows = []
    for row in np.argsort(-found.entropy, kind="stable")[:ROWS]:
        first, second = np.argsort(-found.probs[row], kind="stable")[:2]
        whole = found.entropy[row]
        rows.append(
            UncertainRow(
                row=f"{subject.rows[places[row]]:,}",
                observed=subject.classes[found.y[row]],
                predicted=f"{subject.classes[first]} ({percent(found.probs[row, first])})",
                interval=f"{subject.classes[second]} ({percent(found.probs[row, second])})",
                uncertainty=number(whole, 3),
                epistemic=percent(found.epistemic[row] / whole if whole > 0 else 0.0),
                unusual=unusual(subject, subject.x[places[row]]),
            )
        )
    return rows
