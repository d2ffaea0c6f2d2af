"""Pools: maxima and means over windows, and resampling of images."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from posterium.model.adapters.aten.table import op


def _many(values: Any, count: int, default: Any) -> list[int]:
    """Return one number a dimension: PyTorch lets one stand for all, and none for a default."""
    values = list(values) if isinstance(values, list | tuple) else [values]
    values = values or (list(default) if isinstance(default, list) else [default])
    return values * count if len(values) == 1 else values


def _windows(
    x: jax.Array, size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, count: int
) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
    """Return size, stride, padding, dilation and what a last, partial window needs on the right."""
    size = _many(size, count, 1)
    stride, padding = _many(stride, count, size), _many(padding, count, 0)
    dilation = _many(dilation, count, 1)
    extra = []
    for length, k, s, p, d in zip(x.shape[-count:], size, stride, padding, dilation, strict=True):
        rest = length + 2 * p - d * (k - 1) - 1
        steps = math.ceil(rest / s) if ceil_mode else rest // s
        if ceil_mode and steps * s >= length + p:
            steps -= 1
        extra.append(max(0, steps * s - rest))
    return size, stride, padding, dilation, extra


def _reduced(
    x: jax.Array, start: Any, reduce: Callable[..., Any], size: list[int], stride: list[int],
    widths: list[tuple[int, int]],
) -> jax.Array:  # fmt: skip
    fixed = x.ndim - len(size)
    whole = [(0, 0)] * fixed + widths
    ones = (1,) * fixed
    return lax.reduce_window(x, start, reduce, (*ones, *size), (*ones, *stride), whole)


def _spaced_max(
    x: jax.Array, size: list[int], stride: list[int], widths: list[tuple[int, int]],
    dilation: list[int],
) -> jax.Array:  # fmt: skip
    """Return maxima over windows with gaps, whose derivative JAX has no window operation for."""
    for i, (k, s, (low, high), d) in enumerate(zip(size, stride, widths, dilation, strict=True)):
        axis = x.ndim - len(size) + i
        pads = [(low, high, 0) if a == axis else (0, 0, 0) for a in range(x.ndim)]
        x = lax.pad(x, jnp.asarray(-jnp.inf, x.dtype), pads)
        span = x.shape[axis] - d * (k - 1)
        shifted = [lax.slice_in_dim(x, d * o, d * o + span, s, axis) for o in range(k)]
        x = functools.reduce(jnp.maximum, shifted)
    return x


def _max_pool(count: int) -> Callable[..., tuple[jax.Array, None]]:
    def pool(
        x: jax.Array, size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> tuple[jax.Array, None]:  # fmt: skip
        size, stride, padding, dilation, extra = _windows(
            x, size, stride, padding, dilation, ceil_mode, count
        )
        widths = [(p, p + more) for p, more in zip(padding, extra, strict=True)]
        if any(d > 1 for d in dilation):
            return _spaced_max(x, size, stride, widths, dilation), None
        return _reduced(x, -jnp.inf, lax.max, size, stride, widths), None

    return pool


def _avg_pool(count: int) -> Callable[..., jax.Array]:
    def pool(
        x: jax.Array, size: Any, stride: Any = (), padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> jax.Array:  # fmt: skip
        size, stride, padding, _, extra = _windows(x, size, stride, padding, 1, ceil_mode, count)
        widths = [(p, p + more) for p, more in zip(padding, extra, strict=True)]
        total = _reduced(x, 0.0, lax.add, size, stride, widths)
        if divisor_override:
            return total / divisor_override
        counted = np.ones(x.shape[-count:], x.dtype)
        if count_include_pad:
            counted = np.pad(counted, [(p, p) for p in padding], constant_values=1)
            widths = [(0, more) for more in extra]
        entries = _reduced(jnp.asarray(counted), 0.0, lax.add, size, stride, widths)
        return total / entries.reshape(*[1] * (x.ndim - count), *entries.shape)

    return pool


op("max_pool2d_with_indices.default")(_max_pool(2))
op("max_pool3d_with_indices.default")(_max_pool(3))
op("avg_pool1d.default")(_avg_pool(1))
op("avg_pool2d.default")(_avg_pool(2))
op("avg_pool3d.default")(_avg_pool(3))


def _bins(length: int, count: int) -> list[tuple[int, int]]:
    """Return where the adaptive windows start and end."""
    return [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


def _adaptive(x: jax.Array, sizes: list[int], reduce: Callable[..., jax.Array]) -> jax.Array:
    """Reduce the last axes to given lengths, over windows that cover them."""
    for axis, count in zip(range(x.ndim - len(sizes), x.ndim), sizes, strict=True):
        bins = _bins(x.shape[axis], count)
        x = jnp.concatenate(
            [reduce(lax.slice_in_dim(x, a, b, axis=axis), axis, keepdims=True) for a, b in bins],
            axis,
        )
    return x


@op("_adaptive_avg_pool2d.default", "_adaptive_avg_pool3d.default")
def adaptive_avg_pool(x: jax.Array, sizes: list[int]) -> jax.Array:
    return _adaptive(x, sizes, jnp.mean)


@op("adaptive_max_pool1d.default", "adaptive_max_pool2d.default", "adaptive_max_pool3d.default")
def adaptive_max_pool(x: jax.Array, sizes: list[int]) -> tuple[jax.Array, None]:
    return _adaptive(x, sizes, jnp.max), None


@op("upsample_nearest2d.vec")
def upsample_nearest(x: jax.Array, sizes: Any, factors: Any) -> jax.Array:
    for axis, (count, ratio) in zip((2, 3), _resized(x, sizes, factors), strict=True):
        x = jnp.take(x, np.floor(np.arange(count) * ratio).astype(int), axis=axis)
    return x


@op("upsample_bilinear2d.vec")
def upsample_bilinear(x: jax.Array, sizes: Any, align_corners: bool, factors: Any) -> jax.Array:
    for axis, (count, ratio) in zip((2, 3), _resized(x, sizes, factors), strict=True):
        last = x.shape[axis] - 1
        place = np.maximum((np.arange(count) + 0.5) * ratio - 0.5, 0)
        if align_corners:
            place = np.arange(count) * (last / max(count - 1, 1))
        low = np.minimum(np.floor(place).astype(int), last)
        share = (place - low).astype(x.dtype).reshape(-1, *[1] * (3 - axis))
        below, above = (jnp.take(x, i, axis=axis) for i in (low, np.minimum(low + 1, last)))
        x = below + (above - below) * share[(None,) * axis]
    return x


def _resized(x: jax.Array, sizes: Any, factors: Any) -> list[tuple[int, float]]:
    """Return the new length of the last two axes, and old over new."""
    if factors is None:
        return [(size, old / size) for size, old in zip(sizes, x.shape[2:], strict=True)]
    return [(int(old * f), 1 / f) for old, f in zip(x.shape[2:], factors, strict=True)]
