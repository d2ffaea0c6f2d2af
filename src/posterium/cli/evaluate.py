"""`posterium evaluate`: the scores of a saved model on a table that holds the target."""

import time
from collections.abc import Mapping
from typing import Any

from posterium.cli import files, options, results
from posterium.cli.messages import DONE, FAILED, note, say
from posterium.cli.table import rows_of
from posterium.driver.cache import enable_compilation_cache
from posterium.tables.errors import plain


def run(
    model: str, data: str, *, json: str | None, draws: str | None, reading: Mapping[str, Any],
    missing: str | None, unseen: str | None, overwrite: bool,
) -> int:  # fmt: skip
    """Run the command; return its exit status."""
    number = options.draws(draws)
    inputs = [path for path in (model, data) if path != "-"]
    files.check_outputs({"--json": json}, overwrite=overwrite, inputs=inputs)
    saved = files.read(model).drawing(number)
    rows = rows_of(data, saved, reading, missing, unseen, target=True)
    y = rows.spec.target(rows.table)
    for text in rows.notes:
        note(text)
    enable_compilation_cache()
    began = time.perf_counter()
    found = saved.model.predict(rows.x)
    if not results.usable(found, saved.model.fit.verdict):
        say(f"{results.NOT_FINITE}\nFit again; posterium info {model} shows the verdict.")
        return FAILED
    report = {
        "task": saved.table.task,
        "method": saved.record["method"],
        "n_train": saved.record["n_train"],
        "n_test": len(y),
        **results.scores(found, y),
        "seconds": round(time.perf_counter() - began, 3),
        "verdict": saved.model.fit.verdict.status,
        "seed": saved.model.seed,
    }
    results.show(report)
    files.write_json(report, json, overwrite=overwrite)
    if json is not None:
        print(f"Scores: {plain(json)}")
    return DONE
