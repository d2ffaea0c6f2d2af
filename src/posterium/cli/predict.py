"""`posterium predict`: the rows of a table through a saved model."""

from posterium.cli import files, options, results
from posterium.cli.messages import DONE, FAILED, note, say
from posterium.driver.cache import enable_compilation_cache
from posterium.tables.read import read_table
from posterium.tables.write import write_table


def run(model: str, data: str, *, out: str | None, level: str, overwrite: bool) -> int:
    """Run the command; return its exit status."""
    probability = options.level(level)
    inputs = [path for path in (model, data) if path != "-"]
    files.check_outputs({"--out": out}, overwrite=overwrite, inputs=inputs)
    saved = files.read(model)
    table = read_table(data)
    x = saved.table.features(table)
    for text in (*table.notes, *saved.table.unused(table)):
        note(text)
    enable_compilation_cache()
    found = saved.model.predict(x)
    if not results.usable(found, saved.model.fit.verdict):
        say(f"{results.NOT_FINITE}\nFit again; posterium info {model} shows the verdict.")
        return FAILED
    columns = results.columns(found, saved.table.classes, probability)
    write_table(columns, out, overwrite=overwrite)
    return DONE
