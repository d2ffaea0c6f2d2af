"""Reductions: sums, means, extremes, norms and orders along dimensions."""

from typing import Any

import jax
import jax.numpy as jnp

from posterium.model.adapters.aten.table import axes, op


@op("sum.default", "sum.dim_IntList")
def total(x: jax.Array, dim: Any = None, keepdim: bool = False) -> jax.Array:
    return jnp.sum(x, axes(x, dim), keepdims=keepdim)


@op("mean.default", "mean.dim")
def mean(x: jax.Array, dim: Any = None, keepdim: bool = False) -> jax.Array:
    return jnp.mean(x, axes(x, dim), keepdims=keepdim)


@op("prod.default", "prod.dim_int")
def product(x: jax.Array, dim: Any = None, keepdim: bool = False) -> jax.Array:
    return jnp.prod(x, axes(x, dim), keepdims=keepdim)


@op("any.default", "any.dim", "any.dims")
def some(x: jax.Array, dim: Any = None, keepdim: bool = False) -> jax.Array:
    return jnp.any(x, axes(x, dim), keepdims=keepdim)


@op("all.default", "all.dim", "all.dims")
def every(x: jax.Array, dim: Any = None, keepdim: bool = False) -> jax.Array:
    return jnp.all(x, axes(x, dim), keepdims=keepdim)


@op("amax.default")
def highest(x: jax.Array, dim: Any = (), keepdim: bool = False) -> jax.Array:
    return jnp.max(x, axes(x, list(dim)), keepdims=keepdim)


@op("amin.default")
def lowest(x: jax.Array, dim: Any = (), keepdim: bool = False) -> jax.Array:
    return jnp.min(x, axes(x, list(dim)), keepdims=keepdim)


@op("max.default")
def highest_of_all(x: jax.Array) -> jax.Array:
    return jnp.max(x)


@op("min.default")
def lowest_of_all(x: jax.Array) -> jax.Array:
    return jnp.min(x)


@op("argmax.default")
def argmax(x: jax.Array, dim: int | None = None, keepdim: bool = False) -> jax.Array:
    return jnp.argmax(x, dim, keepdims=keepdim)


@op("argmin.default")
def argmin(x: jax.Array, dim: int | None = None, keepdim: bool = False) -> jax.Array:
    return jnp.argmin(x, dim, keepdims=keepdim)


@op("max.dim")
def max_with_place(x: jax.Array, dim: int, keepdim: bool = False) -> tuple[jax.Array, jax.Array]:
    return _taken(x, jnp.argmax(x, dim, keepdims=True), dim, keepdim)


@op("min.dim")
def min_with_place(x: jax.Array, dim: int, keepdim: bool = False) -> tuple[jax.Array, jax.Array]:
    return _taken(x, jnp.argmin(x, dim, keepdims=True), dim, keepdim)


def _taken(x: jax.Array, place: jax.Array, dim: int, keepdim: bool) -> tuple[jax.Array, jax.Array]:
    value = jnp.take_along_axis(x, place, dim)
    return (value, place) if keepdim else (jnp.squeeze(value, dim), jnp.squeeze(place, dim))


@op("var.correction")
def variance(
    x: jax.Array, dim: Any = None, *, correction: Any = None, keepdim: bool = False
) -> jax.Array:
    ddof = 1 if correction is None else correction
    return jnp.var(x, axes(x, dim), ddof=ddof, keepdims=keepdim)


@op("cumsum.default")
def cumulative_sum(x: jax.Array, dim: int) -> jax.Array:
    return jnp.cumsum(x, dim)


@op("cumprod.default")
def cumulative_product(x: jax.Array, dim: int) -> jax.Array:
    return jnp.cumprod(x, dim)


@op("sort.default")
def sort(x: jax.Array, dim: int = -1, descending: bool = False) -> tuple[jax.Array, jax.Array]:
    order = jnp.argsort(x, dim, descending=descending, stable=True)
    return jnp.take_along_axis(x, order, dim), order


@op("sort.stable")
def stable_sort(
    x: jax.Array, *, stable: bool | None = None, dim: int = -1, descending: bool = False
) -> tuple[jax.Array, jax.Array]:
    return sort(x, dim, descending)


@op("topk.default")
def topk(
    x: jax.Array, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[jax.Array, ...]:
    found = sort(x, dim, largest)
    return tuple(jax.lax.slice_in_dim(part, 0, k, axis=dim % x.ndim) for part in found)


@op("linalg_vector_norm.default")
def norm(x: jax.Array, ord: Any = 2, dim: Any = None, keepdim: bool = False) -> jax.Array:
    along = axes(x, dim)
    if ord == 2:
        return root(jnp.sum(x * x, along, keepdims=keepdim))
    size = x * jnp.sign(x)
    if abs(ord) == float("inf"):
        extreme = jnp.max if ord > 0 else jnp.min
        return extreme(size, along, keepdims=keepdim)
    if ord == 0:
        return jnp.sum(x != 0, along, keepdims=keepdim)
    return jnp.sum(size**ord, along, keepdims=keepdim) ** (1 / ord)


def root(square: jax.Array) -> jax.Array:
    """Return the square root, whose derivative at 0 is 0 here as it is in PyTorch's norms."""
    above = square > 0
    return jnp.where(above, jnp.sqrt(jnp.where(above, square, 1)), 0)


@op("_cdist_forward.default")
def distances(a: jax.Array, b: jax.Array, p: float, mode: int | None) -> jax.Array:
    return norm(a[..., :, None, :] - b[..., None, :, :], p, -1)
