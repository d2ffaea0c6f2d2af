"""Flax NNX: a factory of modules, as a network."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from posterium._struct import static, struct
from posterium.model.adapters import leaves
from posterium.model.weights import Weights
from posterium.numerics import trees

try:
    from flax import nnx
except ImportError as error:
    raise ImportError(
        'Networks of Flax need flax, which is not installed: pip install "posterium[flax]".'
    ) from error


@struct
class NNX:
    """A Flax NNX network by its factory: variables of type `nnx.Param` are the weights.

    All other variables, such as batch statistics, are state; random streams are neither.

    Parameters
    ----------
    factory
        Called as ``factory(rngs=nnx.Rngs(...))``; returns a module.
    """

    factory: Callable[..., Any] = static()

    wrapper: ClassVar[str] = "from_nnx"
    layout: ClassVar[tuple[tuple[str, str], ...]] = leaves.FLAX

    def _build(self, key: jax.Array) -> Any:
        """Return a module; arrays that it holds are data in a traced call too, unlike in Flax."""
        module = self.factory(rngs=nnx.Rngs(key))
        for _, part in nnx.iter_modules(module):
            for name, value in list(vars(part).items()):
                if isinstance(value, jax.Array) and not nnx.is_data(value):
                    setattr(part, name, nnx.data(value))
        return module

    def init(self, key: jax.Array, x: jax.Array) -> Weights:
        _, params, _, rest = _parts(self._build(key))
        return Weights(*leaves.split(params, rest))

    def apply(
        self, weights: Weights, x: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Any]:
        return leaves.applied(self._forward, weights, x, train)

    def _forward(self, weights: Weights, x: jax.Array, train: bool) -> tuple[jax.Array, Any]:
        noise = weights.key is not None
        key = jax.random.key(0) if weights.key is None else weights.key
        graph, _, streams, _ = _parts(nnx.eval_shape(self._build, key))
        module = nnx.merge(graph, weights.params, _seeded(streams, key), weights.state or {})
        _switch(module, train=train, noise=noise)
        _retype(module, jnp.result_type(float, x, *jax.tree.leaves(weights.params)))
        given: dict[str, Any] = leaves.switches(
            module.__call__, train=train, noise=noise, keeps=bool(weights.state)
        )
        if noise and "rngs" in leaves.arguments(module.__call__):
            given["rngs"] = nnx.Rngs(key)
        f = module(x, **given)
        nnx.pop(module, nnx.Intermediate)
        _, params, _, rest = _parts(module)
        return f, leaves.split(params, rest)[1]


def _parts(module: Any) -> tuple[Any, ...]:
    """Return structure, parameters, random streams and all else; the last three as dicts."""
    graph, *parts = nnx.split(module, nnx.Param, nnx.RngState, ...)
    return graph, *map(nnx.to_pure_dict, parts)


def _seeded(streams: Any, key: jax.Array) -> Any:
    """Return random streams that begin at a key, each at one of its own."""
    shapes, structure = jax.tree.flatten(streams)

    def start(i: int, shape: jax.ShapeDtypeStruct) -> jax.Array:
        if not trees.is_key(shape):
            return jnp.zeros(shape.shape, shape.dtype)
        own = jax.random.fold_in(key, i)
        return jax.random.split(own, shape.shape) if shape.shape else own

    return jax.tree.unflatten(structure, [start(i, shape) for i, shape in enumerate(shapes)])


class _Dropout(nnx.Dropout):
    """Dropout that is switched on the module, whatever its caller says."""

    def __call__(self, inputs: Any, *, deterministic: bool | None = None, rngs: Any = None) -> Any:
        return super().__call__(inputs, rngs=rngs)


class _Attention(nnx.MultiHeadAttention):
    """Attention whose dropout is switched on the module, whatever its caller says."""

    def __call__(self, *inputs: Any, deterministic: bool | None = None, **options: Any) -> Any:
        return super().__call__(*inputs, **options)


class _BatchNorm(nnx.BatchNorm):
    """Batch norm on running statistics, whatever its caller says."""

    def __call__(self, x: Any, use_running_average: bool | None = None, *, mask: Any = None) -> Any:
        return super().__call__(x, True)


def _switch(module: Any, *, train: bool, noise: bool) -> None:
    """Switch running statistics and noise of a module that is ours, each by itself.

    Callers that pass one flag to both would turn dropout off with the statistics.
    """
    module.set_attributes(deterministic=not noise, raise_if_not_found=False)
    if not train:
        module.set_attributes(use_running_average=True, raise_if_not_found=False)
    deaf: dict[type, type] = {nnx.Dropout: _Dropout, nnx.MultiHeadAttention: _Attention}
    if not train:
        deaf |= {nnx.BatchNorm: _BatchNorm}
    for _, layer in nnx.iter_modules(module):
        if type(layer) in deaf:
            object.__setattr__(layer, "__class__", deaf[type(layer)])


def _retype(module: Any, kind: Any) -> None:
    """Let recurrent layers begin with numbers of the type that the others compute in."""
    for _, layer in nnx.iter_modules(module):
        if isinstance(layer, nnx.RNNCellBase):
            layer.param_dtype = kind  # pyrefly: ignore[missing-attribute]


def from_nnx(factory: Callable[..., Any]) -> NNX:
    """Return a factory of Flax NNX modules as a network; a `Model` does so by itself.

    A factory, and not a module that is built: every member of an ensemble draws its own weights.
    Batch statistics and dropout have a switch each: statistics move in training, and dropout is
    on where there is a key for it.

    Parameters
    ----------
    factory
        A class or function called with ``rngs``; what it returns takes a batch and gives (n, k).
        Arguments of its call named `train`, `training`, `is_training`, `deterministic` or
        `use_running_average` are given to it. Networks of the same factory are the same: define
        it once, at module level, so that a second fit compiles nothing.

    Raises
    ------
    TypeError
        For a module that is built, or a factory that needs other arguments.

    Examples
    --------
    >>> from flax import nnx
    >>> import numpy as np
    >>> from posterium import describe, from_nnx
    >>> def network(rngs):
    ...     return nnx.Linear(3, 1, rngs=rngs)
    >>> [leaf.path for leaf in describe(from_nnx(network), np.zeros((5, 3))).params]
    ['bias', 'kernel']
    """
    leaves.check_factory(factory, "rngs", nnx.Module)
    return NNX(factory)
