"""`posterium predict`: the rows of a table through a saved model."""

from collections.abc import Mapping
from typing import Any

from posterium.cli import files, options, results
from posterium.cli.messages import DONE, FAILED, note, say
from posterium.cli.table import far_note, rows_of
from posterium.driver.cache import enable_compilation_cache
from posterium.tables.errors import plain
from posterium.tables.write import write_table


def run(
    model: str, data: str, *, out: str | None, level: str, draws: str | None,
    reading: Mapping[str, Any], missing: str | None, unseen: str | None, overwrite: bool,
) -> int:  # fmt: skip
    """Run the command; return its exit status."""
    probability, number = options.level(level), options.draws(draws)
    inputs = [path for path in (model, data) if path != "-"]
    files.check_outputs({"--out": out}, overwrite=overwrite, inputs=inputs)
    saved = files.read(model).drawing(number)
    rows = rows_of(data, saved, reading, missing, unseen)
    distance = rows.outside()
    for text in (*rows.notes, *far_note(distance)):
        note(text)
    enable_compilation_cache()
    found = saved.model.predict(rows.x)
    if not results.usable(found, saved.model.fit.verdict):
        say(f"{results.NOT_FINITE}\nFit again; posterium info {model} shows the verdict.")
        return FAILED
    columns = results.columns(found, saved.table.classes, probability) | {"outside": distance}
    write_table(results.spread(columns, rows.complete), out, overwrite=overwrite)
    if out is not None:
        print(f"Predictions of {len(rows.x):,} rows: {plain(out)}")
    return DONE
