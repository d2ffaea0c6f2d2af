"""The tuning of microcanonical chains, one chain at a time: step size, mass, and length.

1. The step size is steered to an error of the energy, or to an acceptance rate, from now on.
2. Variances of the positions become the inverse mass, and sqrt(d) the length: twice, since a chain
   sees little of a long axis before it has a first mass.
3. The length becomes a share of the path over which a chain forgets where it was.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, struct
from posterium.numerics.mcmc.base import Adaptation, Info, Pace, strong

WINDOWS = (0.2, 0.3, 0.5)
"""Where the two windows of stage 2 begin and end, in shares of the steps."""

THIRD = 0.3
"""Share of stage 3, at the end; what is left before it is for the step size."""

MEMORY = 150
"""Steps over which the error of the energy is averaged."""

TRUST = 1.5
"""Errors that ask for a step size further off than by e to this power count little."""

TRACED = 64
"""Coordinates, evenly spaced, whose autocorrelation is looked at."""


@struct
class EnergyError:
    """Steers to a variance of the energy's error in a step, which grows like its sixth power.

    Parameters
    ----------
    target
        The variance per dimension.
    begin
        First step size, in units of sqrt(d): a small one, since nothing refuses a step that leads
        away from a good start.
    growth
        Largest factor between one step size and the next.
    """

    target: Any = 5e-4
    begin: Any = 1e-3
    growth: Any = 1.5

    shortest: ClassVar[float] = 0.0
    """Least length, in steps."""
    stretch: ClassVar[float] = np.inf
    """By how much stage 3 may lengthen."""
    share: ClassVar[float] = 0.4
    """Length, as a share of the path over which a chain forgets where it was."""

    def init(self, step_size: jax.Array) -> Any:
        """Return the first state: sum of weights, weighted sum, and the largest safe step."""
        zero = jnp.zeros_like(step_size)
        return zero, zero, zero + jnp.inf

    def move(self, state: Any, step_size: jax.Array, info: Info) -> tuple[jax.Array, Any]:
        """Return the next step size and state, given what a transition recorded."""
        weights, total, safe = state
        lost = info["diverging"]
        safe = jnp.where(lost, 0.8 * step_size, safe)
        ratio = jnp.where(lost, 0, info["energy_variance"]) / self.target + 1e-8
        weight = jnp.exp(-0.5 * (jnp.log(ratio) / (6 * TRUST)) ** 2)
        decay = (MEMORY - 1) / (MEMORY + 1)
        weights = decay * weights + weight
        total = decay * total + weight * ratio / step_size**6
        most = jnp.minimum(self.growth * step_size, safe)
        return jnp.minimum((total / weights) ** (-1 / 6), most), (weights, total, safe)

    def settled(self, state: Any, step_size: jax.Array) -> jax.Array:
        """Return the step size to sample with."""
        return step_size

    def path(self, pace: Pace) -> jax.Array:
        """Return how far a chain goes in a transition."""
        return pace.step_size


@struct
class Acceptance:
    """Steers to an acceptance rate, by dual averaging.

    Parameters
    ----------
    target
        The rate.
    begin
        First step size, in units of sqrt(d).
    """

    target: Any = 0.9
    begin: Any = 0.2

    shortest: ClassVar[float] = 2.0
    stretch: ClassVar[float] = 2.0
    share: ClassVar[float] = 0.5

    def init(self, step_size: jax.Array) -> Any:
        """Return the first state of dual averaging."""
        return strong(self._averaging()[0](step_size))

    def move(self, state: Any, step_size: jax.Array, info: Info) -> tuple[jax.Array, Any]:
        """Return the next step size and state, given what a transition recorded."""
        state = strong(self._averaging()[1](state, info["acceptance_rate"]))
        return jnp.exp(state.log_step_size), state

    def settled(self, state: Any, step_size: jax.Array) -> jax.Array:
        """Return the step size to sample with."""
        return jnp.exp(state.log_step_size_avg)

    def path(self, pace: Pace) -> jax.Array:
        """Return how far a chain goes in a transition."""
        return pace.length

    def _averaging(self) -> Any:
        from blackjax.adaptation.step_size import dual_averaging_adaptation

        return dual_averaging_adaptation(self.target)


@struct
class TuningState:
    """Where the tuning of a chain stands.

    Parameters
    ----------
    pace
        How it moves.
    search
        State of the search for a step size.
    weight, mean, square
        Of positions of stage 2: sum of weights, weighted mean, weighted squares about it.
    """

    pace: Pace
    search: Any
    weight: Any
    mean: Any
    square: Any


@struct
class Tuning(Adaptation):
    """The three stages.

    Parameters
    ----------
    search
        `EnergyError` for chains without an acceptance step, `Acceptance` for those with one.
    """

    search: EnergyError | Acceptance

    def schedule(self, steps: int, *, known: bool) -> np.ndarray:
        return two_windows(steps, known=known)

    def init(self, size: int, steps: int, *, known: bool) -> TuningState:
        ones, root = jnp.ones(size), jnp.sqrt(jnp.ones(()) * size)
        at_once = known or not self.search.shortest
        pace = Pace(self.search.begin * root, ones, root if at_once else 0 * root)
        return self._observing(pace)

    def update(self, state: TuningState, stage: Any, chain: Any, info: Info) -> TuningState:
        position = chain.position
        step_size, search = self.search.move(state.search, state.pace.step_size, info)
        added = jnp.where((stage[0] == 1) & ~info["diverging"], step_size, 0)
        weight = state.weight + added
        off = position - state.mean
        mean = state.mean + off * added / jnp.where(weight > 0, weight, 1)
        square = state.square + added * off * (position - mean)
        pace = replace(state.pace, step_size=step_size)
        now = TuningState(pace, search, weight, mean, square)

        def whitened(now: TuningState) -> TuningState:
            variance = now.square / now.weight
            root = jnp.full_like(step_size, position.size**0.5)
            return self._observing(Pace(step_size, variance, root))

        return jax.lax.cond(stage[1] == 1, whitened, lambda now: now, now)

    def in_force(self, state: TuningState) -> Pace:
        shortest = self.search.shortest * state.pace.step_size
        return replace(state.pace, length=jnp.maximum(state.pace.length, shortest))

    def trace(self, position: jax.Array) -> jax.Array:
        """Return what `result` needs of every position (..., p): some coordinates (..., q)."""
        size = position.shape[-1]
        return position[..., np.linspace(0, size - 1, min(size, TRACED)).round().astype(int)]

    def result(self, state: TuningState, traced: jax.Array) -> Pace:
        step_size = self.search.settled(state.search, state.pace.step_size)
        pace = self.in_force(replace(state, pace=replace(state.pace, step_size=step_size)))
        last = traced[len(traced) - round(THIRD * len(traced)) :]
        if len(last) < 2:
            return pace
        length = self.search.share * self.search.path(pace) * forgetting(last)
        length = jnp.where(jnp.isfinite(length), length, pace.length)
        return replace(pace, length=jnp.minimum(length, self.search.stretch * pace.length))

    def _observing(self, pace: Pace) -> TuningState:
        """Return a state that has seen nothing yet."""
        none = jnp.zeros_like(pace.inverse_mass)
        search = self.search.init(pace.step_size)
        return TuningState(pace, search, jnp.zeros_like(pace.step_size), none, none)


def two_windows(steps: int, *, known: bool) -> np.ndarray:
    """Return a schedule whose mass is set at the ends of two windows; no windows if it is known."""
    begin, *ends = (round(share * steps) for share in WINDOWS)
    step = np.arange(1, steps + 1)
    stages = np.stack([(begin < step) & (step <= ends[-1]), np.isin(step, ends)], axis=1)
    return np.where(known, 0, stages).astype(np.int32)


def forgetting(draws: jax.Array) -> jax.Array:
    """Return the autocorrelation time of draws (s, q), in draws: the mean over what moves."""
    from blackjax.diagnostics import effective_sample_size

    times = len(draws) / effective_sample_size(draws[None])
    return jnp.mean(times, where=jnp.isfinite(times))
