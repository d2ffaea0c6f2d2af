"""Norms: batch norm with its running statistics, layer norm and group norm."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from posterium.model.adapters.aten.table import NORMS, op


def _scaled(x: jax.Array, weight: Any, bias: Any, first: int) -> jax.Array:
    """Return x times a weight plus a bias whose axes are those of x from a first one on."""
    for part, combine in ((weight, jnp.multiply), (bias, jnp.add)):
        if part is not None:
            after = [1] * (x.ndim - first - part.ndim)
            x = combine(x, part.reshape(*[1] * first, *part.shape, *after))
    return x


def _standard(x: jax.Array, mean: jax.Array, variance: jax.Array, eps: float) -> jax.Array:
    return (x - mean) * lax.rsqrt(variance + eps)


def _moments(x: jax.Array, dims: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    return jnp.mean(x, dims, keepdims=True), jnp.var(x, dims, keepdims=True)


@op("_native_batch_norm_legit.no_stats")
def batch_norm_of_batch(
    x: jax.Array, weight: Any, bias: Any, training: bool, momentum: float, eps: float
) -> tuple[Any, ...]:
    dims = (0, *range(2, x.ndim))
    return _scaled(_standard(x, *_moments(x, dims), eps), weight, bias, 1), None, None


@op("_native_batch_norm_legit_no_training.default")
def batch_norm_of_running(
    x: jax.Array, weight: Any, bias: Any, mean: jax.Array, variance: jax.Array, momentum: float,
    eps: float,
) -> tuple[Any, ...]:  # fmt: skip
    shape = (1, -1, *[1] * (x.ndim - 2))
    out = _standard(x, mean.reshape(shape), variance.reshape(shape), eps)
    return _scaled(out, weight, bias, 1), None, None


@op("_native_batch_norm_legit_functional.default", table=NORMS)
def batch_norm(
    train: bool, x: jax.Array, weight: Any, bias: Any, mean: jax.Array, variance: jax.Array,
    training: bool, momentum: float, eps: float,
) -> tuple[Any, ...]:  # fmt: skip
    if not (train and training):
        out, *_ = batch_norm_of_running(x, weight, bias, mean, variance, momentum, eps)
        return out, None, None, mean, variance
    dims = (0, *range(2, x.ndim))
    here, spread = _moments(x, dims)
    out = _scaled(_standard(x, here, spread, eps), weight, bias, 1)
    count = x.size // x.shape[1]
    moved = (1 - momentum) * mean + momentum * here.ravel()
    # PyTorch normalises by the biased variance and keeps the unbiased one.
    unbiased = spread.ravel() * (count / max(count - 1, 1))
    return out, None, None, moved, (1 - momentum) * variance + momentum * unbiased


@op("native_layer_norm.default")
def layer_norm(
    x: jax.Array, shape: list[int], weight: Any, bias: Any, eps: float
) -> tuple[Any, ...]:
    first = x.ndim - len(shape)
    out = _standard(x, *_moments(x, tuple(range(first, x.ndim))), eps)
    return _scaled(out, weight, bias, first), None, None


@op("native_group_norm.default")
def group_norm(
    x: jax.Array, weight: Any, bias: Any, n: int, channels: int, size: int, groups: int, eps: float
) -> tuple[Any, ...]:
    grouped = x.reshape(x.shape[0], groups, -1)
    out = _standard(grouped, *_moments(grouped, (2,)), eps).reshape(x.shape)
    return _scaled(out, weight, bias, 1), None, None
