"""Functions of a posterior at inputs: drawn ones, or the law of the linearised network.

Everything here is pure and works on one tile of rows.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import replace
from posterium.model.forward import Forward, forward
from posterium.model.model import Model
from posterium.numerics import layers, random, trees
from posterium.posterior import links
from posterium.posterior.posterior import DropoutPosterior, GaussianPosterior, Mixture

HOWS = ("linear", "probit", "bridge", "draws")
LINEAR_DRAWS = "linear draws"
"""The linearised network with drawn weights: functions that hold together over rows."""

Parameters = tuple[jax.Array, ...]
Describe = Callable[[Model, jax.Array], Parameters]
"""What a likelihood predicts: (mean, noise variance, function variance), (log probs, spread), or
the parameters of another distribution."""


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
    posterior: Any,
    model: Model,
    key: jax.Array,
    index: jax.Array,
    *,
    count: int,
    how: str,
) -> tuple[Any, ...]:
    """Return what `parameters` needs of some draws: stacked functions, and their models.

    For draws of weights these are weights, of the linearised network with the weights it is
    linearised at; for all else, and where draws share their weights, the posteriors themselves with
    a random key a draw. `index` holds the numbers of the draws of each member.
    """
    if isinstance(posterior, Mixture):
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(posterior.size()))

        def member(part: Any, model: Model, key: jax.Array) -> tuple[Any, ...]:
            return prepare(part, model, key, index, count=count, how=how)

        stacked = jax.vmap(member)(posterior.parts, posterior.models, keys)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), stacked)
    if how not in ("draws", LINEAR_DRAWS) or isinstance(posterior, DropoutPosterior):
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(index)
        return trees.stack((posterior, model, keys), 1)

    def one(i: jax.Array) -> tuple[Any, Model]:
        draw = posterior.draw(key, i, count)
        drawn = draw.weights if how == "draws" else (posterior.mean, draw.weights)
        return drawn, draw.model(model)

    return jax.vmap(one)(index)


def in_closed_form(model: Model, how: str) -> bool:
    """Say whether a prediction needs no draws."""
    return how in ("probit", "bridge") or (how == "linear" and model.likelihood.linear_mean)


def parameters(
    functions: tuple[Any, ...], x: jax.Array, how: str, describe: Describe | None = None
) -> Parameters:
    """Return what the likelihood predicts under each function at inputs x: (s, n, k) arrays.

    Under functions drawn, `describe` says what of it: `described`, or `probabilities` alone.
    """
    tell = describe or described
    if isinstance(functions[0], DropoutPosterior):
        return _by_keys(lambda part, model, keys: _masked(part, model, keys, x, tell), functions)
    if how in ("draws", LINEAR_DRAWS):
        outputs = _drawn if how == "draws" else _tangent
        return jax.vmap(lambda drawn, model: tell(model, outputs(drawn, model, x)))(*functions)
    if in_closed_form(functions[1], how):
        law = {"linear": _closed, "probit": _probit, "bridge": _bridge}[how]
        return jax.vmap(lambda part, model: law(part, model, x))(*functions[:2])
    return _by_keys(lambda part, model, keys: _by_rows(part, model, keys, x), functions)


def _by_keys(predict: Callable[..., Parameters], functions: tuple[Any, ...]) -> Parameters:
    """Predict by posteriors, models and the keys of their draws: (m, s, n, k) arrays, flattened."""
    found = jax.vmap(predict)(*functions)
    return tuple(leaf.reshape(-1, *leaf.shape[2:]) for leaf in found)


def _masked(
    part: DropoutPosterior, model: Model, keys: jax.Array, x: jax.Array, tell: Describe
) -> Parameters:
    """Predict under the masks of some keys: what these do not reach is computed once."""
    return jax.vmap(lambda key: tell(model, _drawn(part.under(key), model, x)))(keys)


def _drawn(weights: Any, model: Model, x: jax.Array) -> jax.Array:
    """Return the outputs of one draw of the network."""
    return model.network.apply(weights, x)[0]


def _tangent(pair: tuple[Any, Any], model: Model, x: jax.Array) -> jax.Array:
    """Return those of one draw of the network linearised at the mean: f(x; m) + J(x) (w - m)."""
    mean, weights = pair
    offset = jax.tree.map(jnp.subtract, weights.params, mean.params)

    def outputs(params: Any) -> jax.Array:
        return model.network.apply(replace(mean, params=params), x)[0]

    f, shift = jax.jvp(outputs, (mean.params,), (offset,))
    return f + shift


def probabilities(model: Model, f: jax.Array) -> Parameters:
    """Return the class probabilities of one function, (n, c)."""
    direct = getattr(model.likelihood, "probs", None)
    return (jnp.exp(model.likelihood.log_probs(f)) if direct is None else direct(f),)


def described(model: Model, f: jax.Array) -> Parameters:
    """Return the parameters of the predictive distribution of one function."""
    if model.likelihood.task == "classification":
        return model.likelihood.log_probs(f), jnp.zeros_like(f[:, :1])
    if hasattr(model.likelihood, "distribution"):
        return model.likelihood.parameters(f)
    mean, variance = model.likelihood.moments(f)
    return mean, variance, jnp.zeros_like(mean)


def _by_rows(part: GaussianPosterior, model: Model, keys: jax.Array, x: jax.Array) -> Parameters:
    """Predict by draws of the linearised network's outputs, row by row, (s, n, k) arrays.

    A draw takes one vector of normals for all rows through the symmetric root of each row's
    covariance: every row has its exact law, and draws are smooth in x.
    """
    mean, covariance = linearised(part, model, x)
    values, vectors = jnp.linalg.eigh(covariance)
    root = (vectors * jnp.sqrt(jnp.maximum(values, 0))[:, None, :]) @ jnp.swapaxes(vectors, 1, 2)
    z = jax.vmap(lambda key: random.normal(key, mean.shape[1:], mean.dtype))(keys)
    f = mean[None] + jnp.einsum("nkl,sl->snk", root, z)
    return jax.vmap(lambda f: described(model, f))(f)


def _closed(part: GaussianPosterior, model: Model, x: jax.Array) -> Parameters:
    """Predict from a Gaussian over f whose likelihood adds Gaussian noise."""
    mean, variance = marginals(part, model, x)
    return mean, model.likelihood.moments(mean)[1], variance


def _probit(part: GaussianPosterior, model: Model, x: jax.Array) -> Parameters:
    log_probs = links.probit(model.likelihood, *marginals(part, model, x))
    return log_probs, jnp.full_like(log_probs[:, :1], jnp.nan)


def _bridge(part: GaussianPosterior, model: Model, x: jax.Array) -> Parameters:
    return links.bridge(model.likelihood, *linearised(part, model, x))


def _function(part: GaussianPosterior, model: Model) -> Forward:
    """Return the network as a function of its parameters and a batch."""
    return forward(model.network, part.mean)


@jax.jit
def ready(posterior: Any, model: Model, x: jax.Array) -> Any:
    """Return a posterior with the same variances of outputs at all rows like x, for less work.

    None where rows share no work.
    """
    if isinstance(posterior, Mixture):
        parts = jax.vmap(lambda *member: ready(*member, x))(posterior.parts, posterior.models)
        return None if parts is None else replace(posterior, parts=parts)
    f = _function(posterior, model)
    covariance = posterior.covariance.ready(f, posterior.mean.params, x)
    return None if covariance is None else replace(posterior, covariance=covariance)


def linearised(part: GaussianPosterior, model: Model, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return mean (n, k) and covariance (n, k, k) of the network linearised at the mean.

    f(x) = f(x; m) + J(x) (w - m) with w from the posterior.
    """
    return part.covariance.outputs(_function(part, model), part.mean.params, x)


def marginals(part: GaussianPosterior, model: Model, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return mean and variance of each output of the linearised network, both (n, k)."""
    return part.covariance.marginals(_function(part, model), part.mean.params, x)


def is_affine(part: Any, model: Model, x: Any) -> bool:
    """Say whether the network's outputs are affine in its weights: then it is its linearisation."""
    paths = trees.flatten(part.mean.params)
    return set(layers.last_layer(_function(part, model), part.mean.params, x)) == set(paths)


@jax.jit
def row_covariance(
    part: GaussianPosterior, model: Model, x: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return mean (n, k) of the linearised network and each output's covariance (k, n, n)."""
    return part.covariance.rows(_function(part, model), part.mean.params, x)


def row_width(part: GaussianPosterior, model: Model, x: Any) -> int:
    """Return how many numbers `row_covariance` holds for a row and output besides its answer."""
    return part.covariance.row_width(_function(part, model), part.mean.params, x)
