"""Encode: values as JSON and arrays.

Records are written as their class name and fields. A network, prior or likelihood of one's own
that holds functions is written as a gap with its arrays, which `load` is given the object to fill;
what it computes at a few made-up inputs is written beside it.
"""

import math
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from posterium._struct import fields, is_record, record_name
from posterium.numerics.trees import flatten, is_key
from posterium.posterior import probe
from posterium.posterior.fit import Fit

ROLES = ("network", "prior", "likelihood")
"""The fields of a model that may be a user's own object, given by name to `load`."""


class Unstorable(TypeError):
    """A value that JSON and arrays cannot hold."""


def encode(value: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """Return a value as JSON, and the arrays that the JSON refers to by path."""
    writer = _Writer()
    return writer.encode(value, ""), writer.arrays


def gaps(node: Any) -> Iterator[tuple[str, str]]:
    """Yield the role and class of every part of a model that the file alone cannot give."""
    if isinstance(node, dict) and "external" in node:
        yield node["external"], node["type"]
    elif isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from gaps(child)


def numbers(value: Any) -> dict[str, Any]:
    """Return the leaves of an object that are numbers, by path."""
    kinds = (np.ndarray, np.generic, jax.Array, float, int)
    return {path: leaf for path, leaf in flatten(value).items() if isinstance(leaf, kinds)}


class _Writer:
    """Takes values apart; collects their arrays."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.role = ""

    def encode(self, value: Any, path: str) -> Any:
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, np.ndarray | np.generic | jax.Array):
            return self._array(value, path)
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, int):
            return int(value)
        if is_record(value) and not (self.role and _is_own(value)):
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
        raise Unstorable(
            f"A file holds records, arrays, numbers, strings, dicts, lists and tuples; got a "
            f"{type(value).__qualname__} at {path or 'the top'}. Leave it out, or convert it."
        )

    def _record(self, record: Any, path: str) -> dict[str, Any]:
        members = fields(record)
        roles = (self.role,) if self.role else ROLES
        encoded = {
            name: (self._part if name in roles else self.encode)(value, _join(path, name))
            for name, value in members.items()
        }
        node = {"record": record_name(type(record)), "fields": encoded}
        if isinstance(record, Fit) and (found := dict(gaps(encoded["model"]))):
            node["probe"] = self.encode(probe.measure(record, sorted(found)), _join(path, "probe"))
        return node

    def _part(self, value: Any, path: str) -> Any:
        """Encode a part of a model that may be the user's own: what cannot be stored is a gap.

        Where a record of the library wraps such a part in the same role, the gap is inside.
        """
        outer, self.role = self.role, path.rpartition("/")[2]
        before = dict(self.arrays)
        try:
            return self.encode(value, path)
        except Unstorable:
            self.arrays = before
            leaves = {k: self.encode(v, _join(path, k)) for k, v in numbers(value).items()}
            made = getattr(value, "wrapper", type(value).__name__)
            return {"external": self.role, "type": made, "leaves": leaves}
        finally:
            self.role = outer


def _is_own(record: Any) -> bool:
    """Say whether a record's class is a user's: those are registered with their module."""
    return "." in record_name(type(record))


def _join(path: str, name: Any) -> str:
    return f"{path}/{name}" if path else str(name)
