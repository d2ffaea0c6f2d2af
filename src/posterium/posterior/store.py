"""Store: records to one file and back.

Records are written as their class name and fields. A file may name only record classes that are
registered here; it never names code. A network, prior or likelihood of one's own that holds
functions is stored as a gap with its arrays, and `load` is given the object that fills it.
"""

import math
import os
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import RECORDS, fields, is_record, record_name
from posterium.numerics.trees import flatten, is_key, overlay
from posterium.posterior import container
from posterium.posterior.container import FileError, PathLike

ROLES = ("network", "prior", "likelihood")
"""The fields of a model that may be a user's own object, given by name to `load`."""


class ExternalError(ValueError):
    """A user's own part of a model is needed to load a file, or the one given does not fit."""


class _Unstorable(TypeError):
    """A value that JSON and arrays cannot hold."""


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
    """
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
        numbers are those that were saved; what the file holds itself is taken from the file.

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


def encode(value: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """Return a value as JSON, and the arrays that the JSON refers to by path."""
    writer = _Writer()
    return writer.encode(value, ""), writer.arrays


def decode(
    node: Any, arrays: dict[str, np.ndarray], *, where: str = "...", **externals: Any
) -> Any:
    """Return the value that `encode` took apart.

    Parameters
    ----------
    node, arrays
        What `encode` returned.
    where
        The name of the file, for messages that show the call to make.
    **externals
        The user's own network, prior or likelihood.
    """
    if strange := set(externals) - set(ROLES):
        raise TypeError(f"Only {', '.join(ROLES)} can be given; got {', '.join(sorted(strange))}.")
    try:
        _check_given(dict(_gaps(node)), externals, where)
        return _Reader(arrays, externals).decode(node)
    except (FileError, ExternalError):
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FileError(f"its contents do not fit together: {error!r}") from error


class _Writer:
    """Takes values apart; collects their arrays."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.in_role = False

    def encode(self, value: Any, path: str) -> Any:
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, np.ndarray | np.generic | jax.Array):
            return self._array(value, path)
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, int):
            return int(value)
        if is_record(value) and not (self.in_role and _is_own(value)):
            return self._record(value, path)
        return self._container(value, path)

    def _array(self, value: Any, path: str) -> dict[str, Any]:
        while path in self.arrays:
            path += "'"
        if is_key(value):
            self.arrays[path] = np.asarray(jax.random.key_data(value))
            return {"key": path, "impl": str(jax.random.key_impl(value))}
        self.arrays[path] = np.asarray(value)
        return {"array": path}

    def _container(self, value: Any, path: str) -> Any:
        if type(value) is dict:
            pairs = [(k, self.encode(v, _join(path, k))) for k, v in value.items()]
            return {"dict": [[self.encode(k, path), v] for k, v in pairs]}
        if type(value) in (list, tuple):
            items = [self.encode(item, _join(path, i)) for i, item in enumerate(value)]
            return items if type(value) is list else {"tuple": items}
        raise _Unstorable(
            f"A file holds records, arrays, numbers, strings, dicts, lists and tuples; got a "
            f"{type(value).__qualname__} at {path or 'the top'}. Leave it out, or convert it."
        )

    def _record(self, record: Any, path: str) -> dict[str, Any]:
        members = fields(record)
        is_model = set(ROLES) <= set(members)
        encoded = {
            name: self._role(name, value, _join(path, name))
            if is_model and name in ROLES
            else self.encode(value, _join(path, name))
            for name, value in members.items()
        }
        return {"record": record_name(type(record)), "fields": encoded}

    def _role(self, role: str, value: Any, path: str) -> Any:
        """Encode a part of a model that may be the user's own: what cannot be stored is a gap."""
        before, self.in_role = dict(self.arrays), True
        try:
            return self.encode(value, path)
        except _Unstorable:
            self.arrays = before
        finally:
            self.in_role = False
        leaves = {k: self.encode(v, _join(path, k)) for k, v in _numbers(value).items()}
        return {"external": role, "type": type(value).__name__, "leaves": leaves}


class _Reader:
    """Puts values together again from checked JSON."""

    def __init__(self, arrays: dict[str, np.ndarray], externals: dict[str, Any]) -> None:
        self.arrays = arrays
        self.externals = externals

    def decode(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.decode(item) for item in node]
        if not isinstance(node, dict):
            return node
        tags = {
            "array": lambda n: self.arrays[n["array"]],
            "key": self._key,
            "float": lambda n: float(n["float"]),
            "tuple": lambda n: tuple(self.decode(n["tuple"])),
            "dict": lambda n: {self.decode(k): self.decode(v) for k, v in n["dict"]},
            "record": self._record,
            "external": self._external,
        }
        tag = next((tag for tag in tags if tag in node), None)
        if tag is None:
            raise FileError(f"its JSON has an entry of unknown kind: {sorted(node)}.")
        return tags[tag](node)

    def _key(self, node: dict[str, Any]) -> jax.Array:
        return jax.random.wrap_key_data(jnp.asarray(self.arrays[node["key"]]), impl=node["impl"])

    def _record(self, node: dict[str, Any]) -> Any:
        cls = RECORDS.get(node["record"])
        if cls is None:
            raise FileError(
                f"it names the record {node['record']!r}, which is not registered. "
                "Import the module that defines it first."
            )
        members = {name: self.decode(value) for name, value in node["fields"].items()}
        try:
            return cls(**members)
        except (TypeError, ValueError) as error:
            raise FileError(f"it holds no valid {node['record']}: {error}") from error

    def _external(self, node: dict[str, Any]) -> Any:
        """Return the object given for a gap, with the numbers it had when it was saved."""
        role, given = node["external"], self.externals[node["external"]]
        stored = {path: self.decode(leaf) for path, leaf in node["leaves"].items()}
        shapes = [{k: np.shape(v) for k, v in side.items()} for side in (stored, _numbers(given))]
        if shapes[0] != shapes[1]:
            raise ExternalError(
                f"The {role} given must have the numbers of the one that was saved, of shapes "
                f"{shapes[0]}; got {shapes[1]}."
            )
        return overlay(given, stored) if stored else given


def _gaps(node: Any) -> Iterator[tuple[str, str]]:
    """Yield the role and class of every part of a model that the file alone cannot give."""
    if isinstance(node, dict) and "external" in node:
        yield node["external"], node["type"]
    elif isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _gaps(child)


def _is_own(record: Any) -> bool:
    """Say whether a record's class is a user's: those are registered with their module."""
    return "." in record_name(type(record))


def _check_given(gaps: dict[str, str], externals: dict[str, Any], where: str) -> None:
    if missing := {role: name for role, name in gaps.items() if role not in externals}:
        call = ", ".join(f"{role}={name}(...)" for role, name in sorted(missing.items()))
        raise ExternalError(
            f"{where} was saved with a {' and a '.join(sorted(missing))} that it cannot hold. "
            f"Pass the same again: load({where!r}, {call})."
        )


def _numbers(value: Any) -> dict[str, Any]:
    kinds = (np.ndarray, np.generic, jax.Array, float, int)
    return {path: leaf for path, leaf in flatten(value).items() if isinstance(leaf, kinds)}


def _join(path: str, name: Any) -> str:
    return f"{path}/{name}" if path else str(name)
