"""Functions of a posterior at inputs: drawn ones, or the network linearised at the mean.

Everything here is pure and works on one tile of rows.
"""

from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import replace
from posterium.model.model import Model
from posterium.numerics import trees
from posterium.posterior.posterior import GaussianPosterior, Mixture

HOWS = ("linear", "draws")
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

    For draws these are weights; for the linearised network the posteriors themselves. `index`
    holds the numbers of the draws of each member.
    """
    if isinstance(posterior, Mixture):
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(posterior.size()))

        def member(part: Any, model: Model, key: jax.Array) -> tuple[Any, Model]:
            return prepare(part, model, key, index, count, how)

        stacked = jax.vmap(member)(posterior.parts, posterior.models, keys)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), stacked)
    if how == "linear":
        return trees.stack((posterior, model), 1)

    def one(i: jax.Array) -> tuple[Any, Model]:
        draw = posterior.draw(key, i, count)
        return draw.weights, draw.model(model)

    return jax.vmap(one)(index)


def parameters(
    functions: tuple[Any, Model], key: jax.Array, index: jax.Array, x: jax.Array, how: str
) -> Parameters:
    """Return what the likelihood predicts under each function at inputs x: (s, n, k) arrays."""
    if how == "draws":
        return jax.vmap(lambda weights, model: _drawn(weights, model, x))(*functions)
    stacked = jax.vmap(lambda part, model: _linear(part, model, key, index, x))(*functions)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), stacked)


def _drawn(weights: Any, model: Model, x: jax.Array) -> Parameters:
    return _describe(model, model.network.apply(weights, x)[0])


def _describe(model: Model, f: jax.Array) -> Parameters:
    """Return the parameters of the predictive distribution of one function."""
    if model.likelihood.task == "classification":
        return (model.likelihood.log_probs(f),)
    mean, variance = model.likelihood.moments(f)
    return mean, variance, jnp.zeros_like(mean)


def _linear(
    part: GaussianPosterior, model: Model, key: jax.Array, index: jax.Array, x: jax.Array
) -> Parameters:
    """Predict from a Gaussian over f: in closed form, or by draws that all rows share."""
    mean, covariance = linearised(part, model, x)
    if model.likelihood.linear_mean:
        _, variance = model.likelihood.moments(mean)
        function_variance = jnp.diagonal(covariance, axis1=1, axis2=2)
        return mean[None], variance[None], function_variance[None]
    values, vectors = jnp.linalg.eigh(covariance)
    root = vectors * jnp.sqrt(jnp.maximum(values, 0))[:, None, :]

    def draw(i: jax.Array) -> Parameters:
        z = jax.random.normal(jax.random.fold_in(key, i), mean.shape[1:], mean.dtype)
        return _describe(model, mean + root @ z)

    return jax.vmap(draw)(index)


def linearised(part: GaussianPosterior, model: Model, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return mean (n, k) and covariance (n, k, k) of the network linearised at the mean.

    f(x) = f(x; m) + J(x) (w - m) with w from the posterior; the Jacobian is formed row by row.
    """
    center, unravel = trees.ravel(part.mean.params)

    def outputs(vector: jax.Array, row: jax.Array) -> jax.Array:
        weights = replace(part.mean, params=unravel(vector))
        return model.network.apply(weights, row[None])[0][0]

    def one(row: jax.Array) -> tuple[jax.Array, jax.Array]:
        jacobian = jax.jacrev(outputs)(center, row)
        return outputs(center, row), part.covariance.quadratic(jacobian)

    return jax.lax.map(one, x, batch_size=32)
