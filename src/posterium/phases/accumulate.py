"""Accumulate: the curvature at given weights, added up over one pass of the rows."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, static, struct
from posterium.driver.protocol import Info, Phase
from posterium.model.data import Batch, Data
from posterium.model.forward import forward
from posterium.model.model import Model
from posterium.model.weights import Weights
from posterium.numerics import curvature, trees
from posterium.numerics.structures.base import Structure
from posterium.numerics.structures.dense import DiagonalCurvature, FullCurvature
from posterium.phases.curvature import (
    LaplaceCurvature,
    Sums,
    judge_curvature,
    log_likelihood_of,
    prior_precision,
)
from posterium.phases.descent import as_weights
from posterium.posterior.fit import Verdict
from posterium.posterior.posterior import GaussianPosterior

TILE = 1024
"""Rows whose gradients are summed at a time."""


@struct
class AccumulateState:
    """What is known of the curvature so far.

    Parameters
    ----------
    weights
        The weights at which it is taken.
    sums
        Over the rows seen.
    """

    weights: Weights
    sums: Sums


@struct
class Accumulate(Phase):
    """Add up the curvature over one pass of the rows.

    Parameters
    ----------
    structure, curvature
        As of `Laplace`.
    steps
        Batches in one pass.
    batch_size
        Rows of each; None for all.
    """

    structure: Structure = static(default=FullCurvature())
    curvature: str = static(default="ggn")
    steps: int = static(default=1)
    batch_size: int | None = static(default=None)

    name: ClassVar[str] = "curvature"

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> AccumulateState:
        if start is None:
            raise ValueError(
                "Laplace(at=None) expects the weights of a mode; got none. Pass them, "
                "fit(..., start=weights), or name a method that finds one, at=MAP()."
            )
        weights = trees.cast(as_weights(start), data.weight.dtype)
        shapes = jax.eval_shape(self._sums, weights, model, data)
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        return AccumulateState(weights, zeros)

    def step(
        self, key: jax.Array, state: AccumulateState, model: Model, batch: Batch
    ) -> tuple[AccumulateState, Info]:
        new = self._sums(state.weights, model, batch.part)
        sums = jax.tree.map(jnp.add, state.sums, new)
        log_likelihood = log_likelihood_of(model, sums)
        log_prior = model.log_prior(state.weights.params)
        info = {
            "objective": log_prior + log_likelihood,
            "log_likelihood": log_likelihood,
            "weight": sums.weight,
        }
        return AccumulateState(state.weights, sums), info

    def _sums(self, weights: Weights, model: Model, data: Data) -> Sums:
        """Return the sums over some rows, a tile of them at a time."""
        vector, unravel = trees.ravel(weights.params)
        f = forward(model.network, weights)

        def loss(vector: jax.Array, rows: Any) -> jax.Array:
            (x, y), weight = rows
            return losses(model, f(unravel(vector), x), y, weight)

        def of_tile(rows: Any) -> Any:
            slopes = jax.jacrev(loss)(vector, rows)
            total = loss(vector, rows), slopes, jnp.sum(rows[1])
            if self.curvature != "hessian":
                return *total, None
            diagonal = isinstance(self.structure, DiagonalCurvature)
            return *total, curvature.hessian(lambda v: loss(v, rows), vector, diagonal=diagonal)

        rows = (data.x, data.y), data.weight
        value, slope, weight, found = curvature.sum_tiles(of_tile, rows, TILE)
        if self.curvature != "hessian":
            root = root_of(model, f(weights.params, data.x), data.y, self.curvature)
            found = self.structure.sums(f, weights.params, data.x, root, data.weight)
        return Sums(value, slope, found, weight)

    def end(
        self, state: AccumulateState, kept: Any, model: Model, data: Data
    ) -> tuple[GaussianPosterior, Model]:
        scale = data.size / jnp.where(state.sums.weight > 0, state.sums.weight, 1)
        sums = jax.tree.map(lambda part: scale * part, state.sums)
        f = forward(model.network, state.weights)
        params = state.weights.params
        tau = prior_precision(model, params)
        ready = self.structure.prepare(sums.curvature, f, params, data.x, tau)
        sums = replace(sums, curvature=None)
        found = LaplaceCurvature(state.weights, sums, ready, model, self.structure, self.curvature)
        covariance = found.covariance(model)
        return GaussianPosterior(state.weights, covariance, "linear", found), model

    def judge(self, info: dict[str, np.ndarray], ended: GaussianPosterior) -> Verdict:
        finite = super().judge(info, ended)
        if finite.status != "ok":
            return finite
        return judge_curvature(ended.curvature, ended.covariance)


def root_of(model: Model, f: jax.Array, y: jax.Array, kind: str) -> jax.Array:
    """Return a root of each row's curvature in the outputs, (n, k, g, r), free of the noise sd.

    Of a mean each output is a group of its own; elsewhere there is one group.
    """
    if kind == "empirical":
        if model.likelihood.linear_mean:
            return (y - f)[:, :, None, None]
        slope = jax.grad(lambda f: jnp.sum(model.likelihood.log_prob(f, y)))(f)
        return slope[:, :, None, None]
    if model.likelihood.linear_mean:
        units = jnp.eye(f.shape[1], dtype=f.dtype)
        return jnp.broadcast_to(units[None, :, :, None], (len(f), *units.shape, 1))
    values, vectors = jnp.linalg.eigh(model.likelihood.fisher(f))
    return (vectors * jnp.sqrt(jnp.maximum(values, 0))[:, None, :])[:, :, None, :]


def losses(model: Model, f: jax.Array, y: jax.Array, weight: jax.Array) -> jax.Array:
    """Return what is summed over rows, (b,): free of the noise sd where f is the mean."""
    if model.likelihood.linear_mean:
        return 0.5 * jnp.sum(weight[:, None] * (y - f) ** 2, axis=0)
    return -jnp.sum(weight * model.likelihood.log_prob(f, y))[None]
