"""Subnetwork: a model in which single entries of the weights are free, wherever they stand."""

from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import replace, struct
from posterium.model.model import Model
from posterium.model.priors.normal import Normal, normal_term
from posterium.model.subset import Part
from posterium.model.weights import Weights
from posterium.numerics import trees

ENTRIES = "entries"


@struct
class Subnetwork(Part):
    """A network whose parameters are some entries of another's, as one vector.

    Parameters
    ----------
    network
        The whole network.
    frozen
        All of its weights; the free entries are overlaid.
    places
        Where the free entries stand among all, (s,), in the order of `trees.ravel`.
    """

    network: Any
    frozen: Weights
    places: Any

    def restrict(self, weights: Weights) -> Weights:
        return replace(weights, params={ENTRIES: trees.vector(weights.params)[self.places]})

    def whole(self, weights: Weights) -> Weights:
        vector, unravel = trees.ravel(self.frozen.params)
        params = unravel(vector.at[self.places].set(weights.params[ENTRIES]))
        return replace(weights, params=params)


@struct
class SubnetworkPrior:
    """The normal prior of the free entries alone.

    Parameters
    ----------
    prior
        The prior over all weights.
    frozen
        Parameters of the whole network.
    places
        As of `Subnetwork`.
    """

    prior: Normal
    frozen: Any
    places: Any

    def precision_of(self, params: dict[str, Any]) -> dict[str, Any]:
        return {ENTRIES: trees.vector(self.prior.precision_of(self.frozen))[self.places]}

    def terms(self, params: dict[str, Any]) -> dict[str, Any]:
        return {ENTRIES: normal_term(params[ENTRIES], self.precision_of(params)[ENTRIES])}

    def log_prob(self, params: dict[str, Any]) -> jax.Array:
        return self.terms(params)[ENTRIES]

    def sample(self, key: jax.Array, like: dict[str, Any]) -> dict[str, Any]:
        z = jax.random.normal(key, like[ENTRIES].shape, like[ENTRIES].dtype)
        return {ENTRIES: z / jnp.sqrt(self.precision_of(like)[ENTRIES])}


def subnetwork(model: Model, weights: Weights, places: Any) -> Model:
    """Return the model in which the entries at these places are free, the others as given.

    Raises
    ------
    ValueError
        When the prior is not a `Normal`, the only one whose terms are known entry by entry.
    """
    if not isinstance(model.prior, Normal):
        raise ValueError(
            f"A subnetwork expects a Normal prior; got {type(model.prior).__name__}. Use paths of "
            "whole arrays."
        )
    return replace(
        model,
        network=Subnetwork(model.network, weights, places),
        prior=SubnetworkPrior(model.prior, weights.params, places),
    )
