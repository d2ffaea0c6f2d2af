"""Recognise: networks of other frameworks by what they are, without importing any framework."""

from typing import Any

import jax

from posterium._struct import is_record
from posterium.model.adapters import leaves
from posterium.model.network import Functions

ACCEPTED = (
    "Accepted are also a Flax Linen module, a PyTorch module, a factory of Flax NNX modules (a "
    "function of `rngs`) or of Equinox modules (a function of `key`), a pair of functions "
    "(init, apply), and what from_linen, from_nnx, from_equinox or from_torch return."
)


def as_network(thing: Any) -> Any:
    """Return a network as such: what a framework made becomes a record, a record stays.

    Raises
    ------
    TypeError
        For an NNX or Equinox module that is built, a class where an instance is meant, or
        anything else that is no network.
    """
    network = adapted(thing)
    if not (hasattr(network, "init") and hasattr(network, "apply")) or isinstance(network, type):
        came = f"the class {thing.__name__}" if isinstance(thing, type) else repr(thing)
        raise TypeError(f"network must be a network such as MLP(); got {came}. {ACCEPTED}")
    if not is_record(network) and jax.tree_util.all_leaves([network]):
        raise TypeError(
            f"A network of your own must be a record, so that JAX can pass it on; "
            f"{type(network).__name__} is not. Decorate the class with posterium.struct."
        )
    return network


def adapted(thing: Any) -> Any:
    """Return the record of what a framework made; anything else as it is."""
    if is_record(thing):
        return thing
    if isinstance(thing, tuple | list) and len(thing) == 2 and all(map(callable, thing)):
        return Functions(*thing)
    if _is_module(thing, "flax.linen"):
        from posterium.model.adapters.linen import from_linen

        return from_linen(thing)
    if _is_module(thing, "torch.nn"):
        from posterium.model.adapters.torch import from_torch

        return from_torch(thing)
    asked = leaves.arguments(thing) if callable(thing) else {}
    if _is_module(thing, "flax.nnx") or "rngs" in asked:
        from posterium.model.adapters.nnx import from_nnx

        return from_nnx(thing)
    is_own = hasattr(thing, "init") and hasattr(thing, "apply")
    if not is_own and (_is_module(thing, "equinox") or "key" in asked):
        from posterium.model.adapters.equinox import from_equinox

        return from_equinox(thing)
    return thing


def _is_module(thing: Any, framework: str) -> bool:
    """Say whether a thing is an instance of a framework's class of modules."""
    return any(
        base.__name__ == "Module" and base.__module__.startswith(framework)
        for base in type(thing).__mro__
    )
