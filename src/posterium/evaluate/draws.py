"""What each draw of a posterior says, by chain: function values, log likelihoods, weights.

The members of a mixture take the place of chains. Rows go through in tiles and draws in groups, so
that the memory is that of the answer.
"""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import bare
from posterium.evaluate.convergence import values_of
from posterium.model import hyper
from posterium.model.data import Data, as_inputs
from posterium.model.model import Model
from posterium.numerics import trees
from posterium.posterior.fit import Fit
from posterium.posterior.functions import LINEAR_DRAWS, default_how, members, parameters, prepare
from posterium.posterior.posterior import Mixture, Point, Samples
from posterium.posterior.tiles import GROUP, TILE

Say = Callable[[Any, jax.Array, Any], jax.Array]
"""What outputs f (b, k) of a draw say under a likelihood, given targets y or None: (b, ...)."""


def innermost(posterior: Any) -> Any:
    """Return what the members of a mixture are, stacked; anything else as it is."""
    while isinstance(posterior, Mixture):
        posterior = posterior.parts
    return posterior


def layout(posterior: Any, draws: int) -> tuple[int, int]:
    """Return how many chains there are, and draws of each.

    A sampler's draws are all taken, a point is one, and anything else gives `draws`. Each member of
    a mixture is a chain, or has its chains.
    """
    inner = innermost(posterior)
    if isinstance(inner, Samples):
        lead = np.shape(jax.tree.leaves(inner.draws)[0])[: _depth(posterior) + 2]
        return math.prod(lead[:-1]), lead[-1]
    return members(posterior), 1 if isinstance(inner, Point) else draws


def function_values(key: jax.Array, fit: Fit, x: Any, draws: int) -> np.ndarray:
    """Return what each draw predicts at inputs x (q, ...): (c, s, q, m), see `values_of`."""
    return np.concatenate(list(_tiles(key, fit, as_inputs(x), None, draws, _values)), axis=2)


def outputs(key: jax.Array, fit: Fit, x: Any, draws: int) -> np.ndarray:
    """Return the network's outputs under each draw at inputs x (q, ...): (c, s, q, k)."""
    return np.concatenate(list(_tiles(key, fit, as_inputs(x), None, draws, _outputs)), axis=2)


def log_likelihoods(key: jax.Array, fit: Fit, data: Data, draws: int) -> Iterator[np.ndarray]:
    """Give the log likelihood of each row under each draw, (c, s, b) in nats, tile by tile."""
    return _tiles(key, fit, as_inputs(data.x), np.asarray(data.y), draws, _log_prob)


def weights(posterior: Any) -> dict[str, np.ndarray]:
    """Return a sampler's draws of the weights by path, (c, s, ...); nothing of anything else."""
    inner = innermost(posterior)
    if not isinstance(inner, Samples):
        return {}
    found = trees.flatten(inner.draws.weights.params)
    return {path: _by_chain(posterior, leaf) for path, leaf in found.items()}


def hyper_parameters(fit: Fit) -> dict[str, np.ndarray]:
    """Return a sampler's draws of the free hyper-parameters by path, (c, s, ...), in their unit."""
    inner = innermost(fit.posterior)
    raws = inner.draws.raws if isinstance(inner, Samples) else ()
    nodes, _ = jax.tree_util.tree_flatten_with_path(fit.model, is_leaf=hyper.is_learned)
    free = [(trees.path_of(path), node) for path, node in nodes if hyper.is_learned(node)]
    return {
        path: node.floor + np.exp(_by_chain(fit.posterior, raw))
        for (path, node), raw in zip(free, raws, strict=bool(raws))
    }


def record(fit: Fit) -> dict[str, np.ndarray]:
    """Return what a sampler recorded at its draws, (c, s, ...); nothing of anything else."""
    inner, depth = innermost(fit.posterior), _depth(fit.posterior)
    if not isinstance(inner, Samples):
        return {}
    lead = np.shape(jax.tree.leaves(inner.draws)[0])[: depth + 2]
    steps = (lead[-1], *lead[:-1])
    records = [r for r in fit.info.values() if isinstance(r, dict) and "log_joint" in r]
    found = {k: np.asarray(v) for k, v in (records[-1] if records else {}).items()}
    return {
        name: _by_chain(fit.posterior, np.moveaxis(values, 0, depth + 1))
        for name, values in found.items()
        if values.shape[: depth + 2] == steps
    }


def padded(count: int) -> np.ndarray:
    """Return the numbers of so many rows, the last repeated: few lengths, so few programs."""
    return np.minimum(np.arange(1 << (count - 1).bit_length()), count - 1)


def value_names(likelihood: Any, count: int) -> list[str]:
    """Return what so many function values of a row are called; see `values_of`."""
    if likelihood.task == "classification":
        return [f"log p({c})" for c in (range(count) if count > 1 else [1])]
    ends = [f" {k}" for k in range(count // 2)] if count > 2 else [""]
    return [f"{what}{end}" for what in ("mean", "log noise variance") for end in ends]


def _depth(posterior: Any) -> int:
    return 1 + _depth(posterior.parts) if isinstance(posterior, Mixture) else 0


def _by_chain(posterior: Any, leaf: Any) -> np.ndarray:
    """Return draws (..., c, s, ...) of the members of a mixture with their chains as one axis."""
    return np.asarray(leaf).reshape(-1, *np.shape(leaf)[_depth(posterior) + 1 :])


def _values(likelihood: Any, f: jax.Array, y: Any) -> jax.Array:
    return values_of(likelihood, f)


def _outputs(likelihood: Any, f: jax.Array, y: Any) -> jax.Array:
    return f


def _log_prob(likelihood: Any, f: jax.Array, y: Any) -> jax.Array:
    return likelihood.log_prob(f, y)


def _tiles(
    key: jax.Array, fit: Fit, x: np.ndarray, y: np.ndarray | None, draws: int, say: Say
) -> Iterator[np.ndarray]:
    """Give what each draw says of some rows at a time, (c, s, b, ...)."""
    if fit.seen is not None and x.shape[1:] != fit.seen.low.shape:
        raise ValueError(
            f"x must have the columns that were fitted, rows of shape {fit.seen.low.shape}; got "
            f"{x.shape[1:]}."
        )
    for start in range(0, len(x), TILE):
        count = min(TILE, len(x) - start)
        rows = start + padded(count)
        of_rows = None if y is None else y[rows]
        yield _tile(key, fit, x[rows], of_rows, draws, say)[:, :, :count]


def _tile(
    key: jax.Array, fit: Fit, x: np.ndarray, y: np.ndarray | None, draws: int, say: Say
) -> np.ndarray:
    """Return what each draw says of the rows of a tile, (c, s, b, ...)."""
    chains, each = layout(fit.posterior, draws)
    of_member = chains // members(fit.posterior)
    how = "draws" if default_how(fit.posterior) == "draws" else LINEAR_DRAWS
    with jax.enable_x64(fit.precision == "float64"):
        x, y = trees.cast((x, y), np.dtype(fit.precision))
        found = np.asarray(
            _said(
                bare(fit.posterior), fit.model, key, x, y, say=say, how=how, count=of_member * each
            )
        )
    found = found.reshape(-1, each, of_member, *found.shape[2:])
    return np.swapaxes(found, 1, 2).reshape(chains, each, *found.shape[3:])


@functools.partial(jax.jit, static_argnames=("say", "how", "count"))
def _said(
    posterior: Any,
    model: Model,
    key: jax.Array,
    x: jax.Array,
    y: jax.Array | None,
    *,
    say: Say,
    how: str,
    count: int,
) -> jax.Array:
    """Return what `count` draws of each of m members say, (m, count, b, ...)."""
    size = min(GROUP, count)
    groups = math.ceil(count / size)

    def tell(model: Model, f: jax.Array) -> tuple[jax.Array]:
        return (say(model.likelihood, f, y),)

    def group(index: jax.Array) -> jax.Array:
        functions = prepare(posterior, model, key, index, count=count, how=how)
        (found,) = parameters(functions, x, how, tell)
        return found.reshape(-1, size, *found.shape[1:])

    found = jax.lax.map(group, jnp.arange(groups * size).reshape(groups, size))
    found = jnp.moveaxis(found, 0, 1)
    return found.reshape(len(found), groups * size, *found.shape[3:])[:, :count]
