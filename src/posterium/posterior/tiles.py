"""Tiles: what a posterior predicts for rows in tiles of 256 under draws in groups of 16 or more.

Each tile and each group goes the same way, so that a row's answer does not depend on its company.
What the likelihood predicts under every draw is either kept (`collected`), or averaged over the
draws as they come (`averaged`), which is much less work where nothing else is asked for.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium.model.model import Model
from posterium.posterior.functions import (
    Parameters,
    described,
    members,
    parameters,
    prepare,
    probabilities,
)

TILE = 256
GROUP = 16
"""Draws a group; more where functions are small."""
SMALL = 1024
"""Numbers that the draws of a group may hold together where there are more than 16."""
MOST = 16 * GROUP
"""Draws a group at most."""


def tiled(x: np.ndarray) -> tuple[np.ndarray, int]:
    """Return rows (n, ...) as tiles (t, 256, ...), and how many of them hold a row.

    There are a power of two of them, so that few programs do for any number of rows.
    """
    used = max(1, math.ceil(len(x) / TILE))
    held = 1 << (used - 1).bit_length()
    tiles = np.zeros((held * TILE, *x.shape[1:]), x.dtype)
    tiles[: len(x)] = x
    return tiles.reshape(held, TILE, *x.shape[1:]), used


@functools.partial(jax.jit, static_argnames=("how", "count"))
def collected(
    posterior: Any,
    model: Model,
    key: jax.Array,
    tiles: jax.Array,
    used: jax.Array,
    *,
    how: str,
    count: int,
) -> Parameters:
    """Predict the first `used` of some tiles of rows, (t, 256, ...), under all draws.

    The draws of each of m members come last, padded to whole groups: (t, 256, k, m, s).
    """
    each = members(posterior)
    size = count if how == "linear" else _group(posterior, model, key, how, count)
    groups = math.ceil(count / size)
    drawn = functools.partial(_drawn, posterior, model, key, how, count, size)

    def one(functions: tuple[Any, ...], tile: jax.Array) -> Parameters:
        found = parameters(functions, tile, how)
        split = (part.reshape(each, size, *part.shape[1:]) for part in found)
        return tuple(jnp.moveaxis(part, (0, 1), (2, 3)) for part in split)

    def place(group: jax.Array, functions: Any, i: jax.Array, whole: Parameters) -> Parameters:
        zero = jnp.zeros_like(group)
        return _put(whole, one(functions, tiles[i]), (i, zero, zero, zero, group * size))

    shapes = jax.eval_shape(lambda: one(drawn(jnp.int32(0)), tiles[0]))
    whole = [jnp.zeros((len(tiles), *s.shape[:3], groups * size), s.dtype) for s in shapes]
    return _over(groups, used, drawn, place, tuple(whole))


@functools.partial(jax.jit, static_argnames=("how", "count"))
def averaged(
    posterior: Any,
    model: Model,
    key: jax.Array,
    tiles: jax.Array,
    used: jax.Array,
    *,
    how: str,
    count: int,
) -> Parameters:
    """Average over all draws what `collected` keeps, (t, 256, k) arrays.

    Of classes their probabilities; of numbers mean, aleatoric variance and epistemic variance, for
    Gaussian predictions.
    """
    each, size = members(posterior), _group(posterior, model, key, how, count)
    groups = math.ceil(count / size)
    drawn = functools.partial(_drawn, posterior, model, key, how, count, size)
    classes = model.likelihood.task == "classification"
    describe, average, join = (
        (probabilities, _of_classes, _mean) if classes else (described, _of_numbers, _law)
    )

    def one(functions: tuple[Any, ...], tile: jax.Array, draws: jax.Array) -> Parameters:
        kept = jnp.tile(jnp.arange(size) < draws, each)
        found = parameters(functions, tile, how, describe)
        return average(found, kept.astype(found[0].dtype) / (each * draws))

    def add(group: jax.Array, functions: Any, i: jax.Array, whole: Parameters) -> Parameters:
        draws = jnp.minimum(size, count - group * size)
        new = one(functions, tiles[i], draws)
        share = draws.astype(new[0].dtype) / (group * size + draws)
        before = tuple(part[i] for part in whole)
        zero = jnp.zeros_like(group)
        return _put(whole, join(before, new, share), (i, zero, zero))

    shapes = jax.eval_shape(lambda: one(drawn(jnp.int32(0)), tiles[0], jnp.int32(1)))
    whole = tuple(jnp.zeros((len(tiles), *s.shape), s.dtype) for s in shapes)
    return _over(groups, used, drawn, add, whole)


def _group(posterior: Any, model: Model, key: jax.Array, how: str, count: int) -> int:
    """Return how many draws make a group: of small functions many, since each group costs alike.

    It depends on the function alone, not on the rows.
    """
    one = jax.eval_shape(lambda: _drawn(posterior, model, key, how, count, 1, jnp.int32(0)))
    numbers = max(1, sum(leaf.size for leaf in jax.tree.leaves(one[0])) // members(posterior))
    return min(count, MOST, GROUP << max(0, (SMALL // numbers).bit_length() - 1))


def _drawn(
    posterior: Any,
    model: Model,
    key: jax.Array,
    how: str,
    count: int,
    size: int,
    group: jax.Array,
) -> tuple[Any, ...]:
    """Return the functions of a group of so many draws."""
    index = group * size + jnp.arange(size)
    return prepare(posterior, model, key, index, count=count, how=how)


def _over(
    groups: int,
    used: jax.Array,
    drawn: Callable[[jax.Array], Any],
    step: Callable[..., Parameters],
    whole: Parameters,
) -> Parameters:
    """Take a step for every tile in use under every group of draws, one after another."""

    def fill(group: jax.Array, whole: Parameters) -> Parameters:
        functions = drawn(group)
        return jax.lax.fori_loop(0, used, lambda i, held: step(group, functions, i, held), whole)

    return jax.lax.fori_loop(0, jnp.int32(groups), fill, whole)


def _put(whole: Parameters, found: Parameters, at: tuple[jax.Array, ...]) -> Parameters:
    """Return the arrays with what was found for one tile put in its place."""
    pairs = zip(whole, found, strict=True)
    return tuple(jax.lax.dynamic_update_slice(all_, part[None], at) for all_, part in pairs)


def _of_classes(found: Parameters, weight: jax.Array) -> Parameters:
    """Return the weighted average of probabilities over draws, (256, c)."""
    (probs,) = found
    return (_average(weight, probs),)


def _of_numbers(found: Parameters, weight: jax.Array) -> Parameters:
    """Return weighted mean, mean noise variance and variance of the mean, (256, k) each.

    Around the first draw, so that draws which are all alike have a variance of exactly 0.
    """
    each, noise, function = found
    mean = each[0] + _average(weight, each - each[:1])
    spread = _average(weight, (each - mean[None]) ** 2 + function)
    return mean, _average(weight, noise), spread


def _average(weight: jax.Array, each: jax.Array) -> jax.Array:
    """Return weighted sums over draws: as a product, which the compiler does fastest."""
    return jnp.einsum("s,snk->nk", weight, each, precision="highest")


def _mean(before: Parameters, new: Parameters, share: jax.Array) -> Parameters:
    """Join averages of which the new ones are over this share of the draws."""
    return tuple(a + share * (b - a) for a, b in zip(before, new, strict=True))


def _law(before: Parameters, new: Parameters, share: jax.Array) -> Parameters:
    """Join means and variances by the law of total variance."""
    mean, noise, spread = _mean(before, new, share)
    return mean, noise, spread + share * (1 - share) * (new[0] - before[0]) ** 2
