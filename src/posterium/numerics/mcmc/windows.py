"""Stan's windows: the adaptation of step size and mass, each chain by itself.

Dual averaging steers the step size. The mass is learned anew in every window: from the covariance
of the draws, or, of low rank, from draws and gradients. BlackJAX is imported when a sampler is
first used.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import static, struct
from posterium.numerics.mcmc import low_rank
from posterium.numerics.mcmc.base import Adaptation, Info, Pace, strong
from posterium.numerics.together import together

LEAST = 150
"""Transitions that the windows need: 75 to arrive, 25 for one window, 50 for the step size."""


def windows(target: Any, mass: str) -> Adaptation:
    """Return the adaptation to an acceptance rate, with a mass by the name samplers give it."""
    return LowRankWindows(target) if mass == "low_rank" else Windows(target, mass == "dense")


@struct
class Windows(Adaptation):
    """A mass that is the covariance of the draws of a window, by Welford.

    Parameters
    ----------
    target
        Acceptance rate that the step size is steered to.
    dense
        Whether the mass is a matrix, or the diagonal of one.
    """

    target: Any = 0.8
    dense: bool = static(default=False)

    def schedule(self, steps: int, *, known: bool) -> np.ndarray:
        return schedule(steps, known)

    def init(self, size: int, steps: int, *, known: bool) -> Any:
        """Return the first state: step size 1, unit mass."""
        return strong((_step_size(self.target)[0](1.0), self._mass()[0](size)))

    def update(self, state: Any, stage: Any, chain: Any, info: Info) -> Any:
        """Return the state after a transition.

        The mass moves at the end of a slow window only, and the search for the step size begins
        anew from the best one so far.
        """
        begin, move, best = _step_size(self.target)
        _, observe, close = self._mass()
        slow, last = together(stage[0] == 1), together(stage[1] == 1)
        step, mass = state
        step = move(step, info["acceptance_rate"])

        def observed(mass: Any) -> Any:
            return observe(mass, chain.position, chain.logdensity_grad)

        state = strong((step, jax.lax.cond(slow, observed, lambda mass: mass, mass)))

        def anew(state: Any) -> Any:
            return strong((begin(best(state[0])), close(state[1])))

        return jax.lax.cond(last, anew, lambda s: s, state)

    def in_force(self, state: Any) -> Pace:
        step, mass = state
        return Pace(jnp.exp(step.log_step_size), mass.inverse_mass_matrix)

    def result(self, state: Any, traced: None) -> Pace:
        step, mass = state
        return Pace(jnp.exp(step.log_step_size_avg), mass.inverse_mass_matrix)

    def _mass(self) -> tuple[Callable, Callable, Callable]:
        from blackjax.adaptation.mass_matrix import mass_matrix_adaptation

        return mass_matrix_adaptation(is_diagonal_matrix=not self.dense)


@struct
class Window:
    """What all chains saw in the present window.

    Parameters
    ----------
    draws, gradients
        In the first rows, (c, b, p); b is the length of the longest window.
    count
        Of those rows.
    """

    draws: Any
    gradients: Any
    count: Any


@struct
class LowRankWindows(Adaptation):
    """A mass of low rank that fits draws and gradients of a window, see `low_rank`.

    Parameters
    ----------
    target
        Acceptance rate that the step size is steered to.
    """

    target: Any = 0.8

    def schedule(self, steps: int, *, known: bool) -> np.ndarray:
        return schedule(steps, known)

    def init(self, size: int, steps: int, *, known: bool) -> Any:
        """Return the first state: step size 1, unit mass."""
        return strong((_step_size(self.target)[0](1.0), low_rank.unit(size)))

    def memory(self, chains: int, size: int, steps: int, *, known: bool) -> Window:
        slow, last = self.schedule(steps, known=known).T
        lengths = np.diff(np.cumsum(slow)[last == 1], prepend=0)
        room = jnp.zeros((chains, max([low_rank.LEAST, *lengths]), size))
        return Window(room, room, jnp.zeros((), jnp.int32))

    def update(self, state: Any, stage: Any, chain: Any, info: Info) -> Any:
        """Return the state with another step size."""
        step, mass = state
        return strong((_step_size(self.target)[1](step, info["acceptance_rate"]), mass))

    def pooled(
        self, states: Any, memory: Window, stage: Any, chains: Any, info: Info
    ) -> tuple[Any, Window]:
        """Return states and memory after a transition.

        A row that does not count is written as well, and then over: that moves nothing else.
        """
        slow, last = together(stage[0] == 1), together(stage[1] == 1)
        draws = memory.draws.at[:, memory.count].set(chains.position)
        gradients = memory.gradients.at[:, memory.count].set(chains.logdensity_grad)
        count = memory.count + slow

        def mass(seen: tuple[jax.Array, jax.Array]) -> Any:
            return low_rank.fisher(seen[0], seen[1], count)

        def anew(states: Any) -> Any:
            begin, _, best = _step_size(self.target)
            steps = jax.vmap(lambda step: begin(best(step)))(states[0])
            found = jax.lax.map(mass, (draws, gradients))
            return strong((steps, found))

        states = jax.lax.cond(last, anew, lambda s: s, states)
        return states, Window(draws, gradients, jnp.where(last, 0, count))

    def in_force(self, state: Any) -> Pace:
        return Pace(jnp.exp(state[0].log_step_size), state[1])

    def result(self, state: Any, traced: None) -> Pace:
        return Pace(jnp.exp(state[0].log_step_size_avg), state[1])


def schedule(steps: int, known: bool = False) -> np.ndarray:
    """Return Stan's windows for so many steps, (steps, 2): slow or not, end of a window or not.

    With a mass that is known there are none, unless all fit.
    """
    from blackjax.adaptation.window_adaptation import build_schedule

    if known and steps < LEAST:
        return np.zeros((steps, 2), np.int32)
    with jax.ensure_compile_time_eval():
        return np.asarray(build_schedule(steps), np.int32).reshape(steps, 2)


def _step_size(target: Any) -> tuple[Callable, Callable, Callable]:
    """Return how the search for a step size begins, moves, and what it found."""
    from blackjax.adaptation.step_size import dual_averaging_adaptation

    return dual_averaging_adaptation(target)
