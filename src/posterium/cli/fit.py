"""`posterium fit`: hold rows out, fit the others, score, save."""

import os
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from posterium.cli import files, options, results
from posterium.cli.messages import Stopped, halves, note
from posterium.cli.settings import apply_settings
from posterium.cli.split import held_out
from posterium.combinators import catalogue
from posterium.driver.cache import enable_compilation_cache
from posterium.driver.protocol import Method
from posterium.model.data import as_data
from posterium.model.likelihood import LEAST_NOISE
from posterium.model.model import Model
from posterium.posterior.fit import Verdict
from posterium.tables.encode import TableSpec, fit_spec
from posterium.tables.errors import UserError, plain
from posterium.tables.fitted import Fitted, fit_table
from posterium.tables.read import Table, read_table
from posterium.tables.scaling import noise_floor
from posterium.tables.write import write_table


@dataclass(frozen=True)
class Request:
    """What was asked for, in checked form; the fields are the options of the command."""

    data: str
    target: str
    task: str | None
    method: str
    settings: tuple[str, ...]
    likelihood: str | None
    out: str | None
    predictions: str | None
    json: str | None
    fraction: float
    refit: bool
    draws: int | None
    seed: int
    checkpoint: str | None
    overwrite: bool

    def check(self) -> None:
        """Refuse what cannot be done, before the table is read."""
        if self.predictions is not None and self.fraction == 0:
            raise UserError(
                "--predictions is for held-out rows, and --test-fraction 0 holds out none.",
                "Leave one of them out, or use posterium predict on the saved model.",
            )
        if self.checkpoint is not None and self.data == "-":
            raise UserError(
                "--checkpoint needs data that can be read again; - is standard input.",
                "Give the name of a file.",
            )
        paths = {"--out": self.out, "--predictions": self.predictions, "--json": self.json}
        inputs = [] if self.data == "-" else [self.data]
        files.check_outputs(paths, overwrite=self.overwrite, inputs=inputs)
        files.check_folder("--checkpoint", self.checkpoint)

    def plan(self, spec: TableSpec, y: np.ndarray) -> tuple[Method, Model]:
        """Return the method and the model for targets y (n,), or refuse what was asked for."""
        floor = LEAST_NOISE if spec.classes else noise_floor(y, np.ones(len(y)))
        try:
            method, model = catalogue.resolve(
                spec.task, self.method, None, None, self.likelihood,
                rows=len(y), targets=len(spec.classes) or 1, floor=floor,
            )  # fmt: skip
        except ValueError as error:
            raise UserError(*halves(error, "Choose one of these.")) from None
        return apply_settings(method, self.settings), model

    def fit(self, spec: TableSpec, x: np.ndarray, y: np.ndarray, folder: str | None) -> Fitted:
        """Fit rows x (n, d) with targets y (n,)."""
        method, model = self.plan(spec, y)
        try:
            return fit_table(
                method, model, x, y, classes=spec.classes, seed=self.seed, draws=self.draws,
                checkpoint=folder, progress=sys.stderr.isatty(),
            )  # fmt: skip
        except KeyboardInterrupt as error:
            raise Stopped(_how_to_resume(self.checkpoint)) from error


def run(
    data: str, *, settings: list[str], seed: str, draws: str | None, test_fraction: str,
    strict: bool, **asked: Any,
) -> int:  # fmt: skip
    """Run the command; return its exit status."""
    request = Request(
        data, settings=tuple(settings), seed=options.seed(seed), draws=options.draws(draws),
        fraction=options.fraction(test_fraction), **asked,
    )  # fmt: skip
    request.check()
    table = read_table(data)
    spec, notes = fit_spec(table, request.target, request.task)
    x, y = spec.features(table), spec.target(table)
    held, more = held_out(y, spec.classes, request.fraction, request.seed)
    options.check_draws(request.draws, len(spec.classes))
    method, model = request.plan(spec, y[~held])
    _check_plan(method, model, x, y)
    notes = [*table.notes, *notes, *more]
    for text in notes:
        note(text)
    _introduce(request, table, spec, held)
    enable_compilation_cache()
    outcome = _fit_all(request, spec, x, y, held)
    _write(request, spec, outcome, notes)
    return results.status(outcome.verdicts, strict=strict)


def _check_plan(method: Method, model: Model, x: np.ndarray, y: np.ndarray) -> None:
    """Refuse a method that does not take the model, before anything is said or computed."""
    try:
        method.phases(model, as_data(x, y))
    except ValueError as error:
        fix = "Choose other settings by --set, --method or --likelihood."
        raise UserError(*halves(error, fix)) from None


def _introduce(request: Request, table: Table, spec: TableSpec, held: np.ndarray) -> None:
    """Print what is about to be done."""
    d = len(spec.feature_names)
    print(
        f"{table.source}: {len(table):,} rows, {d} feature{'s' if d > 1 else ''}, {spec.task} of "
        f"{plain(spec.target_name)}" + (f" ({len(spec.classes)} classes)" if spec.classes else "")
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
    model
        The model to save.
    rows
        How many rows it was fitted to.
    report
        Scores and the rest, by their JSON keys.
    predictions
        Columns of the held-out rows; None where there are none.
    verdicts
        Of each fit made.
    """

    model: Fitted
    rows: int
    report: dict[str, Any]
    predictions: dict[str, np.ndarray] | None
    verdicts: list[Verdict]


def _fit_all(
    request: Request, spec: TableSpec, x: np.ndarray, y: np.ndarray, held: np.ndarray
) -> Outcome:
    """Fit the rows that are not held out, score the others, and fit all rows if asked."""
    began = time.perf_counter()
    model = request.fit(spec, x[~held], y[~held], request.checkpoint)
    seconds = time.perf_counter() - began
    verdicts, rows = [model.fit.verdict], int(np.sum(~held))
    scores, predictions = _scored(spec, model, x, y, held)
    if request.refit and held.any():
        print(f"Fitting all {len(x):,} rows", flush=True)
        began = time.perf_counter()
        model = request.fit(spec, x, y, _inside(request.checkpoint, "refit"))
        seconds += time.perf_counter() - began
        verdicts.append(model.fit.verdict)
        rows = len(x)
    report = {
        "task": spec.task,
        "method": request.method,
        "n_train": int(np.sum(~held)),
        "n_test": int(held.sum()),
        **scores,
        "seconds": round(seconds, 3),
        "verdict": Verdict.merge(verdicts).status,
        "seed": request.seed,
    }
    return Outcome(model, rows, report, predictions, verdicts)


def _scored(
    spec: TableSpec, model: Fitted, x: np.ndarray, y: np.ndarray, held: np.ndarray
) -> tuple[dict[str, Any], dict[str, np.ndarray] | None]:
    """Return the scores and the prediction columns of the held-out rows."""
    if not held.any():
        return {}, None
    found = model.predict(x[held])
    if not results.usable(found, model.fit.verdict):
        note(results.NOT_FINITE)
        return {}, None
    columns = results.columns(found, spec.classes)
    columns["row"] = np.flatnonzero(held) + 1
    columns["observed"] = np.array(spec.classes, object)[y[held]] if spec.classes else y[held]
    return results.scores(found, y[held]), columns


def _write(request: Request, spec: TableSpec, outcome: Outcome, notes: list[str]) -> None:
    """Print the report, write the files and say which, and complain of the verdicts."""
    results.show(outcome.report)
    if request.out is not None:
        record = {
            "method": request.method,
            "settings": list(request.settings),
            "n_train": outcome.rows,
            "test_fraction": request.fraction,
            "refit": request.refit,
            "notes": notes,
        }
        saved = files.Saved(outcome.model, spec, record)
        saved.write(request.out, overwrite=request.overwrite)
        print(f"Model fitted to {outcome.rows:,} rows: {plain(request.out)}")
    if request.predictions is not None and outcome.predictions is not None:
        write_table(outcome.predictions, request.predictions, overwrite=request.overwrite)
        print(f"Predictions of the held-out rows: {plain(request.predictions)}")
    if request.json is not None:
        files.write_json(outcome.report, request.json, overwrite=request.overwrite)
        print(f"Scores: {plain(request.json)}")
    for verdict in outcome.verdicts:
        results.announce(verdict)


def _inside(folder: str | None, name: str) -> str | None:
    return None if folder is None else os.path.join(folder, name)


def _how_to_resume(checkpoint: str | None) -> str:
    if checkpoint is None:
        return "Interrupted; nothing was written. With --checkpoint DIR a fit can be resumed."
    return f"Interrupted. The same command goes on from {plain(checkpoint)}."
