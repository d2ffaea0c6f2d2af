"""Entropy and Kullback-Leibler divergence of Gaussians over a vector of weights, in nats."""

import math

import jax
import jax.numpy as jnp

LOG_2PI = math.log(2 * math.pi)


def gaussian_entropy(log_det: jax.Array, count: int) -> jax.Array:
    """Return the entropy of a Gaussian over `count` weights; `log_det` is of its covariance."""
    return 0.5 * (log_det + count * (1 + LOG_2PI))


def gaussian_log_prob(z: jax.Array, log_det: jax.Array) -> jax.Array:
    """Return the log density of a draw from the unit normals z (p,) that it was made of."""
    return -0.5 * (jnp.sum(z**2, axis=-1) + log_det + z.shape[-1] * LOG_2PI)


def gaussian_kl(
    log_prior: jax.Array, precision: jax.Array, variance: jax.Array, log_det: jax.Array
) -> jax.Array:
    r"""Return KL(q, p) of a Gaussian q from a p with independent Gaussian weights.

    .. math:: KL = -H(q) - \log p(m) + \tfrac12 \sum_i \tau_i \, S_{ii}

    Exact because log p is quadratic, so that its mean under q needs only its value at the mean m
    of q and its curvature. Weights of precision 0 are flat: only the entropy counts for them.

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
    expected = log_prior - 0.5 * jnp.sum(precision * variance)
    return -gaussian_entropy(log_det, variance.size) - expected
