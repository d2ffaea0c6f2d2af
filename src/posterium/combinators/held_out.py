"""Scores of held-out rows at other hyper-parameters, within a fit."""

from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import replace
from posterium.model.data import Data
from posterium.model.likelihoods.gaussian import normal_log_prob
from posterium.model.model import Model
from posterium.numerics import trees
from posterium.posterior.functions import linearised


def score(posterior: Any, model: Model, held: Data, key: jax.Array, draws: int) -> jax.Array:
    """Return the mean log predictive density of rows, in nats, at a model's hyper-parameters.

    The network is linearised at the mode, and its weights follow the hyper-parameters by a Newton
    step. Where the likelihood adds Gaussian noise this is in closed form, as in a prediction;
    elsewhere it is the mean over draws of a row's outputs, of the same normals for every model.
    """
    f, covariance = outputs(posterior, model, held.x)
    if model.likelihood.linear_mean:
        _, noise = model.likelihood.moments(f)
        spread = jnp.diagonal(covariance, axis1=1, axis2=2)
        row = normal_log_prob(held.y, f, jnp.sqrt(spread + noise))
    else:
        z = jax.random.normal(key, (draws, *f.shape), f.dtype)
        values, vectors = jnp.linalg.eigh(covariance)
        root = vectors * jnp.sqrt(jnp.maximum(values, 0))[:, None, :]
        drawn = f[None] + jnp.einsum("nkj,snj->snk", root, z)
        each = jax.vmap(lambda f: model.likelihood.log_prob(f, held.y))(drawn)
        row = jax.nn.logsumexp(each, axis=0) - jnp.log(draws)
    return jnp.sum(held.weight * row) / jnp.sum(held.weight)


def outputs(posterior: Any, model: Model, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return mean (n, k) and covariance (n, k, k) of the outputs at a model's hyper-parameters."""
    found = posterior.curvature
    if hasattr(found, "posterior"):
        return linearised(found.posterior(model), model, x)
    here = replace(posterior, covariance=found.covariance(model))
    f, covariance = linearised(here, model, x)
    _, unravel = trees.ravel(here.mean.params)
    offset = unravel(times(here.covariance, found.gradient(model)))

    def network(params: Any) -> jax.Array:
        return model.network.apply(replace(here.mean, params=params), x)[0]

    return f + jax.jvp(network, (here.mean.params,), (offset,))[1], covariance


def times(covariance: Any, vector: jax.Array) -> jax.Array:
    """Return S v, (p,): half the gradient of v^T S v, which every operator knows."""
    return jax.grad(lambda v: 0.5 * covariance.quadratic(v[None, :])[0, 0])(vector)
