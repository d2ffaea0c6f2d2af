"""Positions: weights and free hyper-parameters as one vector (p,), and where chains begin.

What moves by the log joint works on positions: one array, whatever the network's tree.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, struct
from posterium.model import hyper
from posterium.model.data import Data
from posterium.model.model import Model
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.posterior.posterior import Draw, Mixture, Point

TRIES = 100
"""How often a chain looks for a start where the log joint is finite."""


def unraveller(model: Model, data: Data) -> Callable[[jax.Array], Any]:
    """Return the function from a position (p,) to weights and free hyper-parameters."""
    shapes = jax.eval_shape(model.network.init, jax.random.key(0), data.x).params
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, data.weight.dtype), shapes)
    return trees.ravel((zeros, hyper.free(model)))[1]


def function(model: Model, data: Data, fixed: Any, position: jax.Array) -> tuple[Weights, Model]:
    """Return the weights and the model at a position."""
    params, raws = unraveller(model, data)(position)
    return Weights(params, fixed), hyper.fill(model, raws)


def terms(
    model: Model, data: Data, fixed: Any
) -> Callable[[jax.Array], tuple[jax.Array, jax.Array]]:
    """Return log prior and log likelihood as functions of the position.

    The latter is minus infinity where it is not finite.
    """

    def both(position: jax.Array) -> tuple[jax.Array, jax.Array]:
        weights, here = function(model, data, fixed, position)
        log_prior, log_likelihood, _ = here.log_joint(weights, data)
        return log_prior, jnp.where(jnp.isfinite(log_likelihood), log_likelihood, -jnp.inf)

    return both


def target(model: Model, data: Data, fixed: Any) -> Callable[[jax.Array], jax.Array]:
    """Return the log joint as a function of the position; minus infinity where it is not finite."""

    def log_density(position: jax.Array) -> jax.Array:
        weights, here = function(model, data, fixed, position)
        log_prior, log_likelihood, _ = here.log_joint(weights, data)
        total = log_prior + log_likelihood
        return jnp.where(jnp.isfinite(total), total, -jnp.inf)

    return log_density


@struct
class Coordinates:
    """Coordinates z of a position (p,) in which a Gaussian over the weights is a unit normal.

    Parameters
    ----------
    mean
        Of the Gaussian, one vector.
    covariance
        Of the Gaussian, an operator. Free hyper-parameters, behind the weights, stay as they are.
    """

    mean: Any
    covariance: Any

    def position(self, z: jax.Array) -> jax.Array:
        """Return the position (p,) at coordinates z (p,)."""
        count = self.mean.size
        return jnp.concatenate([self.mean + self.covariance.sqrt(z[:count]), z[count:]])


def coordinates(start: Any, chains: int) -> Coordinates:
    """Return those of the Gaussian that each chain starts from, (c, ...)."""
    mixed = isinstance(start, Mixture)
    part = start.parts if mixed else start
    if getattr(part, "covariance", None) is None:
        raise ValueError(
            "mass='start' expects chains that start from a Gaussian, as in "
            f"StartFrom(NUTS(mass='start'), Laplace()); got {type(part).__name__}. Give it one, or "
            "leave mass='diagonal'."
        )
    parts = part if mixed else trees.stack(part, 1)
    means = jax.vmap(trees.vector)(parts.mean.params)
    found = Coordinates(means, parts.covariance)
    return trees.index(found, np.arange(chains) % len(means))


def opening(key: jax.Array, model: Model, data: Data, start: str, network: Weights) -> jax.Array:
    """Draw the position where one chain begins.

    Weights come from the prior (those without a proper one are the network's), or from the
    network; hyper-parameters from up to a factor e around their value. Drawn again, at most `TRIES`
    times, where the log joint is not finite.
    """
    log_density = target(model, data, network.state)

    def draw(key: jax.Array) -> jax.Array:
        raw_key, key = jax.random.split(key)
        offsets = jax.random.uniform(raw_key, (len(hyper.free(model)),), minval=-1, maxval=1)
        raws = tuple(raw + by for raw, by in zip(hyper.free(model), offsets, strict=True))
        if start == "network":
            params = model.network.init(key, data.x).params
        else:
            params = hyper.fill(model, raws).prior.sample(key, network.params)
            proper = jax.tree.map(jnp.isfinite, params)
            params = jax.tree.map(jnp.where, proper, params, network.params)
        return trees.vector(trees.cast((params, raws), data.weight.dtype))

    def again(at: Any) -> Any:
        position = draw(jax.random.fold_in(key, at[0]))
        return at[0] + 1, position, jnp.isfinite(log_density(position))

    nowhere = trees.vector(trees.cast((network.params, hyper.free(model)), data.weight.dtype))
    begin = jnp.int32(0), nowhere, jnp.bool_(False)
    return jax.lax.while_loop(lambda at: (at[0] < TRIES) & ~at[2], again, begin)[1]


def from_prior(
    key: jax.Array, model: Model, data: Data, fixed: Any, position: jax.Array
) -> jax.Array:
    """Draw a position (p,) from the prior of weights and free hyper-parameters.

    Those whose density has no `sample` keep their value, and so do those drawn below their floor:
    then the draw is a Metropolis step that leaves the prior as it is.
    """
    weights, here = function(model, data, fixed, position)
    free = hyper.learned(here)
    keys = jax.random.split(key, len(free) + 1)
    raws = tuple(map(_raw_from_prior, keys[1:], free))
    params = hyper.fill(model, raws).prior.sample(keys[0], weights.params)
    return trees.vector(trees.cast((params, raws), position.dtype))


def _raw_from_prior(key: jax.Array, free: hyper.Learned) -> jax.Array:
    if not hasattr(free.prior, "sample"):
        return free.raw
    raw = jnp.log(free.prior.sample(key, jnp.shape(free.raw)) - free.floor)
    return jnp.where(jnp.isfinite(raw), raw, free.raw)


def spread(key: jax.Array, start: Any, chains: int, model: Model) -> Draw:
    """Return where chains begin, (c, ...), given weights, a posterior or a mixture of members.

    Chain i begins at member i; when members are fewer, they come round again. A posterior gives
    one draw a chain.
    """
    if isinstance(start, Mixture):
        size, each = start.size(), -(-chains // start.size())
        keys = jax.random.split(key, size)

        def member(key: jax.Array, part: Any, own: Model) -> Draw:
            return spread(key, part, each, own)

        draws = jax.vmap(member)(keys, start.parts, start.models)
        order = np.arange(chains)
        return jax.tree.map(lambda leaf: leaf[order % size, order // size], draws)
    start = Point(start) if isinstance(start, Weights) else start
    draws = start.sample(key, chains)
    return draws if draws.raws else replace(draws, raws=trees.stack(hyper.free(model), chains))


def origins(position: jax.Array) -> jax.Array:
    """Return for each of some positions (c, p) the first that is the same, (c,)."""
    same = jax.lax.map(lambda z: jnp.all(position == z[None], axis=1), position)
    return jnp.argmax(same, axis=1).astype(jnp.int32)
