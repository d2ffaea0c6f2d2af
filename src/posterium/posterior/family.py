"""The posterior that is a member of a family of distributions, by its coordinates."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, static, struct
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.numerics.covariances.embedded import Embedded
from posterium.numerics.families.base import Family, Shapes
from posterium.posterior.posterior import Draw, GaussianPosterior, Posterior


@struct
class FamilyPosterior(Posterior):
    """A member of a family of distributions over the weights.

    Parameters
    ----------
    weights
        All weights; only those with a point estimate count, and the network's state.
    family
        The family.
    raw
        Coordinates of the member, over the weights that are random.
    point
        Paths of the weights that have a point estimate.
    """

    weights: Weights
    family: Family
    raw: Any
    point: tuple[str, ...] = static(default=())

    def draw(self, key: jax.Array, index: jax.Array, count: int) -> Draw:
        return Draw(self.at(self.family.draw(self.raw, self._noise(key, index))))

    def scored_draw(self, key: jax.Array, index: jax.Array) -> tuple[Weights, jax.Array]:
        """Return draw number `index`, and its log density in nats."""
        z = self._noise(key, index)
        return self.at(self.family.draw(self.raw, z)), self.family.log_prob_of(self.raw, z)

    def mode(self) -> Weights:
        """Return the weights at the family's mean."""
        return self.at(self.family.mean(self.raw))

    def default_draws(self) -> int:
        return 256

    def log_prob(self, weights: Weights) -> jax.Array:
        """Return the log density in nats of the random ones among the weights."""
        return self.family.log_prob(self.raw, random_vector(weights.params, self.point))

    def at(self, vector: jax.Array) -> Weights:
        """Return all weights, given the random ones as a vector (p,)."""
        return replace(
            self.weights, params=trees.overlay(self.weights.params, self.by_path(vector))
        )

    def by_path(self, vector: jax.Array) -> dict[str, jax.Array]:
        """Return a vector (p,) over the random weights as arrays by path."""
        leaves = random_leaves(self.weights.params, self.point)
        _, unravel = trees.ravel(list(leaves.values()))
        return dict(zip(leaves, unravel(vector), strict=True))

    def settled(self) -> "GaussianPosterior | FamilyPosterior":
        """Return the posterior for predictions: a Gaussian by its covariance, where it is one."""
        if not self.family.gaussian:
            return replace(self, weights=self.mode())
        family: Any = self.family
        covariance = family.covariance(self.raw)
        if self.point:
            numbered = _numbered(self.weights.params)
            places = random_vector(numbered, self.point)
            covariance = Embedded(covariance, places, trees.count(numbered))
        return GaussianPosterior(self.mode(), covariance)

    def _noise(self, key: jax.Array, index: jax.Array) -> Any:
        return trees.index(self.family.noise(jax.random.fold_in(key, index), self.raw, 1), 0)


def random_leaves(params: Any, point: tuple[str, ...]) -> dict[str, Any]:
    """Return the weights without a point estimate by path, in tree order."""
    return {path: leaf for path, leaf in trees.flatten(params).items() if path not in point}


def random_vector(params: Any, point: tuple[str, ...]) -> jax.Array:
    """Return the weights without a point estimate as one vector (p,)."""
    return trees.vector(list(random_leaves(params, point).values()))


def random_shapes(params: Any, point: tuple[str, ...]) -> Shapes:
    """Return path and shape of the weights without a point estimate, in the order of the vector."""
    return tuple((path, jnp.shape(leaf)) for path, leaf in random_leaves(params, point).items())


def _numbered(params: Any) -> Any:
    """Return a tree like the parameters that holds the place of each in the vector of all."""
    leaves, structure = jax.tree.flatten(params)
    sizes = [int(np.prod(jnp.shape(leaf), dtype=np.int64)) for leaf in leaves]
    starts = np.cumsum([0, *sizes])
    numbers = [
        np.arange(start, start + size, dtype=np.int32).reshape(jnp.shape(leaf))
        for start, size, leaf in zip(starts, sizes, leaves, strict=False)
    ]
    return structure.unflatten(numbers)
