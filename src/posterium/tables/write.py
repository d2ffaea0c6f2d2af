"""Write predictions as CSV: whole or not at all, every number in the digits that give it back."""

import os
import stat
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from posterium.posterior.container import replace_file
from posterium.tables.errors import UserError, plain

SPECIAL = tuple("=+-@\t\r")
"""Beginnings of text that a spreadsheet might take for a formula."""


def regression_columns(
    mean: np.ndarray,
    sd: np.ndarray,
    aleatoric_sd: np.ndarray,
    epistemic_sd: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return the columns of a regression's predictions by name: each (n,), in target units."""
    return {
        "mean": mean,
        "sd": sd,
        "aleatoric_sd": aleatoric_sd,
        "epistemic_sd": epistemic_sd,
        "lower": lower,
        "upper": upper,
    }


def classification_columns(
    classes: Sequence[object],
    probs: np.ndarray,
    entropy: np.ndarray,
    mutual_information: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return the columns of a classification's predictions by name.

    Parameters
    ----------
    classes
        The k labels; the most probable one goes into the column `label`, as it was in the table.
    probs
        Probabilities, (n, k), one column `p_<class>` each.
    entropy, mutual_information
        Of each row, in nats, (n,).
    """
    probs = np.asarray(probs)
    labels = np.array(classes, dtype=object)[probs.argmax(axis=1)]
    each = {f"p_{label}": probs[:, i] for i, label in enumerate(classes)}
    return {"label": labels, **each, "entropy": entropy, "mutual_information": mutual_information}


def check_output(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Refuse a path that cannot be written, before any work is done for it.

    Raises
    ------
    UserError
        When the folder is not there or may not be written, or the path is taken.
    """
    path, source = os.fspath(path), plain(os.fspath(path))
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise UserError(
            f"{source} cannot be written: there is no folder {plain(folder)}.", "Make it first."
        )
    if not os.access(folder, os.W_OK):
        raise UserError(
            f"{source} cannot be written: no permission to write in {plain(folder)}.",
            "Choose another folder.",
        )
    if os.path.exists(path):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UserError(f"{source} is not a plain file.", "Give the name of a file.")
        if not overwrite:
            raise UserError(f"{source} exists already.", "Choose another name, or --overwrite.")


def write_table(
    columns: Mapping[str, np.ndarray],
    path: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write columns as a CSV file, which appears complete under its name or not at all.

    Parameters
    ----------
    columns
        Arrays of equal length n by column name, in the order to be written.
    path
        The file; None for standard output.
    overwrite
        Whether a file of that name is replaced.

    Raises
    ------
    UserError
        When the file exists already or cannot be written.
    """
    text = as_csv(columns).encode("utf-8")
    if path is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
        return
    write_file(text, path, overwrite=overwrite)


def write_file(content: bytes, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a file, which appears complete under its name or not at all.

    Raises
    ------
    UserError
        When the file exists already or cannot be written.
    """
    check_output(path, overwrite=overwrite)
    try:
        replace_file(path, [content])
    except OSError as error:
        raise UserError(
            f"{plain(os.fspath(path))} cannot be written: {error.strerror}.",
            "Free some space there, or choose another folder.",
        ) from None


def as_csv(columns: Mapping[str, np.ndarray]) -> str:
    """Return columns as CSV text, one line a row below a line of names."""
    written = [_cells(np.asarray(column)) for column in columns.values()]
    lines = [",".join(map(_quoted, columns))]
    lines += map(",".join, zip(*written, strict=True))
    return "\n".join(lines) + "\n"


def _cells(column: np.ndarray) -> list[str]:
    """Return the cells of one column: numbers with all digits they need, text quoted if need be.

    None is an empty cell.
    """
    if column.dtype == np.float64:
        return [repr(value) for value in column.tolist()]
    return ["" if v is None else _quoted(v) if isinstance(v, str) else str(v) for v in column]


def _quoted(text: str) -> str:
    """Return text as a cell that reads back as the same text and is not mistaken for a formula."""
    plain_text = text and not text.startswith(SPECIAL) and not set(text) & set('",\n\r')
    return text if plain_text else '"' + text.replace('"', '""') + '"'
