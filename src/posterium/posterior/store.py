"""Store: records to one file and back."""

import os
from typing import Any

from posterium.posterior import container
from posterium.posterior.container import FileError, PathLike
from posterium.posterior.decode import decode
from posterium.posterior.encode import encode
from posterium.posterior.probe import ExternalError

__all__ = ["ExternalError", "FileError", "load", "save"]


def save(value: Any, path: PathLike, *, overwrite: bool = False) -> None:
    """Write a record, or plain containers of records, to a file that `load` reads.

    The file holds JSON and arrays, a digest of itself, no times and no code. It is written whole
    or not at all, and equal values give equal bytes.

    Parameters
    ----------
    value
        A Fit, any other record, or a dict, list or tuple of such and of arrays, typed random keys,
        numbers, strings and None.
    path
        Where to write; customarily ending in ``.posterium``.
    overwrite
        True replaces a file that is there.

    Raises
    ------
    FileExistsError
        There is a file at `path` and `overwrite` is False.
    TypeError
        Something outside of a model's network, prior and likelihood cannot be stored.
    OSError
        The disk is full, the directory is missing or read-only.

    Notes
    -----
    No row of the data is in the file: of a fit's data it holds their number and the least and
    greatest value of each input, and what was learned from them. The one exception is
    `Laplace("functional")`, which predicts from the inputs it was fitted to. Of a network, prior or
    likelihood of one's own it holds the numbers, and what they compute at four inputs made up
    within those ranges, by which `load` knows them again.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"The second argument is the path of a file; got a {type(path).__name__}. "
            "Call save(fit, path)."
        )
    if not overwrite and os.path.lexists(path):
        raise FileExistsError(f"{path} exists. Pass overwrite=True, or choose another name.")
    node, arrays = encode(value)
    container.write(path, arrays, {"kind": "model", "value": node})


def load(path: PathLike, **externals: Any) -> Any:
    """Return what `save` wrote; arrays come back as NumPy arrays.

    Parameters
    ----------
    path
        A file that `save` wrote.
    **externals
        `network`, `prior`, `likelihood`: the user's own objects that the file only refers to. Their
        numbers are those that were saved; what the file holds itself is taken from the file. They
        must have the same weights, by path and shape, and compute the same, up to rounding, as
        the ones that were saved.

    Raises
    ------
    FileError
        The file is not ours, is damaged, or was written by a newer version.
    ExternalError
        One of the user's own objects is needed or does not fit; the message shows the call.
    """
    arrays, meta = container.read(path)
    if not isinstance(meta, dict) or meta.get("kind") != "model":
        raise FileError(f"{path} holds no model; is it a checkpoint?")
    try:
        return decode(meta.get("value"), arrays, where=os.fspath(path), **externals)
    except FileError as error:
        raise FileError(f"{path}: {error}") from error
