"""Table: ATen operators by name and overload, such as ``add.Tensor``, and what each needs.

Functions take the arguments of the operator, tensors as arrays. Types are not their concern: the
walk casts every result to the type that the program says.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

F = TypeVar("F", bound=Callable[..., Any])

OPS: dict[str, Callable[..., Any]] = {}
"""Operators that are functions of their arguments."""

NOISY: dict[str, Callable[..., Any]] = {}
"""Operators that draw: their first argument is a key, or None where there is no noise."""

NORMS: dict[str, Callable[..., Any]] = {}
"""Operators with running statistics: their first argument says whether these move."""


def op(*names: str, table: dict[str, Callable[..., Any]] = OPS) -> Callable[[F], F]:
    """Return a decorator that enters a function under names of operators."""

    def enter(function: F) -> F:
        table.update(dict.fromkeys(names, function))
        return function

    return enter


def spread(*values: Any) -> list[Any]:
    """Return arrays with leading axes of length 1, so that all but scalars have the same rank."""
    rank = max(map(jnp.ndim, values))

    def widen(value: Any) -> Any:
        own = jnp.ndim(value)
        return value if own in (0, rank) else jnp.expand_dims(value, tuple(range(rank - own)))

    return [widen(value) for value in values]


def axes(x: jax.Array, dims: Any) -> tuple[int, ...]:
    """Return dimensions counted from the front; None and [] stand for all of them."""
    if dims is None or dims == []:
        return tuple(range(x.ndim))
    listed = dims if isinstance(dims, list | tuple) else [dims]
    return tuple(d % x.ndim if x.ndim else 0 for d in listed) if x.ndim else ()
