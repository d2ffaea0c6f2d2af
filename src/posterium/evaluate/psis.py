r"""Pareto k-hat: whether importance weights have a mean that draws can estimate.

The largest weights are fitted by a generalised Pareto distribution. Its shape k says how many
moments the weights have, 1/k: above 0.7 no practical number of draws corrects the approximation
(Vehtari, Simpson, Gelman, Yao and Gabry 2024; for variational fits Yao et al. 2018).
"""

import jax
import jax.numpy as jnp
import numpy as np

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
    draws, dtype = len(log_weights), log_weights.dtype
    if draws < LEAST_DRAWS:
        return jnp.full((), jnp.nan, dtype)
    count = min(draws // 5, int(np.ceil(3 * np.sqrt(draws))))
    tail = jnp.sort(log_weights)[-count - 1 :] - jnp.max(log_weights)
    excess = jnp.exp(tail[1:]) - jnp.exp(tail[0])
    quarter = _quarter(count)
    alike = (tail[0] > -ALIKE) | (tail[1 + quarter] == tail[0])
    heavy = tail[1 + quarter] < 2 * jnp.log(jnp.finfo(dtype).eps)
    k = pareto_shape(jnp.where(alike | heavy, jnp.linspace(0.1, 1, count, dtype=dtype), excess))
    k = jnp.where(heavy, jnp.inf, jnp.where(alike, -jnp.inf, k))
    return jnp.where(jnp.all(jnp.isfinite(log_weights)), k, jnp.nan)


def pareto_shape(excess: jax.Array) -> jax.Array:
    """Return the shape of a generalised Pareto distribution, from sorted excesses (m,).

    The posterior mean over a grid of slopes (Zhang and Stephens 2009), drawn towards 0.5 by a
    weak prior (Vehtari et al. 2024, appendix G).
    """
    m = len(excess)
    points = 30 + int(np.sqrt(m))
    grid = 1 - np.sqrt(points / (np.arange(points) + 0.5))
    slope = 1 / excess[-1] + grid / (3 * excess[_quarter(m)])
    shape = jnp.mean(jnp.log1p(-slope[:, None] * excess[None, :]), axis=1)
    profile = m * (jnp.log(-slope / shape) - shape - 1)
    chosen = jnp.sum(jax.nn.softmax(profile) * slope)
    k = jnp.mean(jnp.log1p(-chosen * excess))
    return (m * k + PRIOR_DRAWS * PRIOR_SHAPE) / (m + PRIOR_DRAWS)


def _quarter(count: int) -> int:
    """Return the place of the lower quartile of so many sorted numbers."""
    return int(count / 4 + 0.5) - 1
