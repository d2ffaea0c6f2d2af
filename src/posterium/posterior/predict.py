"""Predictions: from a fit and inputs to a predictive distribution, in bounded memory.

Rows go through in tiles, each the same way, so that a row's answer does not depend on its company;
the byte budget decides only how much of the answer is held at a time.
"""

import functools
import math
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import bare, replace
from posterium.model.data import as_inputs
from posterium.model.masks import RowMasks
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
    ready,
)
from posterium.posterior.links import LINKED
from posterium.posterior.posterior import GaussianPosterior, Mixture
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive
from posterium.posterior.sampling import Sampling
from posterium.posterior.tiles import TILE, averaged, collected, tiled

MAX_BYTES = 2**28
BLOCK_BYTES = 2**25
"""Blocks no larger than this are the quickest: their memory is used again by the next one."""
AVERAGED_ROWS = 2**15
"""Rows whose averages over draws are taken at a time."""
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

    Raises
    ------
    ValueError
        When each row of a draw has masks of its own.
    """
    if isinstance(fit.model.network, RowMasks):
        raise ValueError(
            "Expected draws that are functions, to say anything of several rows together; with "
            "MCDropout(masks='row') each row has masks of its own. Fit with masks='draw'."
        )
    how = "draws" if default_how(fit.posterior) == "draws" else LINEAR_DRAWS
    return _predictive(key, fit, x, draws, how, max_bytes)


def _predictive(
    key: jax.Array, fit: Fit, x: Any, draws: int | None, how: str, max_bytes: int
) -> RegressionPredictive | ClassPredictive:
    forks.refuse()
    given, fit = fit, replace(fit, posterior=bare(fit.posterior))
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
    if in_closed_form(fit.model, how) and how != "bridge":
        fit = _prepared(given, fit, np.zeros_like(x, shape=(1, *x.shape[1:])))
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

    law = kinds.law_of(likelihood)
    plain = how in ("draws", LINEAR_DRAWS) and law is None
    averages = functools.partial(_averages, key, fit, x, each, how) if plain else None
    sampling = Sampling.of(fit.posterior, closed=in_closed_form(fit.model, how))
    if classes:
        return ClassPredictive(
            blocks, (len(x), outputs), averages=averages, sampling=sampling,
            ordered=getattr(likelihood, "ordered", False),
        )  # fmt: skip
    return RegressionPredictive(
        blocks, (len(x), outputs), averages=averages, columns=law.columns if law else 1,
        levels=getattr(likelihood, "levels", ()), sampling=sampling,
    )  # fmt: skip


PREPARED: dict[int, Fit] = {}
"""Fits prepared for predictions in closed form, by the identity of those they come from."""


def _prepared(given: Fit, fit: Fit, x: np.ndarray) -> Fit:
    """Do what predictions at all rows share; once for a fit, as long as it is there."""
    if id(given) in PREPARED:
        return PREPARED[id(given)]
    with jax.enable_x64(fit.precision == "float64"):
        posterior = ready(fit.posterior, fit.model, x)
    if posterior is None:
        return fit
    PREPARED[id(given)] = replace(fit, posterior=posterior)
    weakref.finalize(given, PREPARED.pop, id(given), None)
    return PREPARED[id(given)]


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
    run = functools.partial(collected, how=how, count=count)
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


def _block(key: jax.Array, fit: Fit, x: np.ndarray, count: int, how: str) -> list[np.ndarray]:
    """Return the predicted parameters of one block of rows under all draws, (s, n, k) each.

    In memory the draws of a row and output are side by side.
    """
    found = _run(collected, key, fit, x, count, how)
    kept = (part[: len(x), :, :, :count] for part in found)
    return [np.moveaxis(p.reshape(*p.shape[:2], p.shape[2] * count), -1, 0) for p in kept]


def _averages(
    key: jax.Array, fit: Fit, x: np.ndarray, count: int, how: str
) -> tuple[np.ndarray, ...]:
    """Return what is averaged over the draws of all rows, (n, k) arrays in float64."""
    starts = range(0, max(len(x), 1), AVERAGED_ROWS)
    blocks = (x[start : start + AVERAGED_ROWS] for start in starts)
    found = [
        [part[: len(block)] for part in _run(averaged, key, fit, block, count, how)]
        for block in blocks
    ]
    return tuple(np.concatenate(parts).astype(np.float64) for parts in zip(*found, strict=True))


def _run(
    program: Any, key: jax.Array, fit: Fit, x: np.ndarray, count: int, how: str
) -> list[np.ndarray]:
    """Return what a program of `tiles` finds for some rows, padded rows included."""
    tiles, used = tiled(x)
    with jax.enable_x64(fit.precision == "float64"):
        found = program(fit.posterior, fit.model, key, tiles, jnp.int32(used), how=how, count=count)
    return [np.asarray(part).reshape(-1, *part.shape[2:]) for part in found]
