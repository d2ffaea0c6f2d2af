"""`posterium report`, and the report that `posterium fit --report` writes."""

import importlib.util
import os
import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np

from posterium.cli import files
from posterium.cli.messages import DONE, note
from posterium.cli.table import rows_of
from posterium.driver.cache import enable_compilation_cache
from posterium.report import report
from posterium.tables.columns import written
from posterium.tables.encode import TableSpec
from posterium.tables.errors import UserError, plain
from posterium.tables.fitted import Fitted
from posterium.tables.table import Table


def run(
    model: str, data: str, *, out: str | None, reading: Mapping[str, Any], missing: str | None,
    unseen: str | None, overwrite: bool,
) -> int:  # fmt: skip
    """Write a report on a saved model and a table that holds the target; return exit status."""
    check_installed()
    out = "report.html" if out is None else out
    inputs = [path for path in (model, data) if path != "-"]
    files.check_outputs({"--out": out}, overwrite=overwrite, inputs=inputs)
    saved = files.read(model)
    rows = rows_of(data, saved, reading, missing, unseen, target=True)
    for text in rows.notes:
        note(text)
    enable_compilation_cache()
    write(out, saved.model, rows.spec, rows.table, None, record=saved.record, overwrite=overwrite)
    print(f"Report: {plain(out)}")
    return DONE


def check_installed() -> None:
    """Refuse to go on where what a report is drawn and written with is not installed."""
    absent = [name for name in ("matplotlib", "jinja2") if importlib.util.find_spec(name) is None]
    if absent:
        raise UserError(
            f"A report needs {' and '.join(absent)}, which is not installed.",
            'Install it: pip install "posterium[report]"',
        )


def write(
    path: str,
    model: Fitted,
    spec: TableSpec,
    table: Table,
    held: np.ndarray | None,
    *,
    record: Mapping[str, Any],
    source: str = "DATA",
    seconds: float | None = None,
    overwrite: bool = False,
) -> None:
    """Write the report on a fit to a table.

    Parameters
    ----------
    path
        The file to write.
    model, spec
        The fit that was scored (of a fit and its refit: the first), and how its table is encoded.
    table
        The rows fitted and the rows held out, all of which `spec` can encode.
    held
        Which rows were held out, (n,) booleans; None where that is not known.
    record
        What a model file says of the fit: ``method``, ``settings``, ``n_train``, ``notes``.
    source
        What the command on the page reads.
    seconds
        What fitting took; None where this process did not fit.
    overwrite
        Whether a file of that name is replaced.
    """
    report(
        model, table, path, spec=spec, held_out=held, record=record, seconds=seconds,
        command=command_of(record, spec, model, source, path), overwrite=overwrite,
    )  # fmt: skip


def command_of(
    record: Mapping[str, Any], spec: TableSpec, model: Fitted, source: str, path: str
) -> str | None:
    """Return the command that makes a fit and its report; None where no command made the fit."""
    if "test_fraction" not in record:
        return None
    words = ["posterium", "fit", source, "--target", spec.target_name, "--task", spec.task]
    words += ["--method", str(record["method"]), *_repeated("--set", record.get("settings"))]
    for name in ("likelihood", "prior", "prior_precision", "noise_sd", "precision"):
        words += _option(name, record.get(name))
    words += ["--test-fraction", written(record["test_fraction"]), "--seed", str(model.seed)]
    words += _option("draws", model.draws) + (["--refit"] if record.get("refit") else [])
    for name, value in {**record.get("reading", {}), **record.get("rules", {})}.items():
        if name == "header":
            words += ["--header" if value else "--no-header"]
        else:
            words += (
                _repeated(f"--{name}", value) if isinstance(value, list) else _option(name, value)
            )
    return shlex.join([*words, "--report", os.path.basename(path)])


def _option(name: str, value: Any) -> list[str]:
    """Return an option with its value; nothing where it was not given."""
    return [] if value is None else [f"--{name.replace('_', '-')}", str(value)]


def _repeated(option: str, values: Any) -> list[str]:
    return [word for value in values or () for word in (option, str(value))]
