"""Records as parameters of estimators: their fields by names such as ``method__of__steps``."""

from typing import Any

from posterium._struct import fields, is_record, replace
from posterium.posterior.fit import Fit

JOINT = "__"


def is_nested(value: Any) -> bool:
    """Say whether a parameter is a record of settings; a finished fit is not."""
    return is_record(value) and not isinstance(value, Fit)


def inner(record: Any) -> dict[str, Any]:
    """Return the fields of a record, and those of the records inside it, by joined names."""
    found = {}
    for name, value in fields(record).items():
        found[name] = value
        if is_nested(value):
            found |= {name + JOINT + deeper: held for deeper, held in inner(value).items()}
    return found


def changed(record: Any, path: str, value: Any) -> Any:
    """Return a copy of a record with the field at a path of joined names changed.

    Raises
    ------
    ValueError
        When a record on the way has no such field.
    """
    name, _, rest = path.partition(JOINT)
    known = fields(record)
    if name not in known:
        raise ValueError(
            f"Invalid parameter {name!r} for {type(record).__name__}. Valid parameters are: "
            f"{list(known)!r}."
        )
    if not rest:
        return replace(record, **{name: value})
    if not is_nested(known[name]):
        raise ValueError(
            f"Expected {name!r} of {type(record).__name__} to be a record with a field {rest!r}; "
            f"it is {known[name]!r}. Set it to a record first."
        )
    return replace(record, **{name: changed(known[name], rest, value)})
