"""Predictions: from a fit and inputs to a predictive distribution, in bounded memory.

Rows go through in tiles of 256 and draws in groups of 16, each tile the same way, so that a row's
answer does not depend on its company; the byte budget decides only how much of the answer
is held at a time.
"""

import functools
import math
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import bare, replace
from posterium.model.data import as_inputs
from posterium.model.model import Model
from posterium.numerics import forks, trees
from posterium.posterior.components import kinds
from posterium.posterior.fit import Fit
from posterium.posterior.functions import (
    HOWS,
    LINEAR_DRAWS,
    Parameters,
    default_how,
    in_closed_form,
    is_affine,
    members,
    prepare,
)
from posterium.posterior.functions import parameters as predicted
from posterium.posterior.links import LINKED
from posterium.posterior.posterior import GaussianPosterior, Mixture
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive

TILE = 256
GROUP = 16
MAX_BYTES = 2**28
BLOCK_BYTES = 2**25
"""Blocks no larger than this are the quickest: their memory is used again by the next one."""
WIDE = 64
"""Outputs beyond which drawing weights is cheaper than the covariance of a row's outputs."""


class ApproximationWarning(UserWarning):
    """A prediction by a way in which the posterior is known to be a poor approximation."""


def predict(
    key: jax.Array,
    fit: Fit,
    x: Any,
    *,
    draws: int | None = None,
    how: str | None = None,
    max_bytes: int = MAX_BYTES,
) -> RegressionPredictive | ClassPredictive:
    """Return the predictive distribution at inputs x.

    Parameters
    ----------
    key
        Typed random key; the same key gives the same functions at any inputs.
    fit
        What `fit` returned.
    x
        Inputs, (n, ...).
    draws
        Number of functions drawn, rounded up to a multiple of an ensemble's members. None takes
        the posterior's own: 1 a point, 256 a Gaussian, at most 1,000 of a sampler.
    how
        ``"linear"``: the network linearised at the mean of a Gaussian posterior, exact for
        models linear in their weights: in closed form where the noise is Gaussian, by draws of
        each row's logits for classes, by draws of weights elsewhere. ``"draws"``: draws of weights
        for the network itself. For classes also, linearised and without draws: ``"probit"``, the
        quickest and closest probabilities, which does not know epistemic from aleatoric;
        ``"bridge"``, a Dirichlet distribution over them, which does. None: as the method
        recommends.
    max_bytes
        What the predictions of all draws for one block of rows may take. It changes no bit.

    Raises
    ------
    TypeError
        When `key` is not one typed key.
    ValueError
        When `draws`, `how`, `max_bytes` or x is not usable.
    """
    if not trees.is_key(key) or key.shape != ():
        raise TypeError(f"key must be one typed key, such as jax.random.key(0); got {key!r}.")
    if how == "draws" and _leaves_region(fit, x):
        warnings.warn(LEAVING, ApproximationWarning, stacklevel=2)
    how = how or default_how(fit.posterior)
    if how not in HOWS:
        raise ValueError(f"how must be {' or '.join(map(repr, HOWS))}; got {how!r}.")
    likelihood = fit.model.likelihood
    if how in ("probit", "bridge") and not isinstance(likelihood, LINKED):
        raise ValueError(
            f"how={how!r} is for classes by logits, Bernoulli() or Categorical(); the likelihood "
            f"is {type(likelihood).__name__}. Use how='linear'."
        )
    return _predictive(key, fit, x, draws, how, max_bytes)


LEAVING = (
    "how='draws' puts drawn weights into the network itself, but the width of this posterior is "
    "that of the network linearised at its mean. Away from the mean the network is another, and "
    "predictions are mostly poorer (Immer et al. 2021). Use how='linear'."
)


def _leaves_region(fit: Fit, x: Any) -> bool:
    """Say whether drawn weights leave the region where the posterior approximates."""
    part: Any = fit.posterior
    model = fit.model
    while isinstance(part, Mixture):
        part, model = part.member(0)
    if default_how(part) == "draws":
        return False
    with jax.enable_x64(fit.precision == "float64"):
        return not is_affine(part, model, _inputs(x, fit)[:1])


def predict_by_draws(
    key: jax.Array, fit: Fit, x: Any, *, draws: int | None = None, max_bytes: int = MAX_BYTES
) -> RegressionPredictive | ClassPredictive:
    """Return what `predict` does by functions drawn jointly over all rows, never in closed form.

    Of a linearised network the functions are linearised too. Arguments are those of `predict`.
    """
    how = "draws" if default_how(fit.posterior) == "draws" else LINEAR_DRAWS
    return _predictive(key, fit, x, draws, how, max_bytes)


def _predictive(
    key: jax.Array, fit: Fit, x: Any, draws: int | None, how: str, max_bytes: int
) -> RegressionPredictive | ClassPredictive:
    forks.refuse()
    fit = replace(fit, posterior=bare(fit.posterior))
    each = draws_each(fit, draws, how)
    with jax.enable_x64(fit.precision == "float64"):
        x = _inputs(x, fit)
        tile = jax.ShapeDtypeStruct((1, TILE, *x.shape[1:]), x.dtype)
        shapes = _shapes(fit, key, tile, each, how)
    likelihood = fit.model.likelihood
    outputs = kinds.outputs(likelihood, shapes[0].shape[2])
    classes = likelihood.task == "classification"
    if how == "linear" and not in_closed_form(fit.model, how) and not (classes and outputs <= WIDE):
        how = LINEAR_DRAWS  # of numeric targets, so that covariances over rows agree with it
    row_bytes = 8 * members(fit.posterior) * each * sum(part.shape[2] for part in shapes)
    if row_bytes * TILE > max_bytes:
        raise ValueError(
            f"{TILE} rows of {each} draws need {row_bytes * TILE:,} bytes; max_bytes is "
            f"{max_bytes:,}. Raise max_bytes, or ask for fewer draws."
        )
    tiles = max(1, min(max_bytes, BLOCK_BYTES) // (row_bytes * TILE))
    rows = TILE << tiles.bit_length() - 1

    def blocks() -> Iterator[Any]:
        for start in range(0, max(len(x), 1), rows):
            block = _block(key, fit, x[start : start + rows], each, how)
            yield kinds.components(likelihood, block)

    if classes:
        ordered = getattr(likelihood, "ordered", False)
        return ClassPredictive(blocks, (len(x), outputs), ordered=ordered)
    law = kinds.law_of(likelihood)
    return RegressionPredictive(
        blocks, (len(x), outputs), columns=law.columns if law else 1,
        levels=getattr(likelihood, "levels", ()),
    )  # fmt: skip


def draws_each(fit: Fit, draws: int | None, how: str) -> int:
    """Return how many draws each member gives."""
    inner = fit.posterior
    while isinstance(inner, Mixture):
        inner = inner.parts
    if how != "draws" and not isinstance(inner, GaussianPosterior):
        raise ValueError(
            f"how={how!r} needs a Gaussian posterior; {fit.method} gives {type(inner).__name__}. "
            "Use how='draws'."
        )
    if draws is not None and (isinstance(draws, bool) or int(draws) != draws or draws < 1):
        raise ValueError(f"draws must be a whole number of at least 1; got {draws}.")
    if in_closed_form(fit.model, how):
        return 1
    count = members(fit.posterior)
    if draws is None:
        member = fit.posterior
        while isinstance(member, Mixture):
            member = member.member(0)[0]
        return max(
            1, math.ceil(member.default_draws() / (1 if member.default_draws() == 1 else count))
        )
    return math.ceil(draws / count)


def _shapes(fit: Fit, key: jax.Array, tile: Any, count: int, how: str) -> Parameters:
    """Return the shapes of what one tile of rows gives."""
    run = functools.partial(_tiles, how=how, count=count)
    try:
        return jax.eval_shape(run, fit.posterior, fit.model, key, tile, jnp.int32(1))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"x must have the columns that were fitted; the network does not take rows of shape "
            f"{tile.shape[2:]}: {str(error).splitlines()[0]}"
        ) from error


def _inputs(x: Any, fit: Fit) -> np.ndarray:
    x = as_inputs(x)
    return x.astype(fit.precision) if np.issubdtype(x.dtype, np.floating) else x


@functools.partial(jax.jit, static_argnames=("how", "count"))
def _tiles(
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
    each, size = members(posterior), count if how == "linear" else min(GROUP, count)
    groups = math.ceil(count / size)

    def drawn(group: jax.Array) -> tuple[Any, ...]:
        index = group * size + jnp.arange(size)
        return prepare(posterior, model, key, index, tiles[0], count=count, how=how)

    def one(functions: tuple[Any, ...], tile: jax.Array) -> Parameters:
        found = predicted(functions, tile, how)
        split = (part.reshape(each, size, *part.shape[1:]) for part in found)
        return tuple(jnp.moveaxis(part, (0, 1), (2, 3)) for part in split)

    def fill(group: jax.Array, whole: Parameters) -> Parameters:
        functions = drawn(group)
        zero = jnp.zeros_like(group)

        def body(i: jax.Array, whole: Parameters) -> Parameters:
            at = (i, zero, zero, zero, group * size)
            found = one(functions, tiles[i])
            return tuple(
                jax.lax.dynamic_update_slice(all_, part[None], at)
                for all_, part in zip(whole, found, strict=True)
            )

        return jax.lax.fori_loop(0, used, body, whole)

    shapes = jax.eval_shape(lambda: one(drawn(jnp.int32(0)), tiles[0]))
    whole = [jnp.zeros((len(tiles), *s.shape[:3], groups * size), s.dtype) for s in shapes]
    return jax.lax.fori_loop(0, jnp.int32(groups), fill, tuple(whole))


def _block(key: jax.Array, fit: Fit, x: np.ndarray, count: int, how: str) -> list[np.ndarray]:
    """Return the predicted parameters of one block of rows under all draws, (s, n, k) each.

    In memory the draws of a row and output are side by side.
    """
    used = max(1, math.ceil(len(x) / TILE))
    held = 1 << (used - 1).bit_length()
    tiles = np.zeros((held * TILE, *x.shape[1:]), x.dtype)
    tiles[: len(x)] = x
    tiles = tiles.reshape(held, TILE, *x.shape[1:])
    with jax.enable_x64(fit.precision == "float64"):
        found = _tiles(fit.posterior, fit.model, key, tiles, jnp.int32(used), how=how, count=count)
    rows = (np.asarray(part).reshape(held * TILE, *part.shape[2:]) for part in found)
    kept = (part[: len(x), :, :, :count] for part in rows)
    return [np.moveaxis(p.reshape(*p.shape[:2], p.shape[2] * count), -1, 0) for p in kept]
