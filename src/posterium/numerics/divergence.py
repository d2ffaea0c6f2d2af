"""Entropy and Kullback-Leibler divergence of distributions over a vector of weights, in nats."""

import math

import jax
import jax.numpy as jnp

from posterium.numerics.covariances.base import Covariance, rows_at_once
from posterium.numerics.covariances.dense import Diagonal
from posterium.numerics.precisions import DiagonalPrecision, Precision

LOG_2PI = math.log(2 * math.pi)


def gaussian_entropy(log_det: jax.Array, count: int) -> jax.Array:
    """Return the entropy of a Gaussian over `count` weights; `log_det` is of its covariance."""
    return 0.5 * (log_det + count * (1 + LOG_2PI))


def gaussian_log_prob(z: jax.Array, log_det: jax.Array) -> jax.Array:
    """Return the log density of a draw from the unit normals z (p,) that it was made of."""
    return -0.5 * (jnp.sum(z**2, axis=-1) + log_det + z.shape[-1] * LOG_2PI)


def quadratic_kl(log_prior: jax.Array, trace: jax.Array, entropy: jax.Array) -> jax.Array:
    r"""Return KL(q, p) of any q from a p whose log density is quadratic.

    .. math:: KL = -H(q) - \log p(m) + \tfrac12 \mathrm{tr}(\Lambda S)

    Exact because the mean of log p under q needs only its value at the mean m of q, its curvature
    and the covariance S of q. Weights of precision 0 are flat: only the entropy counts for them.

    Parameters
    ----------
    log_prior
        Log density of p at the mean of q.
    trace
        Trace of the precision of p times the covariance of q, as of `precision_trace`.
    entropy
        Entropy of q.
    """
    return -entropy - (log_prior - 0.5 * trace)


def gaussian_kl(
    log_prior: jax.Array, precision: jax.Array, variance: jax.Array, log_det: jax.Array
) -> jax.Array:
    """Return KL(q, p) of a Gaussian q from a p with independent Gaussian weights.

    Parameters
    ----------
    log_prior
        Log density of p at the mean of q.
    precision
        Precision of every weight under p, (p,).
    variance
        Variance of every weight under q, (p,).
    log_det
        Log determinant of the covariance of q.
    """
    trace = jnp.sum(precision * variance)
    return quadratic_kl(log_prior, trace, gaussian_entropy(log_det, variance.size))


def precision_trace(precision: Precision, covariance: Covariance) -> jax.Array:
    r"""Return the trace of a precision times a covariance, :math:`\sum_i w_i S w_i^\top`.

    The w are the rows of the precision's root. Where weights are independent under either, only
    the diagonals count; otherwise each row takes one quadratic form, p of them in all.
    """
    if isinstance(precision, DiagonalPrecision) or isinstance(covariance, Diagonal):
        return jnp.sum(precision.diagonal() * covariance.variance())
    variance = covariance.variance()
    _, back = jax.vjp(precision.whiten, jnp.zeros_like(variance))

    def form(unit: jax.Array) -> jax.Array:
        (row,) = back((jnp.arange(variance.size) == unit).astype(variance.dtype))
        return covariance.quadratic(row[None])[0, 0]

    tile = rows_at_once(variance.size, variance.dtype)
    return jnp.sum(jax.lax.map(form, jnp.arange(variance.size), batch_size=tile))
