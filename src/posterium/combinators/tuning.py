"""Tuning: phases that move the free hyper-parameters at weights, or a curvature, that stand.

All move in the logarithms of the hyper-parameters: by damped Newton, by MacKay's fixed point, or
on a grid by the score of held-out rows.
"""

import abc
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import static, struct
from posterium.combinators.fixed_point import balance
from posterium.combinators.held_out import score
from posterium.combinators.rounds import Going, Progress, idle
from posterium.driver.protocol import NO_BATCHES, Info, Phase
from posterium.model import hyper
from posterium.model.data import Batch, Data
from posterium.model.model import Model
from posterium.numerics import trees
from posterium.phases.polish import newton_step
from posterium.posterior.fit import Verdict
from posterium.posterior.posterior import GaussianPosterior

REACH = 14.0
"""A hyper-parameter moves by at most this in its logarithm, a factor of a million."""

FLAT = 1e-6
"""Gradient norm in nats at which the evidence has no slope left."""

STILL = 1e-9
"""A hyper-parameter whose logarithm moves by less than this has arrived, or is at its bound."""

STEP = 1e-4
"""Step of the differences of gradients, in the logarithm of a hyper-parameter."""

GRID = np.linspace(-8, 8, 33)
"""Where a grid looks, in the logarithm, around where a hyper-parameter starts."""

NORMALS = 128
"""Draws of a row's outputs by which a score is taken that has no closed form."""


def differences(loss: Any, raws: jax.Array) -> tuple[jax.Array, ...]:
    """Return value, gradient (h,) and Hessian (h, h) of a loss; the last by central differences.

    The second derivative of a matrix factorisation takes XLA seconds to compile; differences of
    exact gradients need one program, and Newton's method ends at the same point.
    """
    moves = STEP * jnp.eye(raws.size, dtype=raws.dtype)
    points = jnp.concatenate([raws[None], raws[None] + moves, raws[None] - moves])
    values, slopes = jax.lax.map(jax.value_and_grad(loss), points)
    ahead, behind = jnp.split(slopes[1:], 2)
    curvature = (ahead - behind) / (2 * STEP)
    return values[0], slopes[0], 0.5 * (curvature + curvature.T)


@struct
class TuneState:
    """Where a tuning stands.

    Parameters
    ----------
    posterior
        What the method found, with its curvature.
    raws
        Unconstrained coordinates of the free hyper-parameters, as one vector.
    began
        Where this tuning started.
    progress
        How far the rounds are.
    memory
        What the way of tuning remembers.
    gain
        What the last step promised, in nats.
    """

    posterior: GaussianPosterior
    raws: Any
    began: Any
    progress: Progress
    memory: Any
    gain: Any


class Tuning(Phase):
    """A way to move the free hyper-parameters, one step after another, until none gains."""

    name: ClassVar[str] = "tune"
    batch_size: ClassVar[int] = NO_BATCHES

    @abc.abstractmethod
    def remember(self, key: jax.Array, raws: jax.Array, data: Data) -> Any:
        """Return what the first step knows."""

    @abc.abstractmethod
    def move(
        self, state: TuneState, model: Model, batch: Batch
    ) -> tuple[jax.Array, Any, Any, Info]:
        """Return the new coordinates, what to remember, the gain, and what to record."""

    def init(self, key: jax.Array, model: Model, data: Data, start: Going) -> TuneState:
        if getattr(start.ended, "curvature", None) is None:
            raise ValueError(
                f"Evidence expects a method with an evidence, such as Exact() or Laplace(); "
                f"this one ends with {type(start.ended).__name__}."
            )
        raws = trees.vector(hyper.free(model))
        memory = self.remember(key, raws, data)
        gain = jnp.asarray(jnp.inf, raws.dtype)
        return TuneState(start.ended, raws, raws, start.progress, memory, gain)

    def step(
        self, key: jax.Array, state: TuneState, model: Model, batch: Batch
    ) -> tuple[TuneState, Info]:
        raws, memory, gain, info = self.move(state, model, batch)
        origin = state.progress.origin
        raws = jnp.clip(raws, origin - REACH, origin + REACH)
        info |= {"raws": raws, "moved": jnp.max(jnp.abs(raws - origin))}
        still = jnp.max(jnp.abs(raws - state.raws)) < STILL
        gain = jnp.where(jnp.isfinite(gain) & still, 0, gain)
        return TuneState(state.posterior, raws, state.began, state.progress, memory, gain), info

    def done(self, state: TuneState) -> jax.Array:
        return state.progress.over | (state.gain <= jnp.finfo(state.raws.dtype).eps)

    def end(self, state: TuneState, kept: Any, model: Model, data: Data) -> tuple[Going, Model]:
        _, unravel = trees.ravel(hyper.free(model))
        moved = jnp.max(jnp.abs(state.raws - state.began))
        progress = state.progress.after(jnp.where(self.done(state), moved, jnp.inf))
        return Going(state.posterior.mode(), progress), hyper.fill(model, unravel(state.raws))

    def judge(self, info: dict[str, np.ndarray], ended: Going) -> Verdict:
        finite = Verdict() if idle(info) else super().judge(info, ended)
        if finite.status != "ok" or idle(info):
            return finite
        if info["moved"][-1] >= REACH - 3:
            return ran_away(
                "A hyper-parameter ran to the bound of its tuning, a factor of a million."
            )
        return self.ended_well(info)

    def ended_well(self, info: dict[str, np.ndarray]) -> Verdict:
        """Warn where the gradient had not vanished when the steps were over."""
        norm = info["gradient_norm"]
        if len(norm) < self.steps or norm[-1] < FLAT:
            return Verdict()
        reason = f"The evidence still had a gradient of {norm[-1]:.2g} at the end."
        return Verdict("warned", (reason,), ("Give Evidence more steps.",))


def ran_away(reason: str) -> Verdict:
    """Return the warning about a hyper-parameter that the data do not bound."""
    advice = "The data do not bound it (no noise, or no signal): fix it, or give it a prior."
    return Verdict("warned", (reason,), (advice,))


@struct
class Newton(Tuning):
    """Climb the log evidence by damped Newton.

    Parameters
    ----------
    steps
        Steps at most.
    """

    steps: int = static(default=100)

    def remember(self, key: jax.Array, raws: jax.Array, data: Data) -> jax.Array:
        """Return the damping, relative to the largest curvature."""
        return jnp.asarray(1e-3, raws.dtype)

    def move(
        self, state: TuneState, model: Model, batch: Batch
    ) -> tuple[jax.Array, Any, Any, Info]:
        _, unravel = trees.ravel(hyper.free(model))

        def loss(raws: jax.Array) -> jax.Array:
            return -state.posterior.log_evidence(hyper.fill(model, unravel(raws)))

        raws, value, slope, damping, gain = newton_step(loss, state.raws, state.memory, differences)
        return raws, damping, gain, {"objective": -value, "gradient_norm": jnp.linalg.norm(slope)}


@struct
class FixedPoint(Tuning):
    """Put what the evidence balances into balance, by MacKay's fixed point.

    Parameters
    ----------
    steps
        Steps at most.
    """

    steps: int = static(default=100)

    def remember(self, key: jax.Array, raws: jax.Array, data: Data) -> tuple[()]:
        return ()

    def move(
        self, state: TuneState, model: Model, batch: Batch
    ) -> tuple[jax.Array, Any, Any, Info]:
        _, unravel = trees.ravel(hyper.free(model))
        here = hyper.fill(model, unravel(state.raws))
        value, slope, move = balance(state.posterior, here, batch.part)
        gain = 0.5 * jnp.sum(jnp.abs(slope * move))
        info = {"objective": value, "gradient_norm": jnp.linalg.norm(slope)}
        return state.raws + move, (), gain, info


@struct
class Grid(Tuning):
    """Put one hyper-parameter after another where held-out rows score best, on a grid.

    Parameters
    ----------
    steps
        Steps at most, each the whole grid of one hyper-parameter.
    """

    steps: int = static(default=100)

    def remember(self, key: jax.Array, raws: jax.Array, data: Data) -> Any:
        """Return the held-out rows, a key, the next to move, and how many have stood still."""
        none = jnp.zeros((), jnp.int32)
        return data.validation, key, none, none

    def move(
        self, state: TuneState, model: Model, batch: Batch
    ) -> tuple[jax.Array, Any, Any, Info]:
        held, key, turn, stood = state.memory
        _, unravel = trees.ravel(hyper.free(model))
        points = jnp.asarray(GRID, state.raws.dtype) + state.began[turn]
        points = jnp.concatenate([state.raws[turn][None], points])

        def of(point: jax.Array) -> jax.Array:
            here = hyper.fill(model, unravel(state.raws.at[turn].set(point)))
            return score(state.posterior, here, held, key, NORMALS)

        scores = jax.lax.map(of, points)
        best = jnp.argmax(jnp.where(jnp.isnan(scores), -jnp.inf, scores))
        stood = jnp.where(best == 0, stood + 1, 1)
        raws = state.raws.at[turn].set(points[best])
        gain = jnp.where(stood >= raws.size, 0, jnp.inf)
        at_edge = jnp.max(jnp.abs(raws - state.began)) >= GRID[-1]
        info = {"objective": scores[best], "at_edge": at_edge}
        return raws, (held, key, (turn + 1) % raws.size, stood), gain, info

    def ended_well(self, info: dict[str, np.ndarray]) -> Verdict:
        """Warn of an optimum at the edge of the grid."""
        if not info["at_edge"][-1]:
            return Verdict()
        return ran_away("Held-out rows score best at the edge of a hyper-parameter's grid.")
