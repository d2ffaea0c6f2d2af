r"""Pareto k-hat: whether importance weights have a mean that draws can estimate.

The largest weights are fitted by a generalised Pareto distribution. Its shape k says how many
moments the weights have, 1/k: above 0.7 no practical number of draws corrects the approximation
(Vehtari, Simpson, Gelman, Yao and Gabry 2024; for variational fits Yao et al. 2018).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

LEAST_DRAWS = 50
"""Of fewer draws the tail is too short for an estimate."""
PRIOR_DRAWS, PRIOR_SHAPE = 10, 0.5
"""The estimate leans towards this shape, as if so many draws of the tail had shown it."""


def pareto_k(log_weights: jax.Array) -> jax.Array:
    """Return k-hat of log importance weights (s,).

    It is estimated from the min(s / 5, 3 sqrt(s)) largest weights. NaN for fewer than 50 draws or
    weights that are not finite; -inf where the largest are all alike, as of an exact fit.
    """
    draws = len(log_weights)
    if draws < LEAST_DRAWS:
        return jnp.full((), jnp.nan, log_weights.dtype)
    count = min(draws // 5, int(np.ceil(3 * np.sqrt(draws))))
    tail = jnp.sort(log_weights)[-count - 1 :]
    # In units of the largest weight: a weight below the smallest number counts as 0.
    excess = jnp.exp(tail[1:] - tail[-1]) - jnp.exp(tail[0] - tail[-1])
    k = jnp.where(excess[-1] > 0, pareto_shape(excess), -jnp.inf)
    return jnp.where(jnp.all(jnp.isfinite(log_weights)), k, jnp.nan)


def pareto_shape(excess: jax.Array) -> jax.Array:
    """Return the shape of a generalised Pareto distribution, from sorted excesses (m,).

    The posterior mean over a grid of slopes (Zhang and Stephens 2009), drawn towards 0.5 by a
    weak prior (Vehtari et al. 2024, appendix G). Infinite where a quarter of them are 0 beside
    the largest.
    """
    m = len(excess)
    points = 30 + int(np.sqrt(m))
    quartile, largest = excess[int(m / 4 + 0.5) - 1], excess[-1]
    grid = 1 - np.sqrt(points / (np.arange(points) + 0.5))
    heavy = quartile <= largest * jnp.finfo(excess.dtype).eps ** 2
    slope = 1 / largest + grid / (3 * jnp.where(heavy, largest, quartile))
    shape = jnp.mean(jnp.log1p(-slope[:, None] * excess[None, :]), axis=1)
    profile = m * (jnp.log(-slope / shape) - shape - 1)
    chosen = jnp.sum(jnp.exp(profile - logsumexp(profile)) * slope)
    k = jnp.mean(jnp.log1p(-chosen * excess))
    k = (m * k + PRIOR_DRAWS * PRIOR_SHAPE) / (m + PRIOR_DRAWS)
    return jnp.where(heavy, jnp.inf, k)
