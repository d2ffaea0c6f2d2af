r"""MacKay's fixed point of the evidence: what each hyper-parameter must balance.

.. math:: \tau \leftarrow \gamma / \textstyle\sum_i s_i w_i^2, \quad
   \sigma^2 \leftarrow \textstyle\sum_i r_i^2 / (N - \gamma), \quad
   \gamma = p - \mathrm{tr}(T S)

for a precision tau that weights share, each times a number s_i of its own, with T the diagonal of
all precisions and S the covariance; gamma counts the weights that the data determine (MacKay 1992).
Both come from the gradients of the evidence in the logarithms, so that
any grouping of weights and outputs is one and the same.
"""

from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import replace
from posterium.model import hyper
from posterium.model.data import Data
from posterium.model.model import Model
from posterium.model.weights import Weights
from posterium.numerics import trees

LEAP = 3.0
"""Most that one step moves a logarithm by, a factor of twenty."""


def balance(posterior: Any, model: Model, data: Data) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return log evidence, its gradient (h,) in the coordinates, and the move to the balance (h,).

    The gradient is a sum of positive and of negative terms. A move makes them equal if only the
    one that is proportional to the hyper-parameter changes: it is the logarithm of their ratio,
    of a standard deviation half of it. The slope of a hyper-parameter's own prior counts by its
    sign; since it may grow with the square, as that of `HalfNormal`, the move is then half as far.

    Parameters
    ----------
    posterior
        A Gaussian with its curvature.
    model
        The model to start from; its free hyper-parameters are precisions in the prior and noise
        sds in the likelihood.
    data
        Any rows, which remember their N; only their size and the number of targets count.
    """
    raws = hyper.free(model)

    def evidence(raws: Any) -> jax.Array:
        return posterior.log_evidence(hyper.fill(model, raws))

    value, slopes = jax.value_and_grad(evidence)(raws)
    hypers = jax.grad(lambda raws: hyper.log_prior(hyper.fill(model, raws)))(raws)
    count = len(hyper.free(model.prior))
    slope, prior = (trees.vector(part[:count]) for part in (slopes, hypers))
    squares = _squares(posterior, model)
    moves = [_log_ratio(slope - prior + squares, squares, prior)]
    slope, prior = (trees.vector(part[count:]) for part in (slopes, hypers))
    residuals = _residuals(posterior, model, data)
    moves += [0.5 * _log_ratio(residuals, residuals - slope + prior, prior)]
    share = [jnp.full(h.raw.shape, 1.0 if h.prior is None else 0.5) for h in hyper.learned(model)]
    return value, trees.vector(slopes), trees.vector(share) * jnp.concatenate(moves)


def _log_ratio(positive: jax.Array, negative: jax.Array, prior: jax.Array) -> jax.Array:
    """Return log of the positive over the negative terms of a gradient, within bounds."""
    least = jnp.finfo(prior.dtype).eps * (jnp.abs(positive) + jnp.abs(negative) + 1)
    positive = jnp.maximum(positive, least) + jnp.maximum(prior, 0)
    negative = jnp.maximum(negative, least) + jnp.maximum(-prior, 0)
    return jnp.clip(jnp.log(positive) - jnp.log(negative), -LEAP, LEAP)


def _squares(posterior: Any, model: Model) -> jax.Array:
    """Return half the squared weights times their precisions, by free precision of the prior."""
    if not hyper.free(model.prior):
        return jnp.zeros(0, trees.vector(posterior.mean.params).dtype)
    params = mean_at(posterior, model).params

    def squares(raws: Any) -> jax.Array:
        precision = trees.vector(hyper.fill(model.prior, raws).precision_of(params))
        return 0.5 * jnp.sum(precision * trees.vector(params) ** 2)

    return trees.vector(jax.grad(squares)(hyper.free(model.prior)))


def _residuals(posterior: Any, model: Model, data: Data) -> jax.Array:
    """Return the squared residuals over the noise variance, by free noise sd of the likelihood."""
    zeros = jnp.zeros_like(data.y[:1])

    def relative(raws: Any) -> jax.Array:
        likelihood = hyper.fill(model.likelihood, raws)
        fitted = posterior.curvature.log_likelihood(replace(model, likelihood=likelihood))
        return fitted - data.size * likelihood.log_prob(zeros, zeros)[0]

    if not hyper.free(model.likelihood):
        return jnp.zeros(0, data.weight.dtype)
    return trees.vector(jax.grad(relative)(hyper.free(model.likelihood)))


def mean_at(posterior: Any, model: Model) -> Weights:
    """Return the mean at other hyper-parameters: a closed form's moves, a mode stays."""
    found = posterior.curvature
    return found.posterior(model).mean if hasattr(found, "posterior") else posterior.mean
