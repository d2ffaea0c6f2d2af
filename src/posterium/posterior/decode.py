"""Decode: values from JSON and arrays.

A file may name only record classes that are registered; it never names code. Gaps are filled with
the objects given, after these were compared with what was saved.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import RECORDS
from posterium.model.adapters.recognise import adapted
from posterium.numerics.trees import overlay
from posterium.posterior import probe
from posterium.posterior.container import BROKEN, FileError, clipped
from posterium.posterior.encode import ROLES, gaps, numbers
from posterium.posterior.posterior import Mixture
from posterium.posterior.probe import ExternalError


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
        externals = {role: adapted(part) for role, part in externals.items()}
        call = _checked_call(dict(gaps(node)), externals, where)
        return _Reader(arrays, externals, call).decode(node)
    except (FileError, ExternalError):
        raise
    except BROKEN as error:
        raise FileError(f"its contents do not fit together: {clipped(error)}") from error


class _Reader:
    """Puts values together again from checked JSON."""

    def __init__(self, arrays: dict[str, np.ndarray], externals: dict[str, Any], call: str) -> None:
        self.arrays, self.externals, self.call = arrays, externals, call
        self.depth = 0

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
            raise FileError(f"its JSON has an entry of unknown kind: {clipped(sorted(node))}.")
        return tags[tag](node)

    def _key(self, node: dict[str, Any]) -> jax.Array:
        return jax.random.wrap_key_data(jnp.asarray(self.arrays[node["key"]]), impl=node["impl"])

    def _record(self, node: dict[str, Any]) -> Any:
        cls = RECORDS.get(node["record"])
        if cls is None:
            name = node["record"]
            raise FileError(f"it names the record {clipped(name)}, {_unknown(name)}")
        self.depth += cls is Mixture
        members = {name: self.decode(value) for name, value in node["fields"].items()}
        self.depth -= cls is Mixture
        try:
            record = cls(**members)
        except BROKEN as error:
            raise FileError(f"it holds no valid {node['record']}: {clipped(error)}") from error
        if "probe" in node:
            probe.check(record, self.decode(node["probe"]), self.call)
        return record

    def _external(self, node: dict[str, Any]) -> Any:
        """Return the object given for a gap, with the numbers it had when it was saved.

        In a mixture these have an axis for its members in front.
        """
        role, given = node["external"], self.externals[node["external"]]
        stored = {path: self.decode(leaf) for path, leaf in node["leaves"].items()}
        was = {path: np.shape(leaf)[self.depth :] for path, leaf in stored.items()}
        now = {path: np.shape(leaf) for path, leaf in numbers(given).items()}
        if was != now:
            raise ExternalError(
                f"The {role} given must have the numbers of the one that was saved, of shapes "
                f"{was}; got {now}. Pass that one: {self.call}."
            )
        return overlay(given, stored) if stored else given


def _unknown(name: str) -> str:
    """Say why a record may be unknown, and what to do."""
    if "." in name:
        return "which is not registered. Import the module that defines it first."
    return "which this version of posterium does not have. Install the one that wrote the file."


def _checked_call(found: dict[str, str], externals: dict[str, Any], where: str) -> str:
    """Return the call that loads a file with these gaps, or refuse one that leaves any open."""
    given = ", ".join(f"{role}={name}(...)" for role, name in sorted(found.items()))
    call = f"load({where!r}, {given})"
    if missing := sorted(found.keys() - externals.keys()):
        raise ExternalError(
            f"{where} was saved with a {' and a '.join(missing)} that it cannot hold. "
            f"Pass the same again: {call}."
        )
    return call
