r"""Pareto smoothed importance weights, and k-hat: whether draws can estimate their mean.

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
ALIKE = 0.01
"""Largest weights within so many nats of each other need no correction."""
PRIOR_DRAWS, PRIOR_SHAPE = 10, 0.5
"""The estimate leans towards this shape, as if so many draws of the tail had shown it."""


def pareto_k(log_weights: jax.Array) -> jax.Array:
    """Return k-hat of log importance weights (s,).

    It is estimated from the min(s / 5, 3 sqrt(s)) largest weights. NaN for fewer than 50 draws or
    weights that are not finite; -inf where the largest are alike, as of an exact fit; inf where
    most of the largest are nothing beside the very largest.
    """
    return smoothed(log_weights)[1]


def smoothed(log_weights: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return log importance weights (s,) with a smooth upper tail that sum to 1, and k-hat.

    The largest weights become the quantiles of the Pareto distribution fitted to them, none above
    the largest there was. They stay as they are where `pareto_k` has no finite shape for them.
    """
    draws, dtype = len(log_weights), log_weights.dtype
    shifted = log_weights - jnp.max(log_weights)
    if draws < LEAST_DRAWS:
        return shifted - logsumexp(shifted), jnp.full((), jnp.nan, dtype)
    count = min(draws // 5, int(np.ceil(3 * np.sqrt(draws))))
    order = jnp.argsort(shifted)
    tail = shifted[order[-count - 1 :]]
    excess = jnp.exp(tail[1:]) - jnp.exp(tail[0])
    quarter = _quarter(count)
    alike = (tail[0] > -ALIKE) | (tail[1 + quarter] == tail[0])
    heavy = tail[1 + quarter] < 2 * jnp.log(jnp.finfo(dtype).eps)
    sound = ~alike & ~heavy & jnp.all(jnp.isfinite(log_weights))
    k, scale = pareto_fit(jnp.where(sound, excess, jnp.linspace(0.1, 1, count, dtype=dtype)))
    levels = (jnp.arange(count, dtype=dtype) + 0.5) / count
    quantiles = scale * jnp.expm1(-k * jnp.log1p(-levels)) / k
    smooth = jnp.minimum(jnp.log(jnp.exp(tail[0]) + quantiles), 0)
    found = shifted.at[order[-count:]].set(jnp.where(sound, smooth, tail[1:]))
    k = jnp.where(heavy, jnp.inf, jnp.where(alike, -jnp.inf, k))
    k = jnp.where(jnp.all(jnp.isfinite(log_weights)), k, jnp.nan)
    return found - logsumexp(found), k


def pareto_fit(excess: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return shape and scale of a generalised Pareto distribution, from sorted excesses (m,).

    The posterior mean over a grid of slopes (Zhang and Stephens 2009), its shape drawn towards 0.5
    by a weak prior (Vehtari et al. 2024, appendix G).
    """
    m = len(excess)
    points = 30 + int(np.sqrt(m))
    grid = 1 - np.sqrt(points / (np.arange(points) + 0.5))
    slope = 1 / excess[-1] + grid / (3 * excess[_quarter(m)])
    shape = jnp.mean(jnp.log1p(-slope[:, None] * excess[None, :]), axis=1)
    profile = m * (jnp.log(-slope / shape) - shape - 1)
    chosen = jnp.sum(jax.nn.softmax(profile) * slope)
    k = jnp.mean(jnp.log1p(-chosen * excess))
    return (m * k + PRIOR_DRAWS * PRIOR_SHAPE) / (m + PRIOR_DRAWS), -k / chosen


def _quarter(count: int) -> int:
    """Return the place of the lower quartile of so many sorted numbers."""
    return int(count / 4 + 0.5) - 1
