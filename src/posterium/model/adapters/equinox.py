"""Equinox: a factory of modules, as a network."""

import functools
import inspect
from collections.abc import Callable, Collection
from typing import Any, ClassVar

import jax

from posterium._struct import static, struct
from posterium.model.adapters import leaves
from posterium.model.weights import Weights
from posterium.numerics import trees

try:
    import equinox as eqx
except ImportError as error:
    raise ImportError(
        "Networks of Equinox need equinox, which is not installed: "
        'pip install "posterium[equinox]".'
    ) from error


WEIGHT = jax.tree_util.GetAttrKey("weight")


@struct
class Equinox:
    """An Equinox network by its factory: its arrays of floating-point numbers are the weights.

    What its stateful layers keep, and arrays of other types, are state.

    Parameters
    ----------
    factory
        Called as ``factory(key=...)``; returns a module for one row of inputs.
    frozen
        Globs over paths of arrays that are fixed numbers and no weights.
    """

    factory: Callable[..., Any] = static()
    frozen: tuple[str, ...] = static(default=())

    wrapper: ClassVar[str] = "from_equinox"

    @property
    def layout(self) -> tuple[tuple[str, str], ...]:
        """Where weights have their inputs."""
        return _layout(self.factory)

    def _build(self, key: jax.Array) -> tuple[Any, Any]:
        return eqx.nn.make_with_state(self.factory)(key=key)

    def init(self, key: jax.Array, x: jax.Array) -> Weights:
        module, state = self._build(key)
        return Weights(*leaves.split(module, _named(state), frozen=self.frozen))

    def apply(
        self, weights: Weights, x: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Any]:
        return leaves.applied(self._forward, weights, x, train)

    def _forward(self, weights: Weights, x: jax.Array, train: bool) -> tuple[jax.Array, Any]:
        template, state = eqx.filter_eval_shape(self._build, jax.random.key(0))
        held = leaves.join(_named(state), weights.state)
        module = leaves.join(template, weights.params, weights.state)
        module = _switched(module, train=train, noise=weights.key is not None)
        f, state = _over_rows(module, x, _unnamed(state, held), weights.key, train)
        return f, leaves.split(module, _named(state), frozen=self.frozen)[1]


@functools.lru_cache(maxsize=256)
def _layout(factory: Callable[..., Any]) -> tuple[tuple[str, str], ...]:
    """Return where the weights of a factory's modules have their inputs, by their layers."""

    def is_table(node: Any) -> bool:
        return isinstance(node, eqx.nn.Embedding)

    module, _ = eqx.filter_eval_shape(eqx.nn.make_with_state(factory), key=jax.random.key(0))
    nodes, _ = jax.tree_util.tree_flatten_with_path(module, is_leaf=is_table)
    tables = [trees.path_of((*keys, WEIGHT)) for keys, node in nodes if is_table(node)]
    return *((path, "no sum") for path in tables), *leaves.NO_SUM, ("*", "outputs first")


def _named(state: Any) -> dict[str, Any]:
    """Return what stateful layers keep by their paths in the module."""
    values, names = state.tree_flatten()
    return {
        name.partition(".")[2] or name: value for name, value in zip(names, values, strict=True)
    }


def _unnamed(like: Any, held: dict[str, Any]) -> Any:
    """Return what stateful layers keep as Equinox does; undoes `_named`."""
    names = like.tree_flatten()[1]
    return eqx.nn.State.tree_unflatten(names, tuple(held.values()))


def _over_rows(
    module: Any, x: jax.Array, state: Any, key: jax.Array | None, train: bool
) -> tuple[jax.Array, Any]:
    """Return outputs (n, k) and state of a module for one row; in training each has its noise."""
    noise = key is not None
    held = bool(jax.tree.leaves(state))
    given = leaves.switches(module.__call__, train=train, noise=noise, keeps=held)
    takes = leaves.arguments(module.__call__)
    takes_key = "key" in takes
    asks = "state" in takes and takes["state"].default is inspect.Parameter.empty
    keeps = held or asks

    def one(row: jax.Array, key: jax.Array | None) -> tuple[jax.Array, Any]:
        more = given | {"key": key} if takes_key else given
        return module(row, state, **more) if keeps else (module(row, **more), state)

    apart = noise and train
    keys = jax.random.split(key, len(x)) if apart else key
    run = jax.vmap(one, (0, 0 if apart else None), (0, None), axis_name=_axis_name(module))
    return run(x, keys)


def _axis_name(module: Any) -> Any:
    """Return the name that layers give the axis of rows: that of all batch norms."""
    names = {layer.axis_name for layer in _layers(module) if isinstance(layer, eqx.nn.BatchNorm)}
    if len(names) > 1:
        raise ValueError(
            f"Expected one axis name in all BatchNorm layers; got {', '.join(map(repr, names))}. "
            "Give them the same, such as 'batch'."
        )
    return names.pop() if names else "batch"


def _layers(module: Any) -> list[Any]:
    """Return the layers with a switch `inference`, those inside of others too."""

    def switched(node: Any) -> bool:
        return node is not module and hasattr(node, "inference")

    inner = [node for node in jax.tree.leaves(module, is_leaf=switched) if switched(node)]
    own = [module] if hasattr(module, "inference") else []
    return own + [layer for node in inner for layer in _layers(node)]


def _switched(module: Any, *, train: bool, noise: bool) -> Any:
    """Return a module with running statistics and noise switched, each by itself."""

    def switch(module: Any, keeps: bool, value: bool) -> Any:
        def where(tree: Any) -> list[Any]:
            kind = eqx.nn.StatefulLayer
            return [node.inference for node in _layers(tree) if isinstance(node, kind) == keeps]

        return eqx.tree_at(where, module, replace_fn=lambda _: value) if where(module) else module

    module = switch(module, keeps=False, value=not noise)
    module = module if train else switch(module, keeps=True, value=True)
    for layer in _layers(module):
        if type(layer) in DEAF:
            object.__setattr__(layer, "__class__", DEAF[type(layer)])
    return module


class _Dropout(eqx.nn.Dropout):
    """Dropout that is switched on the module, whatever its caller says."""

    def __call__(self, x: Any, *, key: Any = None, **told: Any) -> Any:
        return super().__call__(x, key=key)


class _BatchNorm(eqx.nn.BatchNorm):
    """Batch norm that is switched on the module, whatever its caller says."""

    def __call__(self, x: Any, state: Any, **told: Any) -> Any:
        return super().__call__(x, state)


DEAF = {eqx.nn.Dropout: _Dropout, eqx.nn.BatchNorm: _BatchNorm}


def from_equinox(factory: Callable[..., Any], *, frozen: Collection[str] = ()) -> Equinox:
    """Return a factory of Equinox modules as a network; a `Model` does so by itself.

    A factory, and not a module that is built: every member of an ensemble draws its own weights.
    Batch statistics and dropout have a switch each: statistics move in training, and dropout is
    on where there is a key for it.

    Parameters
    ----------
    factory
        A class or function called with ``key``; what it returns takes one row (d,), with `state`
        and `key` where it has those, and gives (k,). Networks of the same factory are the same:
        define it once, at module level, so that a second fit compiles nothing.
    frozen
        Globs over the paths of arrays that are fixed numbers, such as ``"graph/*"``: they are
        kept as state, without a prior.

    Raises
    ------
    TypeError
        For a module that is built, or a factory that needs other arguments.

    Examples
    --------
    >>> import equinox as eqx, numpy as np
    >>> from posterium import describe, from_equinox
    >>> def network(key):
    ...     return eqx.nn.MLP(3, 1, 8, 1, key=key)
    >>> [leaf.path for leaf in describe(from_equinox(network), np.zeros((5, 3))).params][0]
    'layers/0/bias'
    """
    leaves.check_factory(factory, "key", eqx.Module)
    return Equinox(factory, tuple(frozen))
