"""What `posterium fit` was asked for, in checked form."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from posterium._struct import replace
from posterium.cli import files, options, space
from posterium.cli.messages import Stopped, halves
from posterium.cli.settings import apply_settings
from posterium.combinators.resolve import resolve
from posterium.driver.loggers.files import CSVLogger, JSONLLogger
from posterium.driver.protocol import Method
from posterium.model.data import as_data
from posterium.model.likelihoods.base import LEAST_NOISE
from posterium.model.likelihoods.gaussian import Gaussian
from posterium.model.model import Model
from posterium.tables.encode import TableSpec
from posterium.tables.errors import UserError, plain, quote
from posterium.tables.fitted import Fitted, fit_table
from posterium.tables.scaling import Standardiser, mean_count, noise_floor
from posterium.tables.table import Table

LOGGERS: dict[str, Any] = {".jsonl": JSONLLogger, ".csv": CSVLogger}
"""Loggers by the ending of their files."""
REFIT_LOG = "--log (--refit)"


@dataclass(frozen=True)
class Request:
    """What was asked for; the fields are the options of the command."""

    data: str
    target: str
    task: str | None
    method: str
    settings: tuple[str, ...]
    likelihood: str | None
    prior: str | None
    prior_precision: float | None
    noise_sd: float | None
    precision: str | None
    out: str | None
    predictions: str | None
    json: str | None
    report: str | None
    log: str | None
    fraction: float
    refit: bool
    draws: int | None
    seed: int
    checkpoint: str | None
    reading: Mapping[str, Any]
    rules: Mapping[str, Any]
    """How columns are encoded: `missing`, `unseen`, `categorical`, `drop`, `event`."""
    overwrite: bool

    @property
    def outputs(self) -> dict[str, str | None]:
        """The file of each option that names one."""
        return {
            "--out": self.out,
            "--predictions": self.predictions,
            "--json": self.json,
            "--report": self.report,
            "--log": self.log,
            REFIT_LOG: self.refit_log() if self.refit else None,
        }

    def check(self) -> None:
        """Refuse what cannot be done, before the table is read."""
        if self.predictions is not None and self.fraction == 0:
            raise UserError(
                "--predictions is for held-out rows, and --test-fraction 0 holds out none.",
                "Leave one of them out, or use posterium predict on the saved model.",
            )
        if self.report is not None and "event" in self.rules:
            raise UserError(
                "--report shows predictions beside whole times; with --event some are cut off.",
                "Leave --report out; the scores are printed, and --predictions has every row.",
            )
        if self.checkpoint is not None and self.data == "-":
            raise UserError(
                "--checkpoint needs data that can be read again; - is standard input.",
                "Give the name of a file.",
            )
        inputs = [] if self.data == "-" else [self.data]
        if self.prior_precision is not None and self.prior not in (None, "normal"):
            raise UserError(
                "--prior-precision is the precision of a normal prior.",
                "Leave it out, or leave out --prior.",
            )
        if self.log is not None and os.path.splitext(self.log)[1] not in LOGGERS:
            raise UserError(
                f"--log writes {' or '.join(LOGGERS)}; got {quote(self.log)}.", "Name it so."
            )
        files.check_outputs(
            self.outputs, overwrite=self.overwrite, inputs=inputs,
            going_on=("--log", REFIT_LOG) if self.checkpoint is not None else (),
        )  # fmt: skip
        files.check_folder("--checkpoint", self.checkpoint)

    def plan(self, spec: TableSpec, y: np.ndarray) -> tuple[Method, Model]:
        """Return the method and the model for targets y, or refuse what was asked for."""
        weight = np.ones(len(y))
        floor = LEAST_NOISE if spec.classes else noise_floor(y, weight)
        try:
            method, model = resolve(
                spec.task, self.method, None, self.prior, self._likelihood(spec, y),
                rows=len(y), targets=len(spec.classes) or y.reshape(len(y), -1).shape[1],
                floor=floor, mean=1.0 if spec.classes else mean_count(y, weight),
            )  # fmt: skip
        except ValueError as error:
            why = (
                ""
                if self.task
                else f"; {plain(self.target)} decides on the task unless --task does"
            )
            raise UserError(*halves(error, f"Choose one of these{why}.")) from None
        if self.prior_precision is not None:
            model = replace(model, prior=replace(model.prior, precision=self.prior_precision))
        return apply_settings(method, self.settings), model

    def _likelihood(self, spec: TableSpec, y: np.ndarray) -> Any:
        """Return the likelihood asked for: a name, none, or one of a fixed noise."""
        if spec.event_name is not None and self.likelihood not in (None, "weibull"):
            raise UserError(
                f"--event is for --likelihood weibull, not {plain(self.likelihood)}.",
                "Leave one of them out.",
            )
        if self.likelihood == "weibull" and spec.event_name is None:
            raise UserError(
                "--likelihood weibull takes the column of the event too.",
                "Give --event COLUMN: 1 where the event was seen, 0 where the time was cut off.",
            )
        if self.noise_sd is None:
            return "weibull" if spec.event_name is not None else self.likelihood
        if spec.classes or spec.event_name or self.likelihood not in (None, "gaussian"):
            raise UserError(
                "--noise-sd is for a regression with --likelihood gaussian.", "Leave it out."
            )
        sd = Standardiser.of(y[:, None], np.ones(len(y))).scale[0]
        return Gaussian(self.noise_sd / float(sd))

    def check_plan(self, spec: TableSpec, table: Table, rows: np.ndarray) -> Method:
        """Return the method, or refuse what it does not take or the disk does not hold.

        Parameters
        ----------
        spec, table
            How the complete rows are encoded.
        rows
            Which of them are fitted, (n,).
        """
        part = table.take(rows)
        x, y = spec.features.encode(part), spec.target(part)
        method, model = self.plan(spec, y)
        spec.refuse_misfit(table, model.likelihood)
        data = as_data(x, y)
        try:
            method.phases(model, data)
        except ValueError as error:
            fix = "Choose other settings by --set, --method, --prior or --likelihood."
            raise UserError(*halves(error, fix)) from None
        self._check_space(len(y), *space.sizes(method, model, data, self.precision))
        return method

    def _check_space(self, rows: int, fit: int, checkpoints: int) -> None:
        sizes = {
            "--out": fit,
            "--predictions": round(rows * self.fraction * space.ROW),
            "--json": 0,
            "--report": 0,
            "--log": 0,
            REFIT_LOG: 0,
        }
        needed = {name: (path, sizes[name]) for name, path in self.outputs.items() if path}
        if self.checkpoint is not None:
            needed["--checkpoint"] = (self.checkpoint, checkpoints * (1 + self.refit))
        space.check(needed)

    def fit(
        self, spec: TableSpec, x: np.ndarray, y: np.ndarray, folder: str | None, log: str | None
    ) -> Fitted:
        """Fit rows x (n, d) with targets y (n,); keep checkpoints in a folder, a log in a file."""
        method, model = self.plan(spec, y)
        loggers = [] if log is None else [LOGGERS[os.path.splitext(log)[1]](log)]
        try:
            with _watched() as bars:
                callbacks = [*bars, *loggers]
                return fit_table(
                    method, model, x, y, classes=spec.classes, seed=self.seed, draws=self.draws,
                    precision=self.precision, checkpoint=folder, callbacks=callbacks,
                )  # fmt: skip
        except KeyboardInterrupt as error:
            raise Stopped(_how_to_resume(self.checkpoint)) from error

    def refit_folder(self) -> str | None:
        """Return where the checkpoints of the refit are kept."""
        return None if self.checkpoint is None else os.path.join(self.checkpoint, "refit")

    def refit_log(self) -> str | None:
        """Return where the log of the refit goes: beside that of the fit before."""
        return None if self.log is None else "-refit".join(os.path.splitext(self.log))

    def record(self, rows: int, notes: tuple[str, ...]) -> dict[str, Any]:
        """Return what the model file says of the fit to so many rows."""
        return {
            "method": self.method,
            "settings": list(self.settings),
            "likelihood": self.likelihood,
            "prior": self.prior,
            "prior_precision": self.prior_precision,
            "noise_sd": self.noise_sd,
            "precision": self.precision,
            "n_train": rows,
            "test_fraction": self.fraction,
            "refit": self.refit,
            "reading": dict(self.reading),
            "rules": {k: list(v) if isinstance(v, tuple) else v for k, v in self.rules.items()},
            "notes": list(notes),
        }


def checked(
    data: str, *, settings: list[str] | None, seed: str, draws: str | None, test_fraction: str,
    prior_precision: str | None, noise_sd: str | None, precision: str | None,
    missing: str | None, unseen: str | None, categorical: list[str] | None,
    drop: list[str] | None, event: str | None, **asked: Any,
) -> Request:  # fmt: skip
    """Return a request from the options as they were written, or refuse them."""
    rules = {
        "missing": missing, "unseen": unseen, "categorical": tuple(categorical or ()),
        "drop": tuple(drop or ()), "event": event,
    }  # fmt: skip
    request = Request(
        data,
        settings=tuple(settings or ()),
        seed=options.seed(seed),
        draws=options.draws(draws),
        fraction=options.fraction(test_fraction),
        prior_precision=options.positive("--prior-precision", prior_precision),
        noise_sd=options.positive("--noise-sd", noise_sd),
        precision=options.one_of("--precision", precision, ("float32", "float64")),
        rules={name: value for name, value in rules.items() if value not in (None, ())},
        **asked,
    )
    request.check()
    return request


@contextlib.contextmanager
def _watched() -> Iterator[list[Any]]:
    """Yield what shows the progress of a fit: nothing where nobody looks."""
    if not sys.stderr.isatty():
        yield []
        return
    from posterium.cli.progress import Bars

    with Bars() as bars:
        yield [bars]


def _how_to_resume(checkpoint: str | None) -> str:
    if checkpoint is None:
        return "Interrupted; nothing was written. With --checkpoint DIR a fit can be resumed."
    return f"Interrupted. The same command goes on from {plain(checkpoint)}."
