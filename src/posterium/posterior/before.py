"""Before any data: what the prior of a model says of its predictions."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, struct
from posterium.model import hyper
from posterium.model.data import as_inputs
from posterium.model.model import Model
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.posterior.fit import Fit, Verdict
from posterium.posterior.posterior import Draw, Posterior
from posterium.posterior.predict import predict
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive

TRIES = 1000
"""Draws of a hyper-parameter, at most, until one is above its floor."""


@struct
class Before(Posterior):
    """The prior of a model, in the place of a posterior.

    Parameters
    ----------
    model
        The model.
    weights
        Any weights of its network, for their shapes and its state.
    """

    model: Model
    weights: Weights

    def draw(self, key: jax.Array, index: jax.Array, count: int) -> Draw:
        raw_key, key = jax.random.split(jax.random.fold_in(key, index))
        free = hyper.learned(self.model)
        keys = jax.random.split(raw_key, len(free))
        raws = tuple(_raw(k, one) for k, one in zip(keys, free, strict=True))
        prior = hyper.fill(self.model, raws).prior
        params = prior.sample(key, self.weights.params)
        return Draw(replace(self.weights, params=params), raws)

    def mode(self) -> Weights:
        return self.weights

    def default_draws(self) -> int:
        return 256


def _raw(key: jax.Array, free: hyper.Learned) -> jax.Array:
    """Draw the coordinate of a free hyper-parameter from its prior; without one it stays."""
    raw = jnp.asarray(free.raw)
    if free.prior is None:
        return raw

    def again(at: Any) -> Any:
        number, value = at
        drawn = free.prior.sample(jax.random.fold_in(key, number), raw.shape).astype(raw.dtype)
        return number + 1, jnp.where(value > free.floor, value, drawn)

    def missing(at: Any) -> jax.Array:
        return (at[0] < TRIES) & jnp.any(at[1] <= free.floor)

    nowhere = jnp.broadcast_to(jnp.asarray(free.floor, raw.dtype), raw.shape)
    _, value = jax.lax.while_loop(missing, again, (jnp.int32(0), nowhere))
    return jnp.log(value - free.floor)


def prior_predictive(
    key: jax.Array, model: Model, x: Any, *, draws: int = 256, precision: str = "float32"
) -> RegressionPredictive | ClassPredictive:
    """Return the predictive distribution of a model at inputs x before any data.

    Weights are drawn from the prior, and free hyper-parameters from theirs; those without a prior
    stay at their values. What is returned is what `predict` returns after a fit, so that the same
    figures and scores apply: look at it before fitting, for whether the functions are such as you
    would expect.

    Parameters
    ----------
    key
        Typed random key.
    model
        Network, prior and likelihood.
    x
        Inputs, (n, ...).
    draws
        Number of functions drawn.
    precision
        ``"float32"`` or ``"float64"``.

    Raises
    ------
    ValueError
        When the prior is not a distribution, as `Flat`.

    Examples
    --------
    >>> import jax, numpy as np
    >>> from posterium import MLP, Gaussian, Model, Normal, prior_predictive
    >>> model = Model(MLP(hidden=(50,), activation="tanh"), Normal(), Gaussian(0.1))
    >>> prior_predictive(jax.random.key(0), model, np.zeros((3, 1))).sd.shape
    (3, 1)
    """
    init_key, key = jax.random.split(key)
    x = as_inputs(x)
    dtype = np.dtype(precision)
    with jax.enable_x64(precision == "float64"):
        model = trees.cast(model, dtype)
        first = x[:1].astype(dtype) if np.issubdtype(x.dtype, np.floating) else x[:1]
        weights = trees.to_numpy(trees.cast(model.network.init(init_key, first), dtype))
        model = trees.to_numpy(model)
        jax.eval_shape(model.prior.sample, key, weights.params)
    before = Fit(Before(model, weights), model, {}, Verdict(), "prior", precision)
    return predict(key, before, x, draws=draws)
