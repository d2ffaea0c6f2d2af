"""Subset: a model in which only some weights are free, and all others stand as they are."""

from fnmatch import fnmatchcase
from typing import Any

import jax

from posterium._struct import replace, static, struct
from posterium.model.model import Model
from posterium.model.prior import total
from posterium.model.weights import Weights
from posterium.numerics import trees

LAST_LAYER = "last_layer"


@struct
class Restricted:
    """A network of which only some weights are its parameters.

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

    def init(self, key: jax.Array, x: jax.Array) -> Weights:
        """Draw the free weights as the whole network does."""
        drawn = self.network.init(key, x)
        return self.restrict(replace(drawn, state=self.frozen.state))

    def restrict(self, weights: Weights) -> Weights:
        """Return the free ones among all weights of the network."""
        return replace(weights, params=chosen(weights.params, self.paths))

    def whole(self, weights: Weights) -> Weights:
        """Return all weights of the network, the free ones as given."""
        return replace(weights, params=trees.overlay(self.frozen.params, weights.params))

    def apply(
        self, weights: Weights, x: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Any]:
        return self.network.apply(self.whole(weights), x, train=train)


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


def matching(network: Any, params: Any, patterns: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths of the parameters that match a pattern.

    Parameters
    ----------
    network
        Asked for its last layer where the pattern is ``"last_layer"``.
    params
        Parameters, or their shapes.
    patterns
        Globs such as ``"layers/2/*"``; ``*`` matches slashes too.

    Raises
    ------
    ValueError
        When a pattern matches nothing, or the network does not say which layer is its last.
    """
    known = tuple(trees.flatten(params))
    listing = ", ".join(known)
    wanted = []
    for pattern in (patterns,) if isinstance(patterns, str) else patterns:
        glob = getattr(network, LAST_LAYER, None) if pattern == LAST_LAYER else pattern
        if glob is None:
            raise ValueError(
                f"'last_layer' expects a network that names it; {type(network).__name__} does not. "
                f"Give patterns of its weights instead: {listing}."
            )
        found = [path for path in known if fnmatchcase(path, glob)]
        if not found:
            raise ValueError(f"paths must match weights; {glob!r} matches none of: {listing}.")
        wanted += found
    return tuple(path for path in known if path in wanted)
