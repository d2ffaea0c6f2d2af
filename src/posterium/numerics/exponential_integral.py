r"""The scaled exponential integral :math:`S(u) = e^u E_1(u)`, by its logarithm, for u > 0.

It falls from infinity like -log u to 0 like 1 / u, and satisfies S' = S - 1 / u. With h = u S and
q = 1 - h, which are in (0, 1), the slope of log S is -q / h, without cancellation
(Abramowitz and Stegun 1964, 5.1.11 and 5.1.22).
"""

import jax
import jax.numpy as jnp
import numpy as np

SPLIT = 1.0
"""Up to here a power series, beyond a continued fraction."""
TERMS = {np.dtype("float32"): (10, 18), np.dtype("float64"): (18, 90)}
"""Terms of both for full precision: the series needs most at the split, so does the fraction."""


@jax.custom_jvp
def log_scaled_exp1(u: jax.Array) -> jax.Array:
    """Return log(e^u E1(u)) by entries, finite for every positive and finite u."""
    return jnp.log(_parts(u)[0])


@jax.custom_jvp
def _shortfall(u: jax.Array) -> jax.Array:
    """Return q = 1 - u S(u), about 1 / u for large u."""
    return _parts(u)[1]


@log_scaled_exp1.defjvp
def _(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (u,), (moved,) = primals, tangents
    value = log_scaled_exp1(u)
    return value, -_shortfall(u) / (u * jnp.exp(value)) * moved


@_shortfall.defjvp
def _(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (u,), (moved,) = primals, tangents
    value = _shortfall(u)
    return value, (value - jnp.exp(log_scaled_exp1(u))) * moved


def _parts(u: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return S and q = 1 - u S."""
    series, fraction = TERMS[u.dtype]
    small, large = jnp.minimum(u, SPLIT), jnp.maximum(u, SPLIT)
    below = jnp.exp(small) * _series(small, series)
    tail = _tail(large, fraction)
    above = 1 / (large + 1 - tail)
    is_small = u <= SPLIT
    return (
        jnp.where(is_small, below, above),
        jnp.where(is_small, 1 - small * below, (1 - tail) * above),
    )


def _series(u: jax.Array, terms: int) -> jax.Array:
    """Return E1(u) = -gamma - log u - sum_k (-u)^k / (k k!)."""
    total = jnp.zeros_like(u)
    for k in range(terms, 0, -1):
        total = -u / k * (1 / k + total)
    return -np.euler_gamma - jnp.log(u) - total


def _tail(u: jax.Array, terms: int) -> jax.Array:
    """Return c of S = 1 / (u + 1 - c), c = 1 / (u + 3 - 4 / (u + 5 - 9 / (u + 7 - ...))))."""
    tail = jnp.zeros_like(u)
    for k in range(terms, 0, -1):
        tail = k**2 / (u + (2 * k + 1) - tail)
    return tail
