"""Arrays: operators that make, reshape, join, cut and index arrays."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from posterium.model.adapters.aten.table import OPS, axes, op, spread


def _same(x: Any, *rest: Any, **options: Any) -> Any:
    return x


OPS.update(
    dict.fromkeys(
        ("alias.default", "clone.default", "contiguous.default", "_to_copy.default"), _same
    )
)


@op("_assert_tensor_metadata.default", "_assert_async.msg", "_assert_scalar.default")
def nothing(*args: Any, **options: Any) -> None:
    return None


@op("posterium.detach.default")
def detach(x: jax.Array) -> jax.Array:
    return lax.stop_gradient(x)


@op("copy.default")
def copy(into: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.broadcast_to(spread(into, x)[1], into.shape)


@op("full.default")
def full(size: list[int], value: Any) -> jax.Array:
    return jnp.full(size, value)


@op("full_like.default")
def full_like(x: jax.Array, value: Any) -> jax.Array:
    return jnp.full(x.shape, value)


@op("empty.memory_format", "empty_permuted.default")
def empty(size: list[int], *rest: Any) -> jax.Array:
    return jnp.zeros(size)


@op("scalar_tensor.default")
def scalar(value: Any) -> jax.Array:
    return jnp.asarray(value)


@op("arange.start_step")
def arange(start: Any, end: Any, step: Any = 1) -> jax.Array:
    return jnp.arange(start, end, step)


@op("view.default", "_unsafe_view.default", "reshape.default")
def view(x: jax.Array, size: list[int]) -> jax.Array:
    return jnp.reshape(x, size)


@op("permute.default")
def permute(x: jax.Array, dims: list[int]) -> jax.Array:
    return jnp.transpose(x, dims)


@op("expand.default")
def expand(x: jax.Array, size: list[int], implicit: bool = False) -> jax.Array:
    new = len(size) - x.ndim
    shape = [x.shape[i - new] if length == -1 else length for i, length in enumerate(size)]
    return jnp.broadcast_to(jnp.expand_dims(x, tuple(range(new))), shape)


@op("unsqueeze.default")
def unsqueeze(x: jax.Array, dim: int) -> jax.Array:
    return jnp.expand_dims(x, dim)


@op("squeeze.default", "squeeze.dim", "squeeze.dims")
def squeeze(x: jax.Array, dim: Any = None) -> jax.Array:
    return jnp.squeeze(x, tuple(d for d in axes(x, dim) if x.shape[d] == 1))


@op("select.int")
def select(x: jax.Array, dim: int, place: int) -> jax.Array:
    return lax.index_in_dim(x, place, dim, keepdims=False)


def _cut(x: jax.Array, dim: int, start: Any, end: Any, step: int) -> tuple[slice, ...]:
    return (slice(None),) * (dim % x.ndim) + (slice(start, end, step),)


@op("slice.Tensor")
def cut(x: jax.Array, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    return x[_cut(x, dim, start, end, step)]


@op("slice_scatter.default")
def put_slice(
    x: jax.Array, new: jax.Array, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> jax.Array:
    return x.at[_cut(x, dim, start, end, step)].set(new)


@op("select_scatter.default")
def put_place(x: jax.Array, new: jax.Array, dim: int, place: int) -> jax.Array:
    return x.at[(slice(None),) * (dim % x.ndim) + (place,)].set(new)


@op("cat.default")
def join(parts: list[jax.Array], dim: int = 0) -> jax.Array:
    return jnp.concatenate([part for part in parts if part.shape != (0,)], dim)


@op("split_with_sizes.default")
def split(x: jax.Array, sizes: list[int], dim: int = 0) -> list[jax.Array]:
    return jnp.split(x, np.cumsum(sizes)[:-1].tolist(), dim)


@op("constant_pad_nd.default")
def pad(x: jax.Array, widths: list[int], value: Any = 0) -> jax.Array:
    # Pairs come last dimension first.
    pairs = list(zip(widths[::2], widths[1::2], strict=True))[::-1]
    whole = [(0, 0)] * (x.ndim - len(pairs)) + pairs
    return lax.pad(x, jnp.asarray(value, x.dtype), [(low, high, 0) for low, high in whole])


@op("flip.default")
def flip(x: jax.Array, dims: list[int]) -> jax.Array:
    return jnp.flip(x, dims)


@op("repeat.default")
def repeat(x: jax.Array, counts: list[int]) -> jax.Array:
    return jnp.tile(x, counts)


@op("diagonal.default")
def diagonal(x: jax.Array, offset: int = 0, dim1: int = 0, dim2: int = 1) -> jax.Array:
    return jnp.diagonal(x, offset, dim1, dim2)


@op("unfold.default")
def windows(x: jax.Array, dim: int, size: int, step: int) -> jax.Array:
    dim = dim % x.ndim
    starts = np.arange(0, x.shape[dim] - size + 1, step)
    found = jnp.take(x, starts[:, None] + np.arange(size)[None, :], axis=dim)
    return jnp.moveaxis(found, dim + 1, -1)


@op("index.Tensor")
def index(x: jax.Array, places: list[Any]) -> jax.Array:
    return x[_places(places)]


@op("index_put.default")
def put(x: jax.Array, places: list[Any], new: jax.Array, accumulate: bool = False) -> jax.Array:
    where = _places(places)
    new = jnp.broadcast_to(spread(x[where], new)[1], x[where].shape)
    return x.at[where].add(new) if accumulate else x.at[where].set(new)


def _places(places: list[Any]) -> tuple[Any, ...]:
    """Return places as NumPy writes them: None means all along a dimension."""
    if any(p is not None and p.dtype == bool for p in places):
        raise ValueError(
            "Expected indices of integers; got a mask, which selects a number of entries that is "
            "not known beforehand. Use torch.where."
        )
    given = iter(spread(*(p for p in places if p is not None)))
    return tuple(slice(None) if p is None else next(given) for p in places)


@op("index_select.default")
def take(x: jax.Array, dim: int, places: jax.Array) -> jax.Array:
    return jnp.take(x, places, axis=dim)


def _grid(places: jax.Array, dim: int) -> tuple[jax.Array, ...]:
    """Return indices to the entries along a dimension that `gather` and `scatter` mean."""
    grid = list(jnp.meshgrid(*map(jnp.arange, places.shape), indexing="ij"))
    grid[dim] = places
    return tuple(grid)


@op("gather.default")
def gather(x: jax.Array, dim: int, places: jax.Array, sparse_grad: bool = False) -> jax.Array:
    return x[_grid(places, dim)] if x.ndim else x


@op("scatter.src", "scatter.value")
def scatter(x: jax.Array, dim: int, places: jax.Array, new: Any) -> jax.Array:
    new = new[tuple(map(slice, places.shape))] if jnp.ndim(new) else new
    return x.at[_grid(places, dim)].set(new)


@op("scatter_add.default")
def scatter_add(x: jax.Array, dim: int, places: jax.Array, new: jax.Array) -> jax.Array:
    return x.at[_grid(places, dim)].add(new[tuple(map(slice, places.shape))])


@op("scatter_reduce.two")
def scatter_reduce(
    x: jax.Array, dim: int, places: jax.Array, new: jax.Array, reduce: str,
    include_self: bool = True,
) -> jax.Array:  # fmt: skip
    grid, new = _grid(places, dim), new[tuple(map(slice, places.shape))]
    neutral = {"sum": 0, "mean": 0, "prod": 1, "amax": -math.inf, "amin": math.inf}[reduce]
    if not include_self:
        x = x.at[grid].set(neutral)
    if reduce == "mean":
        count = jnp.full(x.shape, float(include_self)).at[grid].add(1)
        return x.at[grid].add(new) / jnp.where(count == 0, 1, count)
    way = {"sum": "add", "prod": "multiply", "amax": "max", "amin": "min"}[reduce]
    return getattr(x.at[grid], way)(new)
