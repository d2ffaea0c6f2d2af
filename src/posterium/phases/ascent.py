"""Ascent: the phase that climbs a variational bound by stochastic gradients."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from posterium._struct import replace, static, struct
from posterium.driver.protocol import Info, Phase
from posterium.evaluate.trend import late_rise
from posterium.model import hyper
from posterium.model.data import Batch, Data
from posterium.model.model import Model
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.numerics.families.base import Family
from posterium.phases.bound import Bound
from posterium.phases.descent import Optimiser, as_weights
from posterium.posterior.family import FamilyPosterior, random_shapes, random_vector
from posterium.posterior.fit import Verdict

RISE = 1e-3
"""Rise of the bound in nats a row, over the last eighth of the steps, that is worth a warning."""


@struct
class KLSchedule:
    """The weight of the KL over a fit: 0 at first, then a straight line, 1 at the end.

    Parameters
    ----------
    zero
        Share of the steps at the beginning with weight 0.
    full
        Share of the steps at the end with weight 1.
    """

    zero: Any = 0.05
    full: Any = 0.05

    def checked(self) -> "KLSchedule":
        """Return this schedule, or refuse shares that leave no room for the line."""
        if not (min(self.zero, self.full) >= 0 and self.zero + self.full < 1):
            raise ValueError(
                "KLSchedule expects shares of the steps that are not negative and sum to less than "
                f"1; got zero={self.zero} and full={self.full}."
            )
        return self

    def weight(self, share: jax.Array) -> jax.Array:
        """Return the weight after a share of the steps."""
        return jnp.clip((share - self.zero) / (1 - self.zero - self.full), 0, 1)


@struct
class AscentState:
    """Where the ascent of the bound stands.

    Parameters
    ----------
    weights
        The network's state; its parameters are those of the start, for their shapes.
    moving
        Coordinates of the family, weights with a point estimate by path, and coordinates of the
        free hyper-parameters.
    optimiser
        What optax remembers.
    averaged
        Mean of `moving` over the steps averaged so far, or None.
    step
        Steps done.
    """

    weights: Weights
    moving: Any
    optimiser: Any
    averaged: Any
    step: jax.Array


@struct
class Ascent(Phase):
    """Climb a variational bound.

    Every step records the objective per row under the step's KL weight (`objective`), and in nats
    the evidence lower bound (`elbo`), its terms `log_likelihood` and `kl`, and the weight
    `kl_weight`.

    Parameters
    ----------
    family
        The distributions to search.
    bound
        How the bound is estimated.
    optimiser
        How to step.
    steps
        Steps.
    batch_size
        Rows a step; None for all.
    point
        Paths of the weights that get a point estimate.
    means
        Where means start without a start: ``"network"``, ``"zero"``, or half the width of a
        uniform distribution around 0.
    init_scale
        Standard deviation of every weight at the start.
    kl_schedule
        `KLSchedule`, or None for weight 1 throughout.
    average
        Share of the steps, at the end, whose iterates are averaged.
    last
        False where another phase takes the member of the family as it is.
    """

    family: Family
    bound: Bound = Bound()
    optimiser: Optimiser = Optimiser()
    steps: int = static(default=1000)
    batch_size: int | None = static(default=None)
    point: tuple[str, ...] = static(default=())
    means: str | float = static(default="network")
    init_scale: Any = 0.01
    kl_schedule: KLSchedule | None = None
    average: float = static(default=0.0)
    last: bool = static(default=True)

    name: ClassVar[str] = "ascent"

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> AscentState:
        weights_key, means_key = jax.random.split(key)
        weights = model.network.init(weights_key, data.x) if start is None else as_weights(start)
        weights = trees.cast(weights, data.weight.dtype)
        if start is None:
            weights = replace(weights, params=self._means(means_key, weights.params))
        mean = random_vector(weights.params, self.point)
        scale = jnp.asarray(self.init_scale, mean.dtype)
        raw = self.family.start(mean, scale, random_shapes(weights.params, self.point))
        leaves = trees.flatten(weights.params)
        points = {path: leaves[path] for path in self.point}
        moving = raw, points, hyper.free(model)
        memory = self._steps().init(moving)
        averaged = moving if self.average else None
        return AscentState(weights, moving, memory, averaged, jnp.zeros((), jnp.int32))

    def step(
        self, key: jax.Array, state: AscentState, model: Model, batch: Batch
    ) -> tuple[AscentState, Info]:
        kl_weight = self._kl_weight(state)

        def loss(moving: Any) -> tuple[jax.Array, Info]:
            q, here = self.member(moving, state.weights), hyper.fill(model, moving[2])
            value, terms = self.bound.value(key, q, here, batch.part, kl_weight)
            return -value / batch.part.size, terms

        (value, terms), slope = jax.value_and_grad(loss, has_aux=True)(state.moving)
        updates, memory = self._steps().update(slope, state.optimiser, state.moving)
        moving = optax.apply_updates(state.moving, updates)
        info = {"objective": -value, **terms, "kl_weight": kl_weight}
        averaged = self._averaged(state, moving)
        weights = self._after(state, model, batch.part)
        return AscentState(weights, moving, memory, averaged, state.step + 1), info

    def _after(self, state: AscentState, model: Model, part: Data) -> Weights:
        """Return the weights with running statistics moved at the mean, where there are any."""
        if state.weights.state is None:
            return state.weights
        at_mean = self.member(state.moving, state.weights).mode()
        _, statistics = model.network.apply(at_mean, part.x, train=True)
        return replace(state.weights, state=statistics)

    def member(self, moving: Any, weights: Weights) -> FamilyPosterior:
        """Return the member of the family at some coordinates."""
        raw, points, _ = moving
        weights = replace(weights, params=trees.overlay(weights.params, points))
        return FamilyPosterior(weights, self.family, raw, self.point)

    def end(self, state: AscentState, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        moving = state.moving if state.averaged is None else state.averaged
        found = self.member(moving, state.weights)
        return found.settled() if self.last else found, hyper.fill(model, moving[2])

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        """Warn when the bound was still rising over the last quarter of the steps.

        Compared are the means of its two halves, as far as the KL had full weight: a rise of more
        than 0.001 nats a row and of 4 standard errors (from the means of 10 blocks a half).
        """
        verdict = super().judge(info, ended)
        if verdict.status != "ok":
            return verdict
        return still_rising(info["objective"], info["kl_weight"] == 1)

    def _means(self, key: jax.Array, params: Any) -> Any:
        """Return where means start without a start, given what the network draws."""
        own, unravel = trees.ravel(params)
        if isinstance(self.means, str):
            return unravel(jnp.zeros_like(own)) if self.means == "zero" else params
        return unravel(jax.random.uniform(key, own.shape, own.dtype, -self.means, self.means))

    def _steps(self) -> optax.GradientTransformation:
        return self.optimiser.build(self.steps)

    def _kl_weight(self, state: AscentState) -> jax.Array:
        share = state.step.astype(jax.tree.leaves(state.moving)[0].dtype) / self.steps
        if self.kl_schedule is None:
            return jnp.ones_like(share)
        return self.kl_schedule.weight(share)

    def _averaged(self, state: AscentState, moving: Any) -> Any:
        """Return the running mean of the iterates; before its time, the latest one."""
        if state.averaged is None:
            return None
        before = round((1 - self.average) * self.steps)
        count = jnp.maximum(state.step - before, 0) + 1
        return jax.tree.map(lambda old, new: old + (new - old) / count, state.averaged, moving)


def still_rising(objective: np.ndarray, settled: np.ndarray | None = None) -> Verdict:
    """Warn of a bound per row that rose over the last quarter of the steps (see `late_rise`)."""
    rise, error = late_rise(objective, settled)
    if rise <= max(4 * error, RISE):
        return Verdict()
    reason = f"The bound was still rising at the end, by {rise:.2g} nats a row (+-{error:.1g})."
    advice = "Give it more steps or a higher learning rate, or start from a MAP fit."
    return Verdict("warned", (reason,), (advice,))
