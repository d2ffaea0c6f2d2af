"""Flax Linen: a module, as a network."""

import dataclasses
import inspect
import operator
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from posterium._struct import static, struct
from posterium.model.adapters import leaves
from posterium.model.weights import Weights

try:
    import flax.linen as nn
    from flax.core import FrozenDict
except ImportError as error:
    raise ImportError(
        'Networks of Flax need flax, which is not installed: pip install "posterium[flax]".'
    ) from error


@struct
class Linen:
    """A Flax Linen module as a network: its collection ``params`` are the weights.

    All other collections, such as batch statistics, are state.

    Parameters
    ----------
    module
        The module. Modules are equal by value, so that the same one built again compiles nothing.
    """

    module: Any = static()

    wrapper: ClassVar[str] = "from_linen"
    layout: ClassVar[tuple[tuple[str, str], ...]] = leaves.FLAX

    def init(self, key: jax.Array, x: jax.Array) -> Weights:
        flags = leaves.switches(self.module.__call__, train=False, noise=False)
        kind = jnp.result_type(float, x)
        with nn.intercept_methods(_switched(train=False, noise=False, kind=kind)):
            drawn = dict(nn.meta.unbox(self.module.init(key, x[:1], **flags)))
        params, fixed = leaves.split(drawn.pop("params", {}))
        state = drawn if fixed is None else drawn | {"params": fixed}
        return Weights(params, state or None)

    def apply(
        self, weights: Weights, x: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Any]:
        return leaves.applied(self._forward, weights, x, train)

    def _forward(self, weights: Weights, x: jax.Array, train: bool) -> tuple[jax.Array, Any]:
        state = dict(weights.state or {})
        switch = {"train": train, "noise": weights.key is not None, "keeps": bool(state)}
        flags = leaves.switches(self.module.__call__, **switch)
        params = _merged(weights.params, state.get("params", {}))
        kind = jnp.result_type(float, x, *jax.tree.leaves(weights.params))
        with nn.intercept_methods(_switched(**switch, kind=kind)):
            f, changed = self.module.apply(
                state | {"params": params}, x, rngs=weights.key,
                mutable=[name for name in state if name != "params"], **flags,
            )  # fmt: skip
        return f, state | dict(changed) or None


def _merged(one: dict, other: dict) -> dict:
    """Return nested dicts as one; no leaf is in both."""
    both = one.keys() & other.keys()
    return one | other | {name: _merged(one[name], other[name]) for name in both}


def _switched(*, train: bool, noise: bool, kind: Any, keeps: bool = False) -> Callable[..., Any]:
    """Return an interceptor that gives layers two switches where modules have one flag for both.

    Flax's layers with a field or an argument `deterministic` (dropout, attention) obey the noise
    alone; modules of one's own get it as from `leaves.switches`, as they may pass it on. Those
    with `use_running_average` do so outside of training, and in training as they were told.
    Recurrent layers begin with numbers of the type `kind`, which is what the others compute in.
    """

    def intercept(call: Any, args: tuple, kwargs: dict, context: Any) -> Any:
        layer = context.module
        is_own = not type(layer).__module__.startswith("flax.")
        flags = leaves.switches(call, train=train, noise=noise, keeps=keeps) if is_own else {}
        if context.method_name != "__call__":
            return call(*args, **kwargs)
        if isinstance(layer, nn.RNN):
            object.__setattr__(layer.cell, "param_dtype", kind)
        told = inspect.signature(call).bind_partial(*args, **kwargs)
        for name in ("deterministic", "use_running_average"):
            asked = name in inspect.signature(call).parameters
            held = name in type(layer).__dataclass_fields__
            given = told.arguments.get(name) if asked else None
            given = getattr(layer, name) if held and given is None else given
            quiet = flags.get("deterministic", not noise)
            value = quiet if name == "deterministic" else not train or bool(given)
            if asked:
                told.arguments[name] = value
            if held:  # the layer is a copy bound to this call
                object.__setattr__(layer, name, None if asked else value)
        return call(*told.args, **told.kwargs)

    return intercept


def from_linen(module: nn.Module) -> Linen:
    """Return a Flax Linen module as a network; a `Model` does so by itself.

    Batch statistics and dropout have a switch each, whatever flags the module passes on:
    statistics move in training, and dropout is on where there is a key for it.

    Parameters
    ----------
    module
        A module, batch in and (n, k) out. Arguments of its call named `train`, `training`,
        `is_training`, `deterministic` or `use_running_average` are given to it.

    Raises
    ------
    TypeError
        For a class, or a module with a field that cannot be compared, such as an array.

    Examples
    --------
    >>> import flax.linen as nn, numpy as np
    >>> from posterium import describe, from_linen
    >>> network = from_linen(nn.Sequential([nn.Dense(8), nn.tanh, nn.Dense(1)]))
    >>> [leaf.path for leaf in describe(network, np.zeros((5, 3))).params][0]
    'layers_0/bias'
    """
    if not isinstance(module, nn.Module):
        name = getattr(module, "__name__", type(module).__name__)
        raise TypeError(f"Expected a Flax Linen module; got {name}. Build it: {name}(...).")
    module = _frozen(module)
    try:
        hash(module)
    except TypeError as error:
        raise TypeError(
            f"Expected a module with fields that can be compared; {type(module).__name__} has an "
            "array, or another that cannot be hashed. Keep arrays in variables of the module."
        ) from error
    return Linen(module)


def _frozen(value: Any) -> Any:
    """Return a module whose lists and dicts are such as can be hashed, the same otherwise."""
    if isinstance(value, list | tuple):
        inner = [_frozen(item) for item in value]
        return value if all(map(operator.is_, inner, value)) and type(value) is tuple else (*inner,)
    if isinstance(value, dict):
        return FrozenDict({name: _frozen(item) for name, item in value.items()})
    if not isinstance(value, nn.Module):
        return value
    held = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
    changed = {name: _frozen(item) for name, item in held.items() if name not in ("parent", "name")}
    changed = {name: item for name, item in changed.items() if item is not held[name]}
    return value.clone(**changed) if changed else value
