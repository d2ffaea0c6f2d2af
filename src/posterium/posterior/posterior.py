"""Posteriors: point, dropout, Gaussian, samples, and mixtures of them.

A posterior answers one question, `draw`: one function from it. All else is built on that.
"""

import abc
from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import replace, static, struct, transient
from posterium.model import hyper
from posterium.model.model import Model
from posterium.model.priors.gaussian import GaussianPrior
from posterium.model.weights import Weights
from posterium.numerics import random, trees
from posterium.numerics.covariances.base import Covariance
from posterium.numerics.precisions import precision


@struct
class Draw:
    """One draw, or with a leading axis many: weights, and hyper-parameters where sampled.

    Parameters
    ----------
    weights
        The weights of a function.
    raws
        Unconstrained coordinates of the model's free hyper-parameters, or () where the
        posterior does not sample them.
    """

    weights: Weights
    raws: tuple[Any, ...] = ()

    def model(self, model: Model) -> Model:
        """Return the model at the hyper-parameters of this draw."""
        return hyper.fill(model, self.raws) if self.raws else model


class Posterior(abc.ABC):
    """A distribution over weights."""

    @abc.abstractmethod
    def draw(self, key: jax.Array, index: jax.Array, count: int) -> Draw:
        """Return draw number `index` of `count`; the same key and index give the same draw."""

    @abc.abstractmethod
    def mode(self) -> Weights:
        """Return the most probable weights, or the best single guess there is."""

    @abc.abstractmethod
    def default_draws(self) -> int:
        """Return how many draws a prediction takes when not told."""

    def sample(self, key: jax.Array, draws: int) -> Draw:
        """Return draws stacked along a leading axis (s, ...)."""
        return jax.vmap(lambda i: self.draw(key, i, draws))(jnp.arange(draws))


@struct
class Point(Posterior):
    """All mass on one set of weights."""

    weights: Weights

    def draw(self, key: jax.Array, index: jax.Array, count: int) -> Draw:
        return Draw(self.weights)

    def mode(self) -> Weights:
        return self.weights

    def default_draws(self) -> int:
        return 1


@struct
class DropoutPosterior(Posterior):
    """One set of weights, multiplied by the masks that the network draws from a key.

    Parameters
    ----------
    weights
        The weights, without a key.
    """

    weights: Weights

    def draw(self, key: jax.Array, index: jax.Array, count: int) -> Draw:
        return Draw(self.under(jax.random.fold_in(key, index)))

    def under(self, key: jax.Array) -> Weights:
        """Return the weights with the key of their masks."""
        return replace(self.weights, key=key)

    def mode(self) -> Weights:
        return self.weights

    def default_draws(self) -> int:
        return 256


@struct
class GaussianPosterior(Posterior):
    """A Gaussian over the parameters, by its mean and a covariance operator.

    Parameters
    ----------
    mean
        Weights at the mean.
    covariance
        Operator over the parameters as one vector, in the order of `trees.ravel`.
    how
        How to predict when not told: ``"linear"`` (the network linearised at the mean) or
        ``"draws"``.
    curvature
        Where the method keeps one: a record with `log_evidence(model)` and
        `covariance(model)`, both differentiable in the model's leaves. Not written to files.
    """

    mean: Weights
    covariance: Covariance
    how: str = static(default="draws")
    curvature: Any = transient(default=None)

    def draw(self, key: jax.Array, index: jax.Array, count: int) -> Draw:
        mean, unravel = trees.ravel(self.mean.params)
        z = random.normal(jax.random.fold_in(key, index), mean.shape, mean.dtype)
        return Draw(replace(self.mean, params=unravel(mean + self.covariance.sqrt(z))))

    def mode(self) -> Weights:
        return self.mean

    def default_draws(self) -> int:
        return 256

    def log_prob(self, weights: Weights) -> jax.Array:
        """Return the log density of weights in nats."""
        offset = trees.vector(weights.params) - trees.vector(self.mean.params)
        solved = jnp.linalg.solve(self.covariance.dense(), offset)
        log_norm = offset.size * jnp.log(2 * jnp.pi) + self.covariance.log_det()
        return -0.5 * (offset @ solved + log_norm)

    def as_prior(self) -> GaussianPrior:
        """Return this posterior as the prior of a fit to other rows.

        What was learned of the noise goes along with the likelihood, as in
        ``Model(fit.model.network, fit.posterior.as_prior(), fit.model.likelihood)``.
        """
        return GaussianPrior(self.mean.params, precision(self.covariance))

    def log_evidence(self, model: Model) -> jax.Array:
        """Return the log evidence of a model in nats, differentiable in its leaves."""
        if self.curvature is None:
            raise ValueError(
                "This posterior keeps no curvature, so it has no log evidence: it was loaded from "
                "a file, or its method has none. Use fit.info['log_evidence'], or fit again."
            )
        return self.curvature.log_evidence(model)


@struct
class Samples(Posterior):
    """Equally weighted draws from a sampler.

    Parameters
    ----------
    draws
        Draws with leading axes (c, s, ...): chains, then draws of each.
    """

    draws: Draw

    def flat(self) -> Draw:
        """Return the draws of all chains along one axis, draw by draw across the chains."""
        return jax.tree.map(
            lambda leaf: jnp.swapaxes(leaf, 0, 1).reshape(-1, *leaf.shape[2:]), self.draws
        )

    def draw(self, key: jax.Array, index: jax.Array, count: int) -> Draw:
        # Chains take turns, each thinned evenly: any count holds as much of one as of another.
        chains, kept = jax.tree.leaves(self.draws)[0].shape[:2]
        turn, turns = index // chains, -(-count // chains)
        at = index % chains, turn * kept // turns % kept
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[at], self.draws)

    def mode(self) -> Weights:
        return jax.tree.map(lambda leaf: leaf[0], self.flat().weights)

    def size(self) -> int:
        """Return the number of draws of all chains together."""
        chains, draws = jax.tree.leaves(self.draws)[0].shape[:2]
        return chains * draws

    def default_draws(self) -> int:
        return min(self.size(), 1000)


@struct
class Mixture:
    """Equally weighted members, each a posterior with its own model.

    Parameters
    ----------
    parts
        One posterior whose leaves have a leading member axis.
    models
        One model whose leaves have a leading member axis.
    """

    parts: Any
    models: Model

    def size(self) -> int:
        """Return the number of members."""
        return trees.leading_size(self.parts)

    def default_draws(self) -> int:
        return self.size() * self.member(0)[0].default_draws()

    def member(self, index: int) -> tuple[Posterior, Model]:
        """Return the posterior and the model of one member."""
        return trees.index((self.parts, self.models), index)
