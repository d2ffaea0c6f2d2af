"""Leaves: which arrays of a framework's network are weights, which are state, and the way back.

Every adapter keeps the arrays as nested dicts under the names that the framework gives them, so
that a fitted model holds none of the framework's objects.
"""

import functools
import inspect
from collections.abc import Callable, Collection
from fnmatch import fnmatchcase
from typing import Any

import jax
import jax.numpy as jnp

from posterium.model.weights import Weights
from posterium.numerics import trees

Forward = Callable[[Weights, jax.Array, bool], tuple[jax.Array, Any]]

NO_SUM = (("*bias", "no sum"), ("*embedding", "no sum"))
"""What is added or looked up, as it is mostly called: biases, tables, embeddings of positions."""

FLAX = (*NO_SUM, *((f"*{name}/kernel", "inputs, heads") for name in ("query", "key", "value")))
"""Where both of Flax' interfaces keep inputs: in front, and before heads and their widths."""


def split(tree: Any, rest: Any = None, *, frozen: Collection[str] = ()) -> tuple[dict, Any]:
    """Return the arrays of a tree as nested dicts: weights, and state.

    Weights are arrays of floating-point numbers. All others, those whose path matches a glob in
    `frozen`, and all arrays of `rest` are state, which is None where there is none. Leaves that
    are not arrays are in neither.
    """
    params, state = {}, {}
    for part, may_move in ((tree, True), (rest, False)):
        for keys, leaf in jax.tree_util.tree_flatten_with_path(part)[0]:
            if not (hasattr(leaf, "shape") and hasattr(leaf, "dtype")):
                continue
            held = any(fnmatchcase(trees.path_of(keys), pattern) for pattern in frozen)
            moves = may_move and not held and is_float(leaf)
            _put(params if moves else state, keys, leaf)
    return params, state or None


def is_float(leaf: Any) -> bool:
    """Say whether a leaf holds floating-point numbers."""
    return jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)


def _put(into: dict, keys: tuple[Any, ...], leaf: Any) -> None:
    """Put a leaf where its path says, in dicts inside dicts."""
    names = [next(getattr(k, a) for a in ("key", "idx", "name") if hasattr(k, a)) for k in keys]
    for name in names[:-1]:
        into = into.setdefault(name, {})
    into[names[-1]] = leaf


def join(template: Any, *parts: Any) -> Any:
    """Return a tree with the arrays of nested dicts in their places; undoes `split`."""
    found: dict[str, Any] = {}
    for part in parts:
        found |= trees.flatten(part)
    return trees.overlay(template, found)


def applied(forward: Forward, weights: Weights, x: jax.Array, train: bool) -> tuple[jax.Array, Any]:
    """Return outputs (n, k) and state by a framework's forward pass.

    Noise without training makes one function: each row goes through alone under the same key, so
    that equal rows have equal outputs. In training the rows of a batch are seen together. The
    state changes in training only, and keeps its types then.
    """
    if weights.key is not None and not train:
        return jax.vmap(lambda row: forward(weights, row[None], False)[0][0])(x), weights.state
    f, state = forward(weights, x, train)
    return f, _retyped(weights.state, state) if train else weights.state


def _retyped(old: Any, new: Any) -> Any:
    """Return a new state in the types of the old one."""
    if jax.tree.structure(old) != jax.tree.structure(new):
        was, now = (", ".join(trees.flatten(state)) or "nothing" for state in (old, new))
        raise ValueError(
            f"Expected a network whose state keeps its entries in training; it held {was}, and "
            f"then {now}. Leave out what the network records on the way."
        )
    return jax.tree.map(lambda a, b: b if a.dtype == b.dtype else b.astype(a.dtype), old, new)


def switches(
    call: Callable[..., Any], *, train: bool, noise: bool, keeps: bool = False
) -> dict[str, bool]:
    """Return the arguments of a network's call that switch running statistics and noise.

    A flag called `train`, `training` or `is_training` goes with the statistics, `deterministic` or
    `inference` with the noise. One of the latter alone, in a network that keeps a state, may be
    passed on to both: it is on where either is, and the framework's layers obey their own switch.
    """
    meaning = dict.fromkeys(("train", "training", "is_training"), train)
    meaning |= {"use_running_average": not train}
    known = arguments(call)
    both = train and keeps and known.keys().isdisjoint(meaning)
    meaning |= dict.fromkeys(("deterministic", "inference"), not (noise or both))
    return {name: value for name, value in meaning.items() if name in known}


def arguments(call: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the arguments that a function, or the constructor of a class, still takes."""
    bound = call if isinstance(call, functools.partial) else functools.partial(call)
    if isinstance(bound.func, type):
        bound = functools.partial(bound.func.__init__, None, *bound.args, **bound.keywords)
    try:
        return dict(inspect.signature(bound).parameters)
    except (TypeError, ValueError):
        return {}


def check_factory(factory: Any, name: str, module: type) -> None:
    """Refuse a module that is built, and a factory that needs more than its source of randomness.

    Raises
    ------
    TypeError
        The message shows the function to pass.
    """
    if isinstance(factory, module):
        made = type(factory).__name__
        raise TypeError(
            f"Expected a factory, so that every member of an ensemble draws its own weights; got "
            f"a {made} that is built. Pass the function that builds it, lambda {name}: "
            f"{made}(..., {name}={name})."
        )
    known = arguments(factory) if callable(factory) else {}
    free = {p.kind for p in known.values()}
    if not callable(factory) or not (name in known or inspect.Parameter.VAR_KEYWORD in free):
        raise TypeError(f"Expected a function of `{name}` that returns a module; got {factory!r}.")
    variable = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    others = [
        p.name
        for p in known.values()
        if p.default is p.empty and p.name != name and p.kind not in variable
    ]
    if others:
        made = getattr(factory, "__name__", "factory")
        raise TypeError(
            f"Expected a function of `{name}` alone; {made} needs {', '.join(others)} too. "
            f"Give them, as in lambda {name}: {made}(..., {name}={name})."
        )
