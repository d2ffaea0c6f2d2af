"""Noise: dropout, which is off without a key, and random arrays, which need one."""

from typing import Any

import jax
import jax.numpy as jnp

from posterium.model.adapters.aten.table import NOISY, op


def dropout(key: jax.Array | None, x: jax.Array, p: float) -> jax.Array:
    """Return x with entries set to 0 with probability p and the others scaled up; off: x."""
    if key is None or p == 0:
        return x
    if p == 1:
        return jnp.zeros_like(x)
    return jnp.where(jax.random.bernoulli(key, 1 - p, x.shape), x / (1 - p), 0)


@op("native_dropout.default", table=NOISY)
def native_dropout(
    key: jax.Array | None, x: jax.Array, p: float, train: bool | None
) -> tuple[jax.Array, None]:
    return (x if train is False else dropout(key, x, p)), None


@op("posterium.feature_dropout.default", table=NOISY)
def feature_dropout(key: jax.Array | None, x: jax.Array, p: float, train: bool) -> jax.Array:
    one = jnp.ones((*x.shape[:2], *[1] * (x.ndim - 2)), x.dtype)
    return x * dropout(key if train else None, one, p)


@op("posterium.alpha_dropout.default", table=NOISY)
def alpha_dropout(key: jax.Array | None, x: jax.Array, p: float, train: bool) -> jax.Array:
    if key is None or not train or p == 0:
        return x
    return _kept_moments(x, jax.random.bernoulli(key, 1 - p, x.shape), p)


@op("posterium.feature_alpha_dropout.default", table=NOISY)
def feature_alpha_dropout(key: jax.Array | None, x: jax.Array, p: float, train: bool) -> jax.Array:
    if key is None or not train or p == 0:
        return x
    shape = (*x.shape[:2], *[1] * (x.ndim - 2))
    return _kept_moments(x, jax.random.bernoulli(key, 1 - p, shape), p)


def _kept_moments(x: jax.Array, keep: jax.Array, p: float) -> jax.Array:
    """Put the lower limit of SELU in places that are dropped, and restore mean and variance.

    Klambauer et al. (2017), section 3.
    """
    limit = -1.7580993408473766
    scale = ((1 - p) * (1 + p * limit**2)) ** -0.5
    return scale * jnp.where(keep, x, limit) - scale * limit * p


def needed(key: jax.Array | None) -> jax.Array:
    """Return the key; what draws more than dropout cannot be switched off."""
    if key is None:
        raise ValueError(
            "Expected weights with a key, since the module draws random numbers in training; got "
            "none. Pass Weights(params, state, key)."
        )
    return key


@op("rand.default", table=NOISY)
def uniform(key: jax.Array | None, size: list[int]) -> jax.Array:
    return jax.random.uniform(needed(key), tuple(size))


@op("rand_like.default", table=NOISY)
def uniform_like(key: jax.Array | None, x: jax.Array) -> jax.Array:
    return uniform(key, list(x.shape))


@op("randn.default", table=NOISY)
def normal(key: jax.Array | None, size: list[int]) -> jax.Array:
    return jax.random.normal(needed(key), tuple(size))


@op("randn_like.default", table=NOISY)
def normal_like(key: jax.Array | None, x: jax.Array) -> jax.Array:
    return normal(key, list(x.shape))


@op("bernoulli.default", "bernoulli.p", table=NOISY)
def bernoulli(key: jax.Array | None, x: jax.Array, p: Any = None) -> jax.Array:
    return jax.random.bernoulli(needed(key), x if p is None else p, x.shape)


@op("exponential.default", table=NOISY)
def exponential(key: jax.Array | None, x: jax.Array, rate: float = 1.0) -> jax.Array:
    return jax.random.exponential(needed(key), x.shape) / rate
