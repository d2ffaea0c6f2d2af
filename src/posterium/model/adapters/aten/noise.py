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
