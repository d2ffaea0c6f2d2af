"""`posterium evaluate`: the scores of a saved model on a table that holds the target."""

import time

from posterium.cli import files, results
from posterium.cli.messages import DONE, FAILED, note, say
from posterium.driver.cache import enable_compilation_cache
from posterium.tables.errors import UserError
from posterium.tables.read import read_table


def run(model: str, data: str, *, json: str | None, overwrite: bool) -> int:
    """Run the command; return its exit status."""
    inputs = [path for path in (model, data) if path != "-"]
    files.check_outputs({"--json": json}, overwrite=overwrite, inputs=inputs)
    saved = files.read(model)
    table = read_table(data)
    if not len(table):
        raise UserError(f"{table.source}: 0 data rows, nothing to score.", "Give rows.")
    x, y = saved.table.features(table), saved.table.target(table)
    for text in table.notes:
        note(text)
    enable_compilation_cache()
    began = time.perf_counter()
    found = saved.model.predict(x)
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
    return DONE
