"""`posterium fit`: hold rows out, fit the others, score, save."""

import os
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from posterium.cli import files, options, results, settings
from posterium.cli.messages import Stopped, note
from posterium.cli.split import held_out
from posterium.combinators import catalogue
from posterium.driver.cache import enable_compilation_cache
from posterium.tables.encode import TableSpec, fit_spec
from posterium.tables.errors import UserError, plain
from posterium.tables.fitted import Fitted, fit_table
from posterium.tables.read import Table, read_table
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

    def fit(self, spec: TableSpec, x: np.ndarray, y: np.ndarray, folder: str | None) -> Fitted:
        """Fit rows x (n, d) with targets y (n,)."""
        method, model = catalogue.resolve(
            spec.task, self.method, None, None, self.likelihood,
            rows=len(x), targets=len(spec.classes) or 1,
        )  # fmt: skip
        try:
            return fit_table(
                settings.apply(method, self.settings), model, x, y, classes=spec.classes,
                seed=self.seed, draws=self.draws, checkpoint=folder, progress=sys.stderr.isatty(),
            )  # fmt: skip
        except KeyboardInterrupt as error:
            raise Stopped(_how_to_resume(self.checkpoint)) from error


def run(data: str, *, strict: bool, **asked: Any) -> int:
    """Run the command; return its exit status."""
    request = Request(
        data, settings=tuple(asked.pop("settings")), seed=options.seed(asked.pop("seed")),
        draws=options.draws(asked.pop("draws")), fraction=options.fraction(asked.pop("test_fraction")),
        **asked,
    )  # fmt: skip
    request.check()
    table = read_table(data)
    spec, notes = fit_spec(table, request.target, request.task)
    x, y = spec.features(table), spec.target(table)
    held, more = held_out(y, spec.classes, request.fraction, request.seed)
    notes = [*table.notes, *notes, *more]
    for text in notes:
        note(text)
    _introduce(request, table, spec, held)
    enable_compilation_cache()
    return _fit_and_report(request, spec, (x, y, held), notes, strict)


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


def _fit_and_report(
    request: Request,
    spec: TableSpec,
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
    notes: list[str],
    strict: bool,
) -> int:
    """Fit, score, fit again if asked, and write everything; return the exit status."""
    x, y, held = rows
    began = time.perf_counter()
    model = request.fit(spec, x[~held], y[~held], request.checkpoint)
    seconds = time.perf_counter() - began
    verdicts, n_train = [model.fit.verdict], int(np.sum(~held))
    found = model.predict(x[held]) if held.any() else None
    if found is not None and not results.finite(found):
        note(results.NOT_FINITE)
        found = None
    scores = {} if found is None else results.scores(found, y[held])
    if request.refit and held.any():
        print(f"Fitting all {len(x):,} rows", flush=True)
        began = time.perf_counter()
        model = request.fit(spec, x, y, _inside(request.checkpoint, "refit"))
        seconds += time.perf_counter() - began
        verdicts.append(model.fit.verdict)
    report = {
        "task": spec.task,
        "method": request.method,
        "n_train": n_train,
        "n_test": int(held.sum()),
        **scores,
        "seconds": round(seconds, 3),
        "verdict": model.fit.verdict.merge(verdicts).status,
        "seed": request.seed,
    }
    results.show(report)
    if found is not None and request.predictions is not None:
        table = results.columns(found, spec.classes)
        table["row"] = np.flatnonzero(held) + 1
        table["observed"] = _observed(spec, y[held])
        write_table(table, request.predictions, overwrite=request.overwrite)
    files.write_json(report, request.json, overwrite=request.overwrite)
    _save(request, spec, model, notes, len(x) if len(verdicts) > 1 else n_train)
    for verdict in verdicts:
        results.announce(verdict)
    return results.status(verdicts, strict=strict)


def _save(request: Request, spec: TableSpec, model: Fitted, notes: list[str], n_train: int) -> None:
    """Write the model file, and say which files there are."""
    if request.out is not None:
        record = {
            "method": request.method,
            "settings": list(request.settings),
            "n_train": n_train,
            "test_fraction": request.fraction,
            "refit": request.refit,
            "notes": notes,
        }
        saved = files.Saved(model, spec, record)
        saved.write(request.out, overwrite=request.overwrite)
        print(f"Model fitted to {n_train:,} rows: {plain(request.out)}")
    if request.predictions is not None and os.path.exists(request.predictions):
        print(f"Predictions of the held-out rows: {plain(request.predictions)}")
    if request.json is not None:
        print(f"Scores: {plain(request.json)}")


def _observed(spec: TableSpec, y: np.ndarray) -> np.ndarray:
    return np.array(spec.classes, dtype=object)[y] if spec.classes else y


def _inside(folder: str | None, name: str) -> str | None:
    return None if folder is None else os.path.join(folder, name)


def _how_to_resume(checkpoint: str | None) -> str:
    if checkpoint is None:
        return "Interrupted; nothing was written. With --checkpoint DIR a fit can be resumed."
    return f"Interrupted. The same command goes on from {plain(checkpoint)}."
