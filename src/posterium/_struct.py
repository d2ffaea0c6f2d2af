"""Records: frozen dataclasses that are also JAX pytrees.

Every noun of the library is a record. Fields made with `static` belong to the structure of the
tree (they select a compiled program and must be hashable); all others are leaves or subtrees.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar, dataclass_transform

import jax
import numpy as np

T = TypeVar("T")

RECORDS: dict[str, type] = {}
"""Every record class by name; what model files may name, and nothing else, is in here."""


def static(**options: Any) -> Any:
    """Declare a field of a record that is part of its structure, not a leaf."""
    return dataclasses.field(metadata={"static": True}, **options)


def transient(**options: Any) -> Any:
    """Declare a field, None when absent, that is neither written to files nor used to predict."""
    return dataclasses.field(metadata={"transient": True}, **options)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field, static, transient))
def struct(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass, register it as a pytree and as a storable record."""
    made: Any = dataclasses.dataclass(frozen=True, repr=False)(cls)
    if made.__repr__ is object.__repr__:
        made.__repr__ = _text
    names = {True: [], False: []}
    for field in dataclasses.fields(made):
        names[bool(field.metadata.get("static"))].append(field.name)
    if RECORDS.setdefault(record_name(made), made).__module__ != cls.__module__:
        raise TypeError(f"Two records are called {cls.__name__}; a file could not tell them apart.")
    RECORDS[record_name(made)] = made
    _register(made, tuple(names[False]), tuple(names[True]))
    return made


def _register(cls: type, leaves: tuple[str, ...], statics: tuple[str, ...]) -> None:
    """Register a record as a pytree whose structure names its class.

    `jax.tree_util.register_dataclass` does not: structures of two classes with equal fields compare
    equal (JAX 0.10), so that a jitted function may run what was compiled for the other class,
    whenever their hashes come to lie close.
    """
    keys = tuple(map(jax.tree_util.GetAttrKey, leaves))

    def flatten(record: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        children = tuple([getattr(record, name) for name in leaves])
        return children, (cls, *[getattr(record, name) for name in statics])

    def flatten_with_keys(record: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        children, structure = flatten(record)
        return tuple(zip(keys, children, strict=True)), structure

    def unflatten(structure: tuple[Any, ...], children: Iterable[Any]) -> Any:
        return cls(
            **dict(zip(leaves, children, strict=True)),
            **dict(zip(statics, structure[1:], strict=True)),
        )

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)


def record_name(cls: type) -> str:
    """Return a built-in record's bare name; a user's carries its module."""
    own = cls.__module__.partition(".")[0] == __name__.partition(".")[0]
    return cls.__name__ if own else f"{cls.__module__}.{cls.__qualname__}"


def replace(record: Any, **changes: Any) -> Any:
    """Return a copy of a record with some fields changed."""
    return dataclasses.replace(record, **changes)


def is_record(value: Any) -> bool:
    """Say whether a value is an instance of a registered record class."""
    return RECORDS.get(record_name(type(value))) is type(value)


def fields(record: Any) -> dict[str, Any]:
    """Return the fields of a record by name, in order of declaration, without transient ones."""
    kept = (f for f in dataclasses.fields(record) if not f.metadata.get("transient"))
    return {f.name: getattr(record, f.name) for f in kept}


def brief(value: Any) -> str:
    """Return a short text of a value: arrays by type and shape, records without their defaults."""
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return _array_text(value)
    if isinstance(value, float):
        return f"{value:.5g}"
    if type(value) in (list, tuple):
        inner = ", ".join(map(brief, value))
        comma = "," if type(value) is tuple and len(value) == 1 else ""
        return f"({inner}{comma})" if type(value) is tuple else f"[{inner}]"
    if type(value) is dict:
        return "{" + ", ".join(f"{key!r}: {brief(item)}" for key, item in value.items()) + "}"
    if callable(value) and hasattr(value, "__qualname__"):
        return value.__qualname__
    text = repr(value)
    return f"{type(value).__name__}(...)" if "\n" in text else text


def _array_text(value: Any) -> str:
    is_number = value.ndim == 0 and jax.numpy.issubdtype(value.dtype, np.number)
    if is_number and not isinstance(value, jax.core.Tracer):
        return brief(value.item())
    return f"{value.dtype}[{','.join(map(str, value.shape))}]"


def _text(record: Any) -> str:
    """Return the fields of a record that are not as by default: the `repr` of all records."""
    told = [
        f"{f.name}={text}"
        for f in dataclasses.fields(record)
        if (text := brief(getattr(record, f.name))) != brief(f.default)
    ]
    return f"{type(record).__name__}({', '.join(told)})"


def bare(tree: Any) -> Any:
    """Return a tree of records without the contents of their transient fields."""
    if isinstance(tree, dict):
        return {key: bare(value) for key, value in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)(bare(item) for item in tree)
    if not is_record(tree):
        return tree
    inner = {name: bare(value) for name, value in fields(tree).items()}
    gone = {f.name: None for f in dataclasses.fields(tree) if f.metadata.get("transient")}
    return replace(tree, **inner, **gone)
