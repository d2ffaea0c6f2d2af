"""Plain language: numbers as a person writes them, and what scores and verdicts mean."""

import math
from dataclasses import dataclass

import numpy as np

from posterium.evaluate.scores import Score, Scores
from posterium.evaluate.scores.bins import BINS
from posterium.tables.errors import listing

MINUS = "\u2212"
LEAST_NOTED = 0.005
"""Relative Monte Carlo error from which it is mentioned."""

VERDICTS = {
    "ok": (
        "No check found a fault in the fit. That speaks of the computation; whether the model "
        "suits the data is for the scores and the calibration below to say."
    ),
    "warned": (
        "The fit ended, but a check found something that may bias its predictions or their "
        "uncertainty. Look at the scores below with that in mind."
    ),
    "failed": (
        "The fit cannot be trusted. What is shown below is there to find out why, not to be used."
    ),
}


def number(value: float, digits: int = 4) -> str:
    """Return a number with so many significant digits, with commas for thousands."""
    value = float(value) + 0.0  # no negative zero
    if not math.isfinite(value):
        return "not defined" if math.isnan(value) else "infinite"
    size = abs(value)
    if size and not 1e-4 <= size < 1e7:
        return f"{value:.{digits - 1}e}"
    places = max(0, digits - 1 - math.floor(math.log10(size))) if size else 0
    text = f"{value:,.{places}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", MINUS)


def percent(value: float, digits: int = 0) -> str:
    """Return a share as a percentage."""
    return f"{100 * value:.{digits}f}%" if math.isfinite(value) else "not defined"


def count(n: int, noun: str, plural: str | None = None) -> str:
    """Return how many there are of something, in words."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def with_error(score: Score, *, share: bool = False) -> tuple[str, str]:
    """Return a score and its standard error as texts, in digits that the error supports."""
    value, se = (100 * part for part in score) if share else score
    end = "%" if share else ""
    if not math.isfinite(value):
        return number(value), ""
    if not math.isfinite(se) or se == 0:
        return number(value) + end, ""
    places = min(12, max(0, 1 - math.floor(math.log10(se))))
    if share:
        places = min(places, 1)
    if abs(value) >= 1e7 or places > 8:
        return number(value) + end, f"± {number(se, 2)}{end}"
    return f"{value:,.{places}f}{end}".replace("-", MINUS), f"± {se:,.{places}f}{end}"


def drawn_note(value: np.ndarray, error: np.ndarray) -> str:
    """Return how well draws tell the epistemic part of the median row; nothing where all do."""
    told = value > 0
    relative = float(np.median(error[told] / value[told])) if told.any() else 0.0
    if relative < LEAST_NOTED:
        return ""
    return f"By the draws there are, that part is known to ± {percent(relative)} in the median row."


@dataclass(frozen=True)
class Line:
    """A score in a table: its name, its value and error as texts, and what it says."""

    name: str
    value: str
    error: str
    reading: str


def regression_lines(found: Scores, y: np.ndarray, unit: str) -> list[Line]:
    """Return the scores of one numeric target y (n,) with their readings.

    Parameters
    ----------
    found
        From `number_scores`.
    unit
        What the target is measured in, in words.
    """
    spread = float(y.std())
    lines = [
        _line("RMSE", found["rmse"], f"Typical size of an error, in {unit}. {_beside(spread)}"),
        _line("MAE", found["mae"], f"Mean size of an error, in {unit}."),
        _line("R²", found["r2"], "Share of the target's variance that is explained; 1 is all."),
        _line(
            "CRPS", found["crps"],
            f"Error of the whole predicted distribution, in {unit}; the MAE of a prediction "
            "without uncertainty.",
        ),
    ]  # fmt: skip
    if "nll" in found:
        text = "Mean negative log density, in nats a row; lower is better."
        if spread > 0:
            plain = 0.5 * math.log(2 * math.pi * math.e * spread**2)
            text += f" A Gaussian with the mean and sd of these rows has {number(plain)}."
        lines.append(_line("NLL", found["nll"], text))
    lines += [
        _line("Coverage of 90% intervals", found["coverage_90"],
              coverage_reading(found["coverage_90"].value, len(y)), share=True),
        _line("Width of 90% intervals", found["width_90"],
              f"Mean width, in {unit}; narrow is good as long as the coverage holds."),
        _line("Interval score, 90%", found["interval_90"],
              f"Width, and a fine for each row outside, in {unit}: judges coverage and width at "
              "once; lower is better."),
        _line("Sharpness", found["sharpness"], f"Mean predicted sd, in {unit}."),
    ]  # fmt: skip
    return lines


def classification_lines(found: Scores, y: np.ndarray, classes: tuple[str, ...]) -> list[Line]:
    """Return the scores for class indices y (n,) with their readings."""
    shares = np.bincount(y, minlength=len(classes)) / len(y)
    common = int(shares.argmax())
    present = shares[shares > 0]
    blind = float(-(present * np.log(present)).sum())
    chance = min(1.0, math.sqrt(BINS / len(y)) / 2)
    absent = [f"“{name}”" for name, share in zip(classes, shares, strict=True) if share == 0]
    ranked = "How well the probabilities rank rows: 0.5 is chance, 1 is perfect."
    ranked += "" if len(classes) == 2 else " Mean of each class against the others."
    if absent:
        ranked += f" No scored row is of the class {listing(absent, 3)}."
    return [
        _line("Accuracy", found["accuracy"],
              f"Share of rows whose class is right. Always saying “{classes[common]}” would be "
              f"right for {percent(shares[common])}.", share=True),
        _line("NLL", found["nll"],
              "Mean negative log probability of the class that came true, in nats; lower is "
              f"better. The shares of the classes alone have {number(blind)}."),
        _line("Brier", found["brier"],
              "Mean squared distance of the probabilities from what came true; 0 is perfect. "
              f"{_brier_parts(found)}"),
        _line("ECE", found["ece"],
              "Mean gap between the confidence in the top class and how often it is right. Chance "
              f"alone gives up to about {number(chance, 2)} for so many rows."),
        _line("ECE, debiased", found["ece_debiased"],
              "The same less what chance adds on average; it can be negative."),
        _line("AUROC", found["auroc"], ranked),
        _line("AUROC of errors", found["misclassified_auroc"],
              "How well low confidence finds the rows whose class is wrong: 0.5 is chance."),
        _line("AURC", found["aurc"],
              "Mean share of wrong rows as the least confident are given up one by one; all rows "
              f"have {number(1 - found['accuracy'].value, 3)}, and the best order of them "
              f"{number(found['aurc'].value - found['excess_aurc'].value, 3)}."),
    ]  # fmt: skip


def coverage_reading(share: float, rows: int, level: float = 0.9) -> str:
    """Return what the share of rows inside their intervals says of these."""
    error = 2 * math.sqrt(level * (1 - level) / rows)
    if abs(share - level) <= error:
        return (
            f"Consistent with {percent(level)}: by chance it is between "
            f"{percent(max(0, level - error))} and {percent(min(1, level + error))} for "
            f"{count(rows, 'row')}."
        )
    if share < level:
        return (
            f"Fewer than {percent(level)}: the intervals are too narrow, more than chance explains."
        )
    return f"More than {percent(level)}: the intervals are too wide, more than chance explains."


def _line(name: str, score: Score, reading: str, *, share: bool = False) -> Line:
    return Line(name, *with_error(score, share=share), reading)


def _brier_parts(found: Scores) -> str:
    """Say what the Brier score is made of."""
    names = ("uncertainty", "resolution", "reliability", "within")
    chance, gained, off, within = (number(round(found[f"brier_{n}"].value, 4), 3) for n in names)
    return (
        f"It is {chance} of the data themselves, less {gained} for telling rows apart, plus {off} "
        f"for probabilities that are off and {within} for those that differ within a bin."
    )


def _beside(spread: float) -> str:
    return f"Predicting the mean of these rows for each of them has {number(spread)}."
