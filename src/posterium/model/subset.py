"""Subset: a model in which only some weights are free, and all others stand as they are."""

import abc
from fnmatch import fnmatchcase
from typing import Any

import jax
import numpy as np

from posterium._struct import replace, static, struct
from posterium.model.model import Model
from posterium.model.priors.base import total
from posterium.model.weights import Weights
from posterium.numerics import layers, trees

LAST_LAYER = "last_layer"


class Part(abc.ABC):
    """A network of which only some weights are its parameters, the others as they stand.

    `network` is the whole one and `frozen` all of its weights.
    """

    network: Any
    frozen: Weights

    @abc.abstractmethod
    def restrict(self, weights: Weights) -> Weights:
        """Return the free ones among all weights of the network."""

    @abc.abstractmethod
    def whole(self, weights: Weights) -> Weights:
        """Return all weights of the network, the free ones as given."""

    def init(self, key: jax.Array, x: jax.Array) -> Weights:
        """Draw the free weights as the whole network does."""
        drawn = self.network.init(key, x)
        return self.restrict(replace(drawn, state=self.frozen.state))

    def apply(
        self, weights: Weights, x: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Any]:
        return self.network.apply(self.whole(weights), x, train=train)


@struct
class Restricted(Part):
    """A network of which only the weights at some paths are its parameters.

    Its parameters are a dict from path to array.

    Parameters
    ----------
    network
        The whole network.
    frozen
        All of its weights; those that are free are overlaid.
    paths
        Paths of the free ones, in tree order.
    """

    network: Any
    frozen: Weights
    paths: tuple[str, ...] = static()

    def restrict(self, weights: Weights) -> Weights:
        return replace(weights, params=chosen(weights.params, self.paths))

    def whole(self, weights: Weights) -> Weights:
        return replace(weights, params=trees.overlay(self.frozen.params, weights.params))


@struct
class RestrictedPrior:
    """The prior of the free weights alone: that of the whole network, less the frozen ones' terms.

    Parameters
    ----------
    prior
        The prior over all weights.
    frozen
        Parameters of the whole network.
    paths
        Paths of the free ones.
    """

    prior: Any
    frozen: Any
    paths: tuple[str, ...] = static()

    def _merged(self, params: dict[str, Any]) -> Any:
        return trees.overlay(self.frozen, params)

    def terms(self, params: dict[str, Any]) -> Any:
        return chosen(self.prior.terms(self._merged(params)), self.paths)

    def log_prob(self, params: dict[str, Any]) -> jax.Array:
        return total(self.terms(params))

    def precision_of(self, params: dict[str, Any]) -> Any:
        return chosen(self.prior.precision_of(self._merged(params)), self.paths)

    def sample(self, key: jax.Array, like: dict[str, Any]) -> Any:
        return chosen(self.prior.sample(key, self._merged(like)), self.paths)


def chosen(tree: Any, paths: tuple[str, ...]) -> dict[str, Any]:
    """Return the leaves at some paths, by path."""
    leaves = trees.flatten(tree)
    return {path: leaves[path] for path in paths}


def restricted(model: Model, weights: Weights, paths: tuple[str, ...]) -> Model:
    """Return the model in which the weights at these paths are free, the others as given."""
    return replace(
        model,
        network=Restricted(model.network, weights, paths),
        prior=RestrictedPrior(model.prior, weights.params, paths),
    )


def blank(network: Any, x: Any) -> Weights:
    """Return weights of zeros, shaped like the network's."""
    shapes = jax.eval_shape(network.init, jax.random.key(0), x)
    return jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), replace(shapes, key=None))


def matching(
    network: Any, weights: Weights, x: Any, patterns: str | tuple[str, ...]
) -> tuple[str, ...]:
    """Return the paths of the parameters that match a pattern, in tree order.

    Parameters
    ----------
    network
        The whole network.
    weights
        Weights of it; only their shapes count.
    x
        Inputs, or their shape.
    patterns
        Globs such as ``"layers/2/*"``, where ``*`` matches slashes too; ``"last_layer"`` stands
        for the weights in which the outputs are affine, whatever they are called.

    Raises
    ------
    ValueError
        When a pattern matches nothing. The message lists the paths.
    """
    known = tuple(trees.flatten(weights.params))
    wanted = set()
    for pattern in (patterns,) if isinstance(patterns, str) else patterns:
        if pattern == LAST_LAYER:
            wanted.update(_last_layer(network, weights, x))
        else:
            found = [path for path in known if fnmatchcase(path, pattern)]
            if not found:
                raise ValueError(
                    f"paths must match weights; {pattern!r} matches none of: {', '.join(known)}."
                )
            wanted.update(found)
    return tuple(path for path in known if path in wanted)


def _last_layer(network: Any, weights: Weights, x: Any) -> tuple[str, ...]:
    """Return the paths of the weights in which a network's outputs are affine."""

    def f(params: Any, x: jax.Array) -> jax.Array:
        return network.apply(replace(weights, params=params), x)[0]

    found = layers.last_layer(f, weights.params, x)
    if not found:
        raise ValueError(
            f"'last_layer' expects weights in which the outputs are affine; "
            f"{type(network).__name__} has none: what each of them gives is bent on its way to "
            "the outputs. Leave out what bends them, since likelihoods take means on the whole "
            "line and logits, or give patterns of the weights: "
            f"{', '.join(trees.flatten(weights.params))}."
        )
    return found
