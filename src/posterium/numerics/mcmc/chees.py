r"""ChEES: a step size, a mass and a length of trajectories that many chains share.

A trajectory that starts at x and ends at x' is as long as it should be when the square of the
distance from the mean changes most,

.. math:: \mathrm{ChEES} = \tfrac14 E\bigl[(|x' - \bar x'|^2 - |x - \bar x|^2)^2\bigr],

whose gradient by the length needs no more than where trajectories end and with which momentum
(Hoffman, Radul and Sountsov 2021). Distances are in units of the mass.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from posterium._struct import replace, struct
from posterium.numerics import trees
from posterium.numerics.mcmc.base import Adaptation, Info, LogDensity, Pace, gathered, strong
from posterium.numerics.mcmc.hamiltonian import DIVERGENCE, recorded
from posterium.numerics.mcmc.tuning import two_windows
from posterium.numerics.together import together

BITS = 30
"""Of the number of a transition, from which its share of the length is made."""

LONGEST = 1000
"""Leapfrog steps of a trajectory at most."""

BEGIN = 0.1
"""First step size and length: small, since dual averaging begins with a bold move upwards."""

CLIMBER = optax.adam(0.25, b1=0.0, b2=0.95)
"""What climbs the criterion in the log of the length, whose average it moves ever less."""

LONGEST_MOVE = 0.35
"""Of the log of the length, either way."""

PRIOR_DRAWS, PRIOR_VARIANCE = 5, 1e-3
"""What a variance is shrunk towards, and the draws that this is worth, as in Stan."""


@struct
class DynamicState:
    """Where a chain is, and what its last trajectory was.

    Parameters
    ----------
    position, logdensity, logdensity_grad
        Where it is, and the log density there with its gradient.
    origin
        Where the last trajectory began.
    proposal, momentum
        Where it ended, whether that was accepted or not, and the momentum there.
    number
        Transitions made, the same for all chains.
    """

    position: Any
    logdensity: Any
    logdensity_grad: Any
    origin: Any
    proposal: Any
    momentum: Any
    number: Any


@struct
class Dynamic:
    """A transition by Hamiltonian Monte Carlo over a share of the length in force.

    The shares are those of Halton's sequence, so they cover (0, 1) evenly, and all chains take the
    same number of leapfrog steps: none waits for another.
    """

    def first_state(self, key: jax.Array, position: jax.Array, log_density: LogDensity) -> Any:
        """Return the state of a chain at a position: with its log density and gradient."""
        from blackjax.mcmc import hmc

        none = jnp.zeros_like(position)
        here = hmc.init(position, log_density)
        return DynamicState(*here, position, position, none, jnp.zeros((), jnp.int32))

    def step(
        self, key: jax.Array, state: DynamicState, log_density: LogDensity, pace: Pace
    ) -> tuple[DynamicState, Info]:
        """Return the next state and what happened on the way."""
        from blackjax.mcmc import hmc

        begin = hmc.HMCState(state.position, state.logdensity, state.logdensity_grad)
        kernel = hmc.build_kernel(divergence_threshold=DIVERGENCE)
        size, inverse_mass = pace.step_size, pace.inverse_mass
        steps: Any = jnp.ceil(share(state.number) * (pace.length / size)).astype(jnp.int32)
        here, info = kernel(key, begin, log_density, size, inverse_mass, steps)
        end: Any = info.proposal
        # The kernel turns the momentum at the end around.
        state = DynamicState(
            *here, state.position, end.position, -1.0 * end.momentum, state.number + 1
        )
        return state, recorded(info) | {"reached_max_length": pace.length >= LONGEST * size}


def share(number: jax.Array) -> jax.Array:
    """Return the share of the length that a transition takes, by its number from 0."""
    from blackjax.mcmc.dynamic_hmc import halton_sequence

    return jnp.asarray(halton_sequence(number, BITS))


@struct
class ChEESState:
    """Where the adaptation of all chains stands.

    Parameters
    ----------
    pace
        How chains move.
    averaging
        Dual averaging of the step size.
    log_length
        Log of the length, averaged.
    climber
        What Adam remembers.
    taken
        Transitions, from 1, since the mass was set.
    count, mean, square
        Of positions of all chains in a window: how many, their mean, squares about it.
    """

    pace: Pace
    averaging: Any
    log_length: Any
    climber: Any
    taken: Any
    count: Any
    mean: Any
    square: Any


@struct
class CrossChain(Adaptation):
    """The adaptation that all chains share.

    Dual averaging steers the harmonic mean of the acceptance rates, to which a chain that diverges
    adds a rate of 0, and Adam climbs the criterion. Variances of the positions of all chains become
    the inverse mass at the ends of two windows, from which the other two begin anew.

    Parameters
    ----------
    target
        Acceptance rate that the step size is steered to.
    """

    target: Any = 0.651

    def schedule(self, steps: int, *, known: bool) -> np.ndarray:
        return two_windows(steps, known=known)

    def init(self, size: int, steps: int, *, known: bool) -> ChEESState:
        return self._begun(jnp.ones(size))

    def in_force(self, state: ChEESState) -> Pace:
        return state.pace

    def result(self, state: ChEESState, traced: Any) -> Pace:
        step_size = jnp.exp(state.averaging.log_step_size_avg)
        return Pace(step_size, state.pace.inverse_mass, bounded(state.log_length, step_size))

    def pooled(
        self, states: ChEESState, memory: None, stage: Any, chains: Any, info: Info
    ) -> tuple[ChEESState, None]:
        state: ChEESState = trees.index(gathered(states), 0)
        chains, info = gathered((chains, info))
        state = self._moved(state, chains, info)
        slow, last = together(stage[0] == 1), together(stage[1] == 1)
        state = jax.lax.cond(slow, lambda s: observed(s, chains.position), lambda s: s, state)
        state = jax.lax.cond(last, lambda s: self._begun(variance(s)), lambda s: s, state)
        return trees.stack(state, len(chains.position)), None

    def _moved(self, state: ChEESState, chains: DynamicState, info: Info) -> ChEESState:
        """Return the state with another step size and length."""
        rate = jnp.where(info["diverging"], 0, info["acceptance_rate"])
        averaging = strong(self._averaging()[1](state.averaging, 1 / jnp.mean(1 / rate)))
        slope = -length_slope(state.pace, chains, rate)
        slope = jnp.where(jnp.isfinite(slope), slope, 0)
        climbed: Any = CLIMBER.update(slope, state.climber)
        by, climber = jnp.clip(climbed[0], -LONGEST_MOVE, LONGEST_MOVE), climbed[1]
        weight = state.taken**-0.5
        reached = jnp.log(state.pace.length) + by
        log_length = (1 - weight) * state.log_length + weight * reached
        step_size = jnp.exp(averaging.log_step_size)
        pace = Pace(step_size, state.pace.inverse_mass, bounded(log_length, step_size))
        return replace(
            state, pace=pace, averaging=averaging, log_length=log_length,
            climber=strong(climber), taken=state.taken + 1,
        )  # fmt: skip

    def _begun(self, inverse_mass: jax.Array) -> ChEESState:
        """Return the state that has seen nothing yet."""
        one, none = jnp.ones((), inverse_mass.dtype), jnp.zeros_like(inverse_mass)
        pace = Pace(BEGIN * one, inverse_mass, BEGIN * one)
        averaging, climber = strong((self._averaging()[0](pace.step_size), CLIMBER.init(one)))
        return ChEESState(pace, averaging, 0 * one, climber, one, 0 * one, none, none)

    def _averaging(self) -> Any:
        from blackjax.adaptation.step_size import dual_averaging_adaptation

        return dual_averaging_adaptation(self.target)


def bounded(log_length: jax.Array, step_size: jax.Array) -> jax.Array:
    """Return the length, at least a step and at most `LONGEST` steps."""
    return jnp.clip(jnp.exp(log_length), step_size, LONGEST * step_size)


def length_slope(pace: Pace, chains: DynamicState, rate: jax.Array) -> jax.Array:
    """Return the slope of the criterion by the log of the length, weighted by rates (c,).

    Position and momentum are conjugate, so that their product needs no unit.
    """
    weight = rate / (jnp.sum(rate) + jnp.finfo(rate.dtype).tiny)
    known = (rate > 0)[:, None]
    proposal, momentum = (jnp.where(known, x, 0) for x in (chains.proposal, chains.momentum))
    after = proposal - (weight @ proposal)[None]
    before = chains.origin - jnp.mean(chains.origin, axis=0)[None]
    gain = jnp.sum((after**2 - before**2) / pace.inverse_mass[None], axis=1)
    onwards = jnp.sum(after * momentum, axis=1)
    return share(chains.number[0] - 1) * pace.length * (weight @ (gain * onwards))


def observed(state: ChEESState, position: jax.Array) -> ChEESState:
    """Return the state with positions (c, p) added to its moments."""
    centre, more = jnp.mean(position, axis=0), len(position)
    count, away = state.count + more, centre - state.mean
    within = jnp.sum((position - centre[None]) ** 2, axis=0)
    square = state.square + within + away**2 * state.count * more / count
    return replace(state, count=count, mean=state.mean + away * more / count, square=square)


def variance(state: ChEESState) -> jax.Array:
    """Return the variances of the positions seen, shrunk as Stan's are."""
    found = state.square / jnp.maximum(state.count - 1, 1)
    shrunk = state.count * found + PRIOR_DRAWS * PRIOR_VARIANCE
    return shrunk / (state.count + PRIOR_DRAWS)
