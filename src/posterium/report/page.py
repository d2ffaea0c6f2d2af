"""The page: a fit and rows in, one HTML file out."""

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any

import numpy as np

from posterium.report.classification import sections as of_classes
from posterium.report.describe import facts as facts_of_model
from posterium.report.effect_figures import EffectSection, effect_section
from posterium.report.evaluated import Labels, evaluated
from posterium.report.figures import Sheet
from posterium.report.regression import sections as of_numbers
from posterium.report.sections import Sections
from posterium.report.subject import Subject, subject
from posterium.report.tables import LISTED, column_summaries
from posterium.report.training import curves
from posterium.report.words import VERDICTS, count, number, percent
from posterium.tables.encode import TableSpec
from posterium.tables.errors import plain
from posterium.tables.write import write_file

PACKAGES = ("posterium", "jax", "jaxlib", "numpy", "scipy", "optax")


def report(
    fit: Any,
    data: Any,
    path: str | os.PathLike[str],
    *,
    held_out: Any = None,
    names: Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    spec: TableSpec | None = None,
    record: Mapping[str, Any] | None = None,
    seconds: float | None = None,
    command: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write one self-contained page of HTML on a fit: scores, calibration, uncertainty, effects.

    The page loads nothing and runs nothing; equal arguments give equal bytes.

    Parameters
    ----------
    fit
        A fitted estimator, the model of a file (`load(path)["model"]`), or what `posterium.fit`
        returned.
    data
        Rows with their targets: a pair (X, y), or what `as_data` returned; with `spec` a table.
        They are in the units the fit was given.
    path
        The file to write.
    held_out
        Whether the rows were left out of the fit: True, False, or one boolean a row, (n,), of
        which only those left out are scored. None says that it is not known.
    names
        Of the d columns of X; None takes them from a frame, or x1, x2, ...
    target
        Name of the target, or names of several.
    spec
        How a table is encoded, where `data` is one.
    record
        How it was fitted: ``method``, ``settings``, ``notes``, as a model file has it.
    seconds
        What fitting took.
    command
        What to run to get the same fit again.
    overwrite
        Whether a file of that name is replaced.

    Raises
    ------
    ImportError
        When matplotlib or jinja2 is not installed.
    ValueError
        When fit and data do not go together, or the file exists.
    """
    found = subject(fit, data, spec=spec, held_out=held_out, names=names, target=target)
    context = contents(found, _record(fit) if record is None else record, seconds, command)
    write_file(render(context).encode("utf-8"), path, overwrite=overwrite)


def _record(fit: Any) -> dict[str, Any]:
    """Return what an estimator says of how it was fitted; nothing for other kinds of fit."""
    method = getattr(fit, "method", None) if hasattr(fit, "fitted_") else None
    named = {"method": method} if isinstance(method, str) else {}
    return {**named, "notes": list(getattr(fit, "notes_", ()))}


def render(context: Mapping[str, Any]) -> str:
    """Return the page as text; everything but the figures is escaped."""
    try:
        from jinja2 import DictLoader, Environment, StrictUndefined
    except ImportError as error:
        raise ImportError(
            "A report needs jinja2, which is not installed. Install the extra: "
            'pip install "posterium[report]".'
        ) from error
    folder = files("posterium.report")
    texts = {name: (folder / name).read_text("utf-8") for name in ("page.html", "page.css")}
    environment = Environment(
        loader=DictLoader(texts), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html").render(context)


def contents(
    found: Subject, record: Mapping[str, Any], seconds: float | None, command: str | None
) -> dict[str, Any]:
    """Return everything the template shows."""
    sheet = Sheet()
    predictions = evaluated(found)
    sections, effects = None, None
    if predictions is not None:
        scored = of_classes if isinstance(predictions, Labels) else of_numbers
        sections = scored(found, predictions, sheet)  # type: ignore[arg-type]
        effects = effect_section(found, sheet)
    verdict = found.fit.verdict
    return {
        "title": ", ".join(found.targets[:3]) + (" …" if len(found.targets) > 3 else ""),
        "task": "Classification" if found.classes else "Regression",
        "source": plain(os.path.basename(found.source) or found.source),
        "verdict": verdict,
        "meaning": VERDICTS[verdict.status],
        "findings": list(zip(verdict.reasons, verdict.advice, strict=True)),
        "summary": _summary(found, sections, effects),
        "data_facts": data_facts(found),
        "warnings": warnings(found, record),
        "columns": column_summaries(found),
        "more_columns": max(0, len(found.columns) - LISTED),
        "facts_of_model": facts_of_model(found, record),
        "training": curves(found.fit.info, sheet),
        "two_terms": any(
            isinstance(record, Mapping) and "log_likelihood" in record
            for record in found.fit.info.values()
        ),
        "scored": scored_note(found, record),
        "sections": sections,
        "effects": effects,
        "command": command,
        "python": PYTHON if command is None else None,
        "facts_again": again(found, seconds),
    }


def _summary(found: Subject, sections: Sections | None, effects: EffectSection | None) -> list[str]:
    if sections is None:
        return ["The fit failed, and its predictions are not finite: there is nothing to score."]
    lines = [*sections.summary]
    if effects is not None and effects.summary:
        lines.append(effects.summary)
    return lines


def data_facts(found: Subject) -> list[tuple[str, str]]:
    """Return what the rows are, as names and texts."""
    held, n = found.held, len(found.x)
    if held is None:
        rows = f"{n:,}; which of them were fitted is not recorded"
    elif not held.any():
        rows = f"{n:,}, all fitted, none held out"
    elif held.all():
        rows = f"{n:,}, none of them fitted"
    else:
        rows = f"{n:,}: {int((~held).sum()):,} fitted, {int(held.sum()):,} held out"
    kinds = [column.kind for column in found.columns]
    kind_words = {"number": "of numbers", "boolean": "of yes or no", "categorical": "of categories"}
    parts = [f"{kinds.count(kind):,} {text}" for kind, text in kind_words.items() if kind in kinds]
    features = count(len(kinds), "column")
    features += f" {parts[0].split(' ', 1)[1]}" if len(parts) == 1 else f": {', '.join(parts)}"
    if found.x.shape[1] != len(kinds):
        features += f"; {found.x.shape[1]:,} inputs of the network"
    facts = [("Rows", rows), ("Features", features)]
    if found.classes:
        counts = np.bincount(found.y, minlength=len(found.classes))
        order = np.argsort(-counts, kind="stable")[:6]
        shares = [percent(c / n) if c == 0 or c / n >= 0.01 else "under 1%" for c in counts[order]]
        text = ", ".join(f"{found.classes[i]} {s}" for i, s in zip(order, shares, strict=True))
        if len(found.classes) > 6:
            text += f", {len(found.classes) - 6} more"
        facts.append((f"Classes of {found.targets[0]}", text))
        return facts
    for name, values in list(zip(found.targets, found.y.T, strict=True))[:6]:
        facts.append((
            f"Target {name}",
            f"{number(values.min())} to {number(values.max())}, mean {number(values.mean())}, "
            f"sd {number(values.std())}",
        ))  # fmt: skip
    return facts


def warnings(found: Subject, record: Mapping[str, Any]) -> list[str]:
    """Return what is odd about the data: notes of the fit, and those of the rows here."""
    notes = [plain(str(note)) for note in record.get("notes") or ()]
    scored = int(found.scored.sum())
    if scored < 30:
        notes.append(f"Only {count(scored, 'row')} scored: take scores and calibration as rough.")
    if found.x.shape[1] > record.get("n_train", found.fitted.sum()):
        notes.append("There are more columns than rows: effects of single columns mean little.")
    return notes


def scored_note(found: Subject, record: Mapping[str, Any]) -> str:
    """Say which rows the scores are on, and what that means."""
    n = count(int(found.scored.sum()), "row")
    if found.held is None:
        return (
            f"Scores are on the {n} given here. Whether the model was fitted to them is not "
            "recorded: if it was, the scores are better than they would be on new rows."
        )
    if not found.held.any():
        return (
            f"No rows were held out: scores are on the {n} that were fitted, and are better than "
            "they would be on new rows."
        )
    text = f"Scores are on the {n} held out, which the fit has not seen."
    if record.get("refit"):
        text += " The saved model is another: it was then fitted to all rows, in the same way."
    return text


PYTHON = "The same call of posterium in Python, with the seed and the versions below."


def again(found: Subject, seconds: float | None) -> list[tuple[str, str]]:
    """Return what is needed to get the same fit again."""
    facts = [("Seed", "of the caller" if found.seed is None else str(found.seed))]
    facts.append(("Computed in", found.fit.precision))
    if found.fit.devices > 1:
        facts.append(("Devices", str(found.fit.devices)))
    if seconds is not None:
        facts.append(("Time to fit", f"{seconds:.1f} s"))
    facts.append(("Python", platform.python_version()))
    for package in PACKAGES:
        try:
            facts.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return facts
