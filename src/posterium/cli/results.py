"""Predictions as columns, scores by their keys, and what is printed of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from posterium.cli.advice import advise
from posterium.cli.messages import DONE, FAILED, in_options, say
from posterium.evaluate.scores import score
from posterium.posterior.fit import Verdict
from posterium.posterior.predictive import RegressionPredictive
from posterium.tables.errors import plain
from posterium.tables.write import classification_columns, regression_columns

ERRORS = "standard_errors"
NOT_FINITE = "The model's predictions are not finite: no scores, no predictions are written."


def columns(found: Any, classes: tuple, level: float = 0.9) -> dict[str, np.ndarray]:
    """Return predictions as the columns of a CSV file."""
    if isinstance(found, RegressionPredictive):
        return regression_columns(
            found.mean, found.sd, found.aleatoric_sd, found.epistemic_sd, *found.interval(level)
        )
    return classification_columns(classes, found.probs, found.entropy, found.mutual_information)


def observed(y: np.ndarray, classes: tuple) -> dict[str, np.ndarray]:
    """Return targets as columns: labels, numbers, or times and events."""
    if classes:
        return {"observed": np.array(classes, object)[y]}
    return {"observed": y} if y.ndim == 1 else {"observed": y[:, 0], "event": y[:, 1]}


def spread(columns: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return columns (m,) in the places of m marked rows of n; the others are left empty."""
    if rows.all():
        return columns
    found = {}
    for name, values in columns.items():
        found[name] = np.full(rows.shape, None, object)
        found[name][rows] = values.tolist()
    return found


def scores(found: Any, y: np.ndarray) -> dict[str, Any]:
    """Return the scores of predictions by their JSON keys, and those of their standard errors.

    None where a score, or its error, is not defined.
    """
    scored = score(found, y)
    values, errors = (
        {name: part[place] if np.isfinite(part[place]) else None for name, part in scored.items()}
        for place in range(2)
    )
    return {**values, ERRORS: errors}


def usable(found: Any, verdict: Verdict) -> bool:
    """Say whether predictions are finite; those of a failed fit need not be."""
    try:
        centre = found.mean if isinstance(found, RegressionPredictive) else found.probs
    except ValueError:
        if verdict.status != "failed":
            raise
        return False
    return bool(np.isfinite(centre).all())


def show(values: Mapping[str, Any]) -> None:
    """Print names and values, one a line, with standard errors; what is None is left out."""
    errors = values.get(ERRORS, {})
    for name, value in values.items():
        if value is None or name == ERRORS:
            continue
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
        error = "" if errors.get(name) is None else f" +- {errors[name]:.2g}"
        print(f"{name:<20} {plain(text)}{error}")


def announce(verdict: Verdict, method: Any) -> None:
    """Say on standard error what is wrong with a method's fit: for each reason two lines."""
    for reason, advice in zip(verdict.reasons, verdict.advice, strict=True):
        say(f"{verdict.status}: {plain(in_options(reason))}\n{plain(advise(advice, method))}")


def status(verdicts: list[Verdict], *, strict: bool) -> int:
    """Return the exit status for the verdicts of all fits made."""
    worst = Verdict.merge(verdicts).status
    return FAILED if worst == "failed" or (strict and worst != "ok") else DONE
