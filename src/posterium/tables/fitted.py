"""A fit to a table: what the library fitted, with the way to and from the user's units."""

from typing import Any

import jax
import numpy as np

from posterium._struct import static, struct
from posterium.driver.fit import fit
from posterium.driver.protocol import Method
from posterium.model.data import as_data
from posterium.model.grouped import Grouped
from posterium.model.likelihoods.base import refuse_misfit, units_of
from posterium.model.model import Model
from posterium.numerics import forks
from posterium.posterior import joint
from posterium.posterior.fit import Fit
from posterium.posterior.predict import predict, predict_by_draws
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive
from posterium.tables.labels import refuse_unordered
from posterium.tables.scaling import Standardiser


@struct
class Fitted:
    """A fit with the maps between it and the user's units: all that prediction needs.

    Parameters
    ----------
    fit
        The fit, in standardised units.
    inputs
        Map of the inputs.
    target
        Map of what is predicted, None for classes.
    classes
        The labels, sorted; () for regression.
    seed
        Seed of the functions that predictions draw.
    draws
        Functions drawn for a prediction; None for the posterior's own number.
    squeeze
        Whether the target was one-dimensional.
    """

    fit: Fit
    inputs: Standardiser
    target: Standardiser | None
    classes: tuple[Any, ...] = static(default=())
    seed: int = static(default=0)
    draws: int | None = static(default=None)
    squeeze: bool = static(default=True)

    def predict(self, x: np.ndarray) -> RegressionPredictive | ClassPredictive:
        """Return the predictive distribution at inputs x (n, d), in the user's units."""
        found = predict(key_of(self.seed), self.fit, self.inputs.apply(x), draws=self.draws)
        if self.target is None or isinstance(found, ClassPredictive):
            return found
        found = found.affine(self.target.shift, self.target.scale)
        return found.squeezed() if self.squeeze else found

    def covariance(self, x: np.ndarray, *, max_bytes: int = joint.MAX_BYTES) -> np.ndarray:
        """Return the predictive covariance over rows, (n, n), or (n, n, k) of several targets.

        It is in the user's units squared; see `joint.covariance`.
        """
        found = joint.covariance(
            key_of(self.seed), self.fit, self.inputs.apply(x), draws=self.draws,
            max_bytes=max_bytes,
        )  # fmt: skip
        found = found if self.target is None else found * self.target.scale**2
        return found[:, :, 0] if self.squeeze else found

    def sample(self, x: np.ndarray, draws: int, seed: int) -> np.ndarray:
        """Draw targets jointly over the rows, (draws, n) or (draws, n, k), in the user's units.

        Each is one function of the posterior at all rows, with observation noise.
        """
        found: Any = predict_by_draws(
            key_of(seed), self.fit, self.inputs.apply(x), draws=draws, max_bytes=joint.MAX_BYTES
        )
        if self.target is not None:
            found = found.affine(self.target.shift, self.target.scale)
            found = found.squeezed() if self.squeeze else found
        return found.sample(seed, draws)


def fit_table(
    method: Method,
    model: Model,
    x: np.ndarray,
    y: np.ndarray,
    *,
    weight: np.ndarray | None = None,
    classes: tuple[Any, ...] = (),
    standardise: bool = True,
    seed: int = 0,
    draws: int | None = None,
    **options: Any,
) -> Fitted:
    """Fit inputs x (n, d) and targets y in the user's units.

    Parameters
    ----------
    method, model
        From `resolve`, or records of one's own.
    y
        Numbers (n,) or (n, k), or indices (n,) of `classes`.
    weight
        Weights of the rows, (n,), above 0; None for 1 each.
    classes
        The labels; () for regression.
    standardise
        Bring inputs and numeric targets to mean 0 and sd 1 first; inputs of two values lie 2 apart.
    seed, draws
        As in `Fitted`; the seed is that of the fit too.
    **options
        Further arguments of `posterium.fit`: `precision`, `checkpoint`, `progress`.
    """
    if standardise and isinstance(model.network, Grouped):
        raise ValueError(
            "Grouped expects numbers of groups as they are, from 0; standardise=True would change "
            "that column. Bring the other columns to unit size, and set standardise=False."
        )
    weight = np.ones(len(x)) if weight is None else weight
    inputs, target = _scaling(x, weight, standardise, levels=True), None
    squeeze = y.ndim == 1
    if not classes:
        refuse_misfit(model.likelihood, y)
        y, target = _standard(y.reshape(len(y), -1), weight, standardise, model.likelihood)
        squeeze |= len(target.shift) < y.shape[1]
    else:
        refuse_unordered(model.likelihood, classes)
    data = as_data(inputs.apply(x), y, weight=weight)
    result = fit(key_of(seed), model, data, method, **options)
    return Fitted(result, inputs, target, classes, seed, draws, squeeze)


def _scaling(
    columns: np.ndarray, weight: np.ndarray, standardise: bool, *, levels: bool = False
) -> Standardiser:
    if standardise:
        return Standardiser.of(columns, weight, levels=levels)
    return Standardiser.identity(columns.shape[1])


def _standard(
    y: np.ndarray, weight: np.ndarray, standardise: bool, likelihood: Any
) -> tuple[np.ndarray, Standardiser]:
    """Return targets (n, k) in the units of the fit, and the map of those that are predicted."""
    if units_of(likelihood) != "scale":
        target = _scaling(y, weight, standardise and units_of(likelihood) == "affine")
        return target.apply(y), target
    times = y[:, :1]
    unit = np.average(times, axis=0, weights=weight) if standardise else np.ones(1)
    target = Standardiser(np.zeros(1), unit)
    return np.column_stack([target.apply(times), y[:, 1:]]), target


def key_of(seed: int) -> jax.Array:
    """Return the random key of a seed from 0 to 2^64 - 1; every bit of the seed counts."""
    forks.refuse()
    with jax.enable_x64(True):
        return jax.random.key(np.uint64(seed))
