"""Functions of a posterior at inputs: drawn ones, or the network linearised at the mean.

Everything here is pure and works on one tile of rows.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import replace
from posterium.model.model import Model
from posterium.numerics import trees
from posterium.numerics.operators import ROWS, jacobian_row
from posterium.posterior.posterior import GaussianPosterior, Mixture

HOWS = ("linear", "draws")
LINEAR_DRAWS = "linear draws"
"""Functions drawn from the linearised network, where "linear" would use a closed form."""

Parameters = tuple[jax.Array, ...]
"""What a likelihood predicts: (mean, noise variance, function variance), or (log probs,)."""


def default_how(posterior: Any) -> str:
    """Return how a posterior is best predicted from."""
    if isinstance(posterior, Mixture):
        return default_how(posterior.parts)
    return posterior.how if isinstance(posterior, GaussianPosterior) else "draws"


def members(posterior: Any) -> int:
    """Return the number of members of a mixture, of mixtures even; 1 for anything else."""
    if not isinstance(posterior, Mixture):
        return 1
    return posterior.size() * members(posterior.member(0)[0])


def prepare(
    posterior: Any, model: Model, key: jax.Array, index: jax.Array, count: int, how: str
) -> tuple[Any, Model]:
    """Return what `parameters` needs of some draws, and their models: stacked functions.

    For draws these are weights, of the linearised network with the weights it is linearised at; for
    its closed form the posteriors themselves. `index` holds the numbers of the draws of each
    member.
    """
    if isinstance(posterior, Mixture):
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(posterior.size()))

        def member(part: Any, model: Model, key: jax.Array) -> tuple[Any, Model]:
            return prepare(part, model, key, index, count, how)

        stacked = jax.vmap(member)(posterior.parts, posterior.models, keys)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), stacked)
    if in_closed_form(model, how):
        return trees.stack((posterior, model), 1)

    def one(i: jax.Array) -> tuple[Any, Model]:
        draw = posterior.draw(key, i, count)
        drawn = draw.weights if how == "draws" else (posterior.mean, draw.weights)
        return drawn, draw.model(model)

    return jax.vmap(one)(index)


def in_closed_form(model: Model, how: str) -> bool:
    """Say whether a Gaussian over the linearised network's outputs is one over the target."""
    return how == "linear" and model.likelihood.linear_mean


def parameters(functions: tuple[Any, Model], x: jax.Array, how: str) -> Parameters:
    """Return what the likelihood predicts under each function at inputs x: (s, n, k) arrays."""
    if how == "draws":
        return jax.vmap(lambda weights, model: _drawn(weights, model, x))(*functions)
    if in_closed_form(functions[1], how):
        return jax.vmap(lambda part, model: _closed(part, model, x))(*functions)
    return jax.vmap(lambda pair, model: _tangent(pair, model, x))(*functions)


def _drawn(weights: Any, model: Model, x: jax.Array) -> Parameters:
    return _describe(model, model.network.apply(weights, x)[0])


def _tangent(pair: tuple[Any, Any], model: Model, x: jax.Array) -> Parameters:
    """Predict by one draw of the network linearised at the mean: f(x; m) + J(x) (w - m)."""
    mean, weights = pair
    offset = jax.tree.map(jnp.subtract, weights.params, mean.params)

    def outputs(params: Any) -> jax.Array:
        return model.network.apply(replace(mean, params=params), x)[0]

    f, shift = jax.jvp(outputs, (mean.params,), (offset,))
    return _describe(model, f + shift)


def _describe(model: Model, f: jax.Array) -> Parameters:
    """Return the parameters of the predictive distribution of one function."""
    if model.likelihood.task == "classification":
        return (model.likelihood.log_probs(f),)
    mean, variance = model.likelihood.moments(f)
    return mean, variance, jnp.zeros_like(mean)


def _closed(part: GaussianPosterior, model: Model, x: jax.Array) -> Parameters:
    """Predict from a Gaussian over f whose likelihood adds Gaussian noise."""
    mean, covariance = linearised(part, model, x)
    _, variance = model.likelihood.moments(mean)
    return mean, variance, jnp.diagonal(covariance, axis1=1, axis2=2)


def _function(part: GaussianPosterior, model: Model) -> Callable[[Any, jax.Array], jax.Array]:
    """Return the network as a function of its parameters and a batch."""
    return lambda params, x: model.network.apply(replace(part.mean, params=params), x)[0]


def linearised(part: GaussianPosterior, model: Model, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return mean (n, k) and covariance (n, k, k) of the network linearised at the mean.

    f(x) = f(x; m) + J(x) (w - m) with w from the posterior.
    """
    return part.covariance.outputs(_function(part, model), part.mean.params, x)


@jax.jit
def row_covariance(
    part: GaussianPosterior, model: Model, x: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return mean (n, k) of the linearised network and each output's covariance (k, n, n)."""
    function = _function(part, model)

    def row(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jacobian_row(function, part.mean.params, x)

    f, slopes = jax.lax.map(row, x, batch_size=ROWS)
    return f, jax.lax.map(part.covariance.quadratic, jnp.moveaxis(slopes, 1, 0))
