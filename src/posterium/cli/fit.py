"""`posterium fit`: hold rows out, fit the others, score, save."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from posterium.cli import files, options, results
from posterium.cli.messages import note
from posterium.cli.request import Request, checked
from posterium.cli.table import Training, training
from posterium.combinators.catalogue import ENTRIES
from posterium.driver.cache import enable_compilation_cache
from posterium.driver.devices import use_all_cores
from posterium.posterior.fit import Verdict
from posterium.tables.encode import fit_spec
from posterium.tables.errors import plain
from posterium.tables.fitted import Fitted
from posterium.tables.read import read_table
from posterium.tables.write import write_table


def run(data: str, *, strict: bool, **asked: Any) -> int:
    """Run the command; return its exit status."""
    entry = ENTRIES.get(asked["method"])
    if entry is not None and entry.sampled:
        use_all_cores()
    request = checked(data, **asked)
    if request.report is not None:
        _report().check_installed()
    table = read_table(request.data, **request.reading, target=request.target)
    spec, notes = fit_spec(table, request.target, request.task, **request.rules)
    options.check_draws(request.draws, len(spec.classes))
    rows = training(table, spec, notes, request.fraction, request.seed)
    method = request.check_plan(rows.spec, rows.table, ~rows.held)
    for text in rows.notes:
        note(text)
    _introduce(request, rows)
    enable_compilation_cache()
    outcome = _fit_all(request, rows)
    _write(request, rows, outcome)
    verdicts = [model.fit.verdict for model in outcome.models]
    for verdict in verdicts:
        results.announce(verdict, method)
    return results.status(verdicts, strict=strict)


def _report() -> Any:
    """Return the module that writes reports; it needs libraries that nothing else here does."""
    from posterium.cli import report

    return report


def _introduce(request: Request, rows: Training) -> None:
    """Print what is about to be done."""
    spec, held = rows.spec, rows.held
    d = len(spec.features.sources)
    print(
        f"{rows.table.source}: {len(held):,} rows, {d} feature{'s' if d > 1 else ''}, {spec.task} "
        f"of {plain(spec.target_name)}"
        + (f" ({len(spec.classes)} classes)" if spec.classes else "")
    )
    part = f"{held.sum():,} held out" if held.any() else "none held out"
    print(
        f"Fitting {np.sum(~held):,} rows ({part}), method {request.method}, seed {request.seed}",
        flush=True,
    )


@dataclass(frozen=True)
class Outcome:
    """What came of the fits.

    Parameters
    ----------
    models
        What was fitted to the rows that are not held out and, if asked for, to all of them; the
        last is the one to save.
    report
        Scores and the rest, by their JSON keys.
    predictions
        Columns of the held-out rows; None where there are none.
    """

    models: list[Fitted]
    report: dict[str, Any]
    predictions: dict[str, np.ndarray] | None


def _fit_all(request: Request, rows: Training) -> Outcome:
    """Fit the rows that are not held out, score the others, and fit all rows if asked."""
    held, began = rows.held, time.perf_counter()
    models = [
        request.fit(rows.spec, *rows.arrays(rows.spec, ~held), request.checkpoint, request.log)
    ]
    seconds = time.perf_counter() - began
    scores, predictions = _scored(rows, models[0])
    if request.refit and held.any():
        print(f"Fitting all {len(held):,} rows", flush=True)
        began = time.perf_counter()
        every = rows.arrays(rows.whole, np.ones(len(held), bool))
        models.append(request.fit(rows.whole, *every, request.refit_folder(), request.refit_log()))
        seconds += time.perf_counter() - began
    report = {
        "task": rows.spec.task,
        "method": request.method,
        "n_train": int(np.sum(~held)),
        "n_test": int(held.sum()),
        **scores,
        "seconds": round(seconds, 3),
        "verdict": Verdict.merge([model.fit.verdict for model in models]).status,
        "seed": request.seed,
    }
    return Outcome(models, report, predictions)


def _scored(rows: Training, model: Fitted) -> tuple[dict[str, Any], dict[str, np.ndarray] | None]:
    """Return the scores and the prediction columns of the held-out rows."""
    spec, held = rows.spec, rows.held
    if not held.any():
        return {}, None
    x, y = rows.arrays(spec, held)
    found = model.predict(x)
    if not results.usable(found, model.fit.verdict):
        note(results.NOT_FINITE)
        return {}, None
    columns = results.columns(found, spec.classes)
    columns["outside"] = spec.features.outside(rows.table.take(held))
    columns["row"] = rows.rows[held]
    columns |= results.observed(y, spec.classes)
    return results.scores(found, y), columns


def _write(request: Request, rows: Training, outcome: Outcome) -> None:
    """Print the scores, write the files and say which."""
    results.show(outcome.report)
    again = len(outcome.models) > 1
    spec = rows.whole if again else rows.spec
    n = len(rows.held) if again else int(np.sum(~rows.held))
    saved = files.Saved(outcome.models[-1], spec, request.record(n, rows.notes))
    if request.out is not None:
        saved.write(request.out, overwrite=request.overwrite)
        print(f"Model fitted to {n:,} rows: {plain(request.out)}")
    if request.predictions is not None and outcome.predictions is not None:
        write_table(outcome.predictions, request.predictions, overwrite=request.overwrite)
        print(f"Predictions of the held-out rows: {plain(request.predictions)}")
    if request.json is not None:
        files.write_json(outcome.report, request.json, overwrite=request.overwrite)
        print(f"Scores: {plain(request.json)}")
    if request.report is not None:
        _report().write(
            request.report, outcome.models[0], rows.spec, rows.table, rows.held,
            record=saved.record, source=request.data, seconds=outcome.report["seconds"],
            overwrite=request.overwrite,
        )  # fmt: skip
        print(f"Report: {plain(request.report)}")
