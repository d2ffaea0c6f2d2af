"""Files a command writes, checked before any work is done for them, and model files."""

import json
import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import posterium.combinators.resolve  # noqa: F401 (registers the records that files may name)
from posterium._struct import replace
from posterium.cli.options import check_draws
from posterium.posterior import store
from posterium.tables.encode import TableSpec
from posterium.tables.errors import UserError, plain, quote
from posterium.tables.fitted import Fitted
from posterium.tables.write import check_output, write_file


def check_outputs(
    paths: Mapping[str, str | None],
    *,
    overwrite: bool,
    inputs: list[str],
    going_on: Collection[str] = (),
) -> None:
    """Refuse files that cannot be written, are named twice, or are read by the same command.

    Parameters
    ----------
    paths
        The file of each option; None where it was not given.
    overwrite
        Whether files that are there are replaced.
    inputs
        Files that the command reads.
    going_on
        Options whose files may be there, since they are written on.
    """
    taken = {os.path.realpath(path): f"is read ({quote(path)})" for path in inputs}
    for option, path in paths.items():
        if path is None:
            continue
        if not path or path.endswith("/") or "\0" in path:
            raise UserError(f"{option}: {quote(path)} is not the name of a file.", "Give one.")
        check_output(path, overwrite=overwrite or option in going_on)
        if use := taken.get(os.path.realpath(path)):
            raise UserError(f"{option}: {quote(path)} {use} as well.", "Choose another name.")
        taken[os.path.realpath(path)] = f"is written by {option}"


def check_folder(option: str, path: str | None) -> None:
    """Refuse a folder that is not there and cannot be made, or cannot be written."""
    if path is None:
        return
    above = os.path.dirname(os.path.abspath(path)) if not os.path.isdir(path) else path
    if not path or "\0" in path or (os.path.exists(path) and not os.path.isdir(path)):
        raise UserError(f"{option}: {quote(path)} is not a folder.", "Give the name of a folder.")
    if not os.path.isdir(above):
        raise UserError(f"{option}: there is no folder {plain(above)}.", "Make it first.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UserError(
            f"{option}: no permission to write in {plain(above)}.", "Choose another folder."
        )


def write_json(values: Mapping[str, Any], path: str | None, *, overwrite: bool) -> None:
    """Write values as one JSON object; numbers that are not finite become null."""
    if path is not None:
        text = json.dumps(finite(values), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        write_file(text.encode(), path, overwrite=overwrite)


def finite(value: Any) -> Any:
    """Return a value with None in place of numbers that JSON cannot hold."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class Saved:
    """What a model file holds."""

    model: Fitted
    table: TableSpec
    """How the columns of a table become arrays."""
    record: dict[str, Any]
    """How it was fitted: method, settings, rows, what was odd about the table."""

    def drawing(self, draws: int | None) -> "Saved":
        """Return it with so many functions drawn for a prediction; None for as many as fitted."""
        if draws is None:
            return self
        check_draws(draws, len(self.table.classes))
        return Saved(replace(self.model, draws=draws), self.table, self.record)

    def write(self, path: str, *, overwrite: bool) -> None:
        """Write the file."""
        record = {**self.record, "posterium": version("posterium")}
        content = {"model": self.model, "table": self.table, "fit": record}
        store.save(content, path, overwrite=overwrite)


def read(path: str) -> Saved:
    """Return what a model file holds, or refuse it."""
    try:
        held = store.load(path)
    except FileNotFoundError:
        raise UserError(f"{plain(path)}: there is no such file.", "Check the path.") from None
    except PermissionError:
        raise UserError(
            f"{plain(path)} exists, but you may not read it.", "Ask for permission to read it."
        ) from None
    except store.ExternalError as error:
        raise UserError(
            f"{plain(path)} needs objects from your own code.", f"Use it from Python. {error}"
        ) from None
    except store.FileError as error:
        raise UserError(" ".join(str(error).split()), "Give a file that fit --out wrote.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{quote(path)} cannot be read: {error}.", "Check the path.") from None
    return _checked(held, path)


def _checked(held: Any, path: str) -> Saved:
    """Return the parts of a model file, or refuse one that is not from the command line."""
    if not isinstance(held, dict) or not isinstance(held.get("model"), Fitted):
        raise UserError(
            f"{plain(path)} holds no model of a table.", "Load it in Python: posterium.load(path)."
        )
    if not isinstance(held.get("table"), TableSpec):
        raise UserError(
            f"{plain(path)} was saved from Python and does not know its columns by name.",
            "Load it in Python: posterium.load(path).",
        )
    return Saved(held["model"], held["table"], dict(held.get("fit", {})))
