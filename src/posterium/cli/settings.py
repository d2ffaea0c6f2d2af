"""`--set KEY=VALUE`: settings of a method, by the path of a field in its record."""

import dataclasses
import json
import sys
import types
import typing
from collections.abc import Sequence
from typing import Any

from posterium._struct import replace
from posterium.tables.errors import UserError, listing, quote

MOST = 2**31 - 1
"""The largest whole number: steps and rows are counted in 32 bits."""


def apply_settings(method: Any, settings: Sequence[str]) -> Any:
    """Return a method with some of its settings changed.

    A key such as ``of.steps`` is the path of a field. A single name that the method does not have
    is looked for in the method that it wraps (`of`).

    Parameters
    ----------
    method
        A method's record.
    settings
        Texts ``KEY=VALUE``; the value is JSON, or else a string.

    Raises
    ------
    UserError
        When a key is unknown or a value is not of the type of its field.
    """
    for setting in settings:
        key, equals, _ = setting.partition("=")
        key = key.strip()
        if not equals or not key:
            raise UserError(
                f"--set takes KEY=VALUE; {quote(setting)} found.", f"{_choices(method)}."
            )
        method = _changed(method, _path(method, key), setting)
    return method


def names(method: Any) -> list[str]:
    """Return the paths of all settings of a method."""
    found = []
    for field in dataclasses.fields(method):
        inner = getattr(method, field.name)
        if dataclasses.is_dataclass(inner):
            found += [f"{field.name}.{name}" for name in names(inner)]
        else:
            found.append(field.name)
    return found


def _choices(method: Any) -> str:
    return f"Settings of {type(method).__name__} are {listing(names(method), 40)}"


def _path(method: Any, key: str) -> list[str]:
    """Return the path a key stands for."""
    known = names(method)
    for path in (key, f"of.{key}", f"of.of.{key}"):
        if path in known:
            return path.split(".")
    raise UserError(f"--set {quote(key)}: there is no such setting.", f"{_choices(method)}.")


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()
    return _tuples(value)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _changed(record: Any, path: list[str], setting: str) -> Any:
    """Return a record with the field at a path set as the user wrote."""
    name, *rest = path
    if rest:
        return replace(record, **{name: _changed(getattr(record, name), rest, setting)})
    expected = typing.get_type_hints(type(record))[name]
    now, value = getattr(record, name), _value(setting.partition("=")[2])
    if expected is Any:
        expected = _like(now)
    if not _fits(value, expected):
        raise UserError(
            f"--set {quote(setting)}: the value is not of the right kind.",
            f"Give {_words(expected)}; it is {json.dumps(now, default=str)} now.",
        )
    try:
        return replace(record, **{name: value})
    except (ValueError, TypeError) as error:
        raise UserError(
            f"--set {quote(setting)}: {' '.join(str(error).split())}",
            f"Choose another value; it is {json.dumps(now, default=str)} now.",
        ) from None


def _like(now: Any) -> Any:
    """Return the type of a field that is declared as Any, from its present value."""
    if isinstance(now, bool | str):
        return type(now)
    return float if isinstance(now, int | float) else float | None


def _fits(value: Any, expected: Any) -> bool:
    """Say whether a value is of a type; numbers must be finite and not negative."""
    if expected is Any:
        return _fits(value, float) or isinstance(value, str | bool)
    if isinstance(expected, types.UnionType) or typing.get_origin(expected) is typing.Union:
        return any(_fits(value, one) for one in typing.get_args(expected))
    if typing.get_origin(expected) is tuple:
        return isinstance(value, tuple) and _all_fit(value, typing.get_args(expected))
    if expected in (int, float):
        kinds = int if expected is int else int | float
        number = isinstance(value, kinds) and not isinstance(value, bool)
        return number and 0 <= value <= (MOST if expected is int else sys.float_info.max)
    return isinstance(expected, type) and isinstance(value, expected)


def _all_fit(values: tuple[Any, ...], expected: tuple[Any, ...]) -> bool:
    if len(expected) == 2 and expected[1] is Ellipsis:
        expected = expected[:1] * len(values)
    return len(values) == len(expected) and all(map(_fits, values, expected))


def _words(expected: Any) -> str:
    """Say in words what a type takes."""
    known = {
        int: f"a whole number from 0 to {MOST}",
        float: "a number of at least 0",
        bool: "true or false",
        str: "a word",
        type(None): "null",
    }
    if expected in known:
        return known[expected]
    if typing.get_origin(expected) is tuple:
        return "a list of numbers, [1, 2] say"
    return " or ".join(_words(one) for one in typing.get_args(expected)) or "another value"
