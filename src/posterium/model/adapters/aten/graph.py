"""Graph: a program of ATen operators, and the walk that computes it in JAX."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium.model.adapters.aten import (
    arrays,
    noise,
    norms,
    pointwise,
    pools,
    products,
    recurrent,
    reductions,
)
from posterium.model.adapters.aten.table import NOISY, NORMS, OPS

TOPICS = (arrays, noise, norms, pointwise, pools, products, recurrent, reductions)
"""The files that fill the table."""


@dataclass(frozen=True)
class Ref:
    """The value of an input or of another node, by its name."""

    name: str


@dataclass(frozen=True)
class Node:
    """One operator of a program.

    Parameters
    ----------
    name
        Name of its value.
    target
        An operator such as ``add.Tensor``, or a function of Python numbers.
    args, options
        What it is called with; values of other nodes stand in it as `Ref`.
    dtype
        Type of its value, None for what is no array.
    """

    name: str
    target: str | Callable[..., Any]
    args: tuple[Any, ...]
    options: dict[str, Any]
    dtype: str | None


@dataclass(frozen=True, eq=False)
class Program:
    """What a module computes from one array of inputs.

    Parameters
    ----------
    nodes
        Operators, in order.
    held
        Names of inputs that are weights or state, with their paths.
    constants
        Names of inputs that are fixed, with their values.
    x
        Name of the input that the inputs of the network are.
    f
        Name of the value that the outputs are.
    moved
        Paths of the state that training changes, with names of the new values.
    native
        The type of floating-point numbers that the module has; at run time it is that of the
        weights.
    """

    nodes: tuple[Node, ...]
    held: dict[str, str]
    constants: dict[str, np.ndarray]
    x: str
    f: str
    moved: dict[str, str]
    native: str

    def run(
        self, held: dict[str, Any], x: jax.Array, *, train: bool, key: jax.Array | None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the outputs and the state that has changed, by path.

        Parameters
        ----------
        held
            Weights and state by path.
        x
            Inputs.
        train
            Whether running statistics are taken from the rows and moved.
        key
            For dropout and other noise; None for none.
        """
        floats = [v.dtype for v in (*held.values(), x) if jnp.issubdtype(v.dtype, jnp.floating)]
        own = canonical(floats[0]) if floats else jnp.result_type(float)
        values: dict[str, Any] = {name: held[path] for name, path in self.held.items()}
        for name, value in self.constants.items():
            values[name] = self._typed(value, str(value.dtype), own)
        values[self.x] = self._typed(x, inputs_dtype(x.dtype, self.native), own)
        for number, node in enumerate(self.nodes):
            args, options = filled(node.args, values), filled(node.options, values)
            found = _call(node.target, number, train, key, args, options)
            values[node.name] = self._typed(found, node.dtype, own)
        return values[self.f], {path: values[name] for path, name in self.moved.items()}

    def _typed(self, value: Any, dtype: str | None, own: Any) -> Any:
        if dtype is None or value is None:
            return value
        return jnp.asarray(value, own if dtype == self.native else canonical(dtype))


def canonical(dtype: Any) -> np.dtype:
    """Return the type that JAX gives an array of a type, of 32 bits outside of float64."""
    return jax.dtypes.canonicalize_dtype(jnp.dtype(dtype))


def inputs_dtype(dtype: Any, native: str) -> str:
    """Return the type that inputs of a type have in a program: numbers that of the module."""
    return {"f": native, "b": "bool"}.get(jnp.dtype(dtype).kind, "int64")


def covered(target: str) -> bool:
    """Say whether an operator is in the table."""
    return any(target in table for table in (OPS, NOISY, NORMS))


def filled(value: Any, values: dict[str, Any]) -> Any:
    """Return arguments with values in the places of names."""
    if isinstance(value, Ref):
        return values[value.name]
    if isinstance(value, list | tuple):
        return type(value)(filled(item, values) for item in value)
    if isinstance(value, dict):
        return {name: filled(item, values) for name, item in value.items()}
    return value


def _call(
    target: str | Callable[..., Any], number: int, train: bool, key: jax.Array | None, args: Any,
    options: dict[str, Any],
) -> Any:  # fmt: skip
    """Call an operator; the noise of each has a key of its own, by its number."""
    if target is operator.getitem and args[0][args[1]] is None:
        raise ValueError(
            f"Expected operators of which the values are used; output {args[1]} of one, such as "
            "the positions of a max pool or the mask of a dropout, is used and not covered."
        )
    if not isinstance(target, str):
        return target(*args, **options)
    if target in NOISY:
        own = None if key is None else jax.random.fold_in(key, number)
        return NOISY[target](own, *args, **options)
    if target in NORMS:
        return NORMS[target](train, *args, **options)
    return OPS[target](*args, **options)
