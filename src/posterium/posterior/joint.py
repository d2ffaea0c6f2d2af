"""The predictive covariance over rows: what a Gaussian process gives with `return_cov`."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from posterium._struct import bare
from posterium.model.data import as_inputs
from posterium.model.model import Model
from posterium.posterior.fit import Fit
from posterium.posterior.functions import (
    default_how,
    in_closed_form,
    members,
    row_covariance,
    row_width,
)
from posterium.posterior.posterior import GaussianPosterior, Mixture
from posterium.posterior.predict import TILE, draws_each, predict, predict_by_draws
from posterium.posterior.predictive import RegressionPredictive

MAX_BYTES = 2**30


def covariance(
    key: jax.Array, fit: Fit, x: Any, *, draws: int | None = None, max_bytes: int = MAX_BYTES
) -> np.ndarray:
    """Return the predictive covariance over rows of each output, (n, n, k), target units squared.

    Observation noise is on the diagonal. For Gaussian posteriors that are predicted in closed form
    it is exact for the linearised network, J S J^T, and the diagonal is the square of the
    predictive's `sd`; otherwise it is that of the drawn functions, of rank at most their number.

    Parameters
    ----------
    key, fit, x, draws
        As in `predict`.
    max_bytes
        What may be allocated for it.

    Raises
    ------
    ValueError
        When the target is a class, or more than `max_bytes` would be needed.
    """
    if fit.model.likelihood.task != "regression":
        raise ValueError(
            "Expected a fit of numeric targets for a covariance; this one is of classes. Use the "
            "probabilities of predict(key, fit, x)."
        )
    x = as_inputs(x)
    how = default_how(fit.posterior)
    closed = in_closed_form(fit.model, how)
    ask = predict if closed else predict_by_draws
    found: Any = ask(key, fit, x, draws=draws)
    beside = _width(fit, x) if closed else members(fit.posterior) * draws_each(fit, draws, how)
    _refuse_large(found.shape, beside, max_bytes)
    out = _closed(fit, x, found.shape) if closed else _drawn(found)
    rows = np.arange(len(x))
    out[rows, rows] += found.aleatoric_var
    return out


def _width(fit: Fit, x: np.ndarray) -> int:
    """Return how many numbers a closed form takes for each row and output."""
    part, model = next(_parts(fit.posterior, fit.model))
    with jax.enable_x64(fit.precision == "float64"):
        return 2 * row_width(part, model, np.zeros((1, *x.shape[1:]), fit.precision))


def _refuse_large(shape: tuple[int, int], beside: int, limit: int) -> None:
    """Refuse what would take too many bytes, before any of it is allocated."""
    rows, outputs = shape
    needed = 8 * outputs * rows * (3 * rows + beside)
    if needed > limit:
        raise ValueError(
            f"Expected a covariance over rows that takes at most max_bytes={limit} bytes; {rows} "
            f"rows of {outputs} output(s) need about {needed}. Ask for fewer rows at a time, or "
            f"raise the limit: max_bytes={needed}."
        )


def _parts(posterior: Any, model: Model) -> Iterator[tuple[GaussianPosterior, Model]]:
    """Give the posterior and the model of each member, of mixtures of mixtures too."""
    if not isinstance(posterior, Mixture):
        yield posterior, model
        return
    for i in range(posterior.size()):
        yield from _parts(*posterior.member(i))


def _closed(fit: Fit, x: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the exact covariance of a Gaussian over functions, or of a mixture of such."""
    rows, outputs = shape
    tiles = np.zeros((-(-rows // TILE) * TILE, *x.shape[1:]), fit.precision)
    tiles[:rows] = x
    means, total = [], np.zeros((rows, rows, outputs))
    with jax.enable_x64(fit.precision == "float64"):
        for part, model in _parts(bare(fit.posterior), fit.model):
            f, inner = row_covariance(part, model, tiles)
            means.append(np.asarray(f, np.float64)[:rows])
            total += np.moveaxis(np.asarray(inner)[:, :rows, :rows], 0, -1)
    total /= len(means)
    return total + _over_members(np.stack(means)) if len(means) > 1 else total


def _drawn(found: RegressionPredictive) -> np.ndarray:
    """Return the covariance of the drawn functions."""
    blocks: Any = found.components()
    return _over_members(np.concatenate([block.mean for block in blocks], axis=1))


def _over_members(means: np.ndarray) -> np.ndarray:
    """Return the covariance over rows of equally likely functions (s, n, k): (n, n, k)."""
    centred = np.moveaxis(means - means.mean(axis=0), -1, 0)
    return np.moveaxis(np.swapaxes(centred, 1, 2) @ centred, 0, -1) / len(means)
