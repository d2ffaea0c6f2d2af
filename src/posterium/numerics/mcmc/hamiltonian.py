"""Hamiltonian kernels, and the adaptation of their step size and mass, for one chain.

BlackJAX is imported when a sampler is first used.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import static, struct
from posterium.numerics.mcmc import low_rank
from posterium.numerics.mcmc.base import Adaptation, Info, LogDensity, Pace, strong
from posterium.numerics.together import together

WINDOWS = 150
"""Transitions that Stan's windows need: 75 to arrive, 25 for one window, 50 for the step size."""

DIVERGENCE = 1000
"""Gain of energy along a trajectory, in nats, from which it counts as divergent."""


@struct
class NoUTurn:
    """A transition by the no-U-turn sampler with multinomial choice along the trajectory.

    Parameters
    ----------
    max_depth
        Doublings of a trajectory at most: up to 2^max_depth - 1 gradients.
    """

    max_depth: int = static(default=10)

    def first_state(self, key: jax.Array, position: jax.Array, log_density: LogDensity) -> Any:
        """Return the state of a chain at a position: with its log density and gradient."""
        from blackjax.mcmc import hmc

        return hmc.init(position, log_density)

    def step(
        self, key: jax.Array, state: Any, log_density: LogDensity, pace: Pace
    ) -> tuple[Any, Info]:
        """Return the next state and what happened on the way."""
        from blackjax.mcmc import nuts

        kernel = nuts.build_kernel(divergence_threshold=DIVERGENCE)
        size, inverse_mass = pace.step_size, pace.inverse_mass
        state, info = kernel(key, state, log_density, size, inverse_mass, self.max_depth)
        depth = jnp.asarray(info.num_trajectory_expansions, jnp.int32)
        cut = (depth >= self.max_depth) & ~info.is_turning & ~info.is_divergent
        return state, recorded(info) | {"tree_depth": depth, "reached_max_depth": cut}


@struct
class Trajectory:
    """A transition by Hamiltonian Monte Carlo with 1 to `leapfrog` steps, equally likely.

    A fixed number would return to where it began on targets with a period to match
    (Neal 2011, section 5.4.2).

    Parameters
    ----------
    leapfrog
        Steps at most.
    """

    leapfrog: int = static(default=16)

    def first_state(self, key: jax.Array, position: jax.Array, log_density: LogDensity) -> Any:
        """Return the state of a chain at a position: with its log density and gradient."""
        from blackjax.mcmc import hmc

        return hmc.init(position, log_density)

    def step(
        self, key: jax.Array, state: Any, log_density: LogDensity, pace: Pace
    ) -> tuple[Any, Info]:
        """Return the next state and what happened on the way."""
        from blackjax.mcmc import hmc

        key, length_key = jax.random.split(key)
        steps: Any = jax.random.randint(length_key, (), 1, self.leapfrog + 1)
        kernel = hmc.build_kernel(divergence_threshold=DIVERGENCE)
        size, inverse_mass = pace.step_size, pace.inverse_mass
        state, info = kernel(key, state, log_density, size, inverse_mass, steps)
        return state, recorded(info)


def recorded(info: Any) -> Info:
    """Return what to record of what BlackJAX says of a transition."""
    rate = info.acceptance_rate
    return {
        "acceptance_rate": jnp.where(jnp.isfinite(rate), rate, 0),
        "diverging": jnp.asarray(info.is_divergent, bool),
        "n_steps": jnp.asarray(info.num_integration_steps, jnp.int32),
        "energy": info.energy,
    }


@struct
class Windows(Adaptation):
    """Stan's window adaptation of each chain by itself.

    Dual averaging steers the step size. The mass is learned anew in every window: as the covariance
    of the draws, by Welford, or of low rank, from draws and gradients.

    Parameters
    ----------
    target
        Acceptance rate that the step size is steered to.
    mass
        ``"dense"`` or ``"low_rank"``; a diagonal for the other names that samplers take.
    """

    target: Any = 0.8
    mass: str = static(default="diagonal")

    def schedule(self, steps: int, *, known: bool) -> np.ndarray:
        """Return the windows for so many steps; with a mass that is known, none unless all fit."""
        return np.zeros((steps, 2), np.int32) if known and steps < WINDOWS else schedule(steps)

    def init(self, size: int, steps: int, *, known: bool) -> Any:
        """Return the first state: step size 1, unit mass."""
        ends = np.flatnonzero(self.schedule(steps, known=known)[:, 1])
        longest = int(np.max(np.diff(ends, prepend=-1), initial=1))
        return strong((self._steps()[0](1.0), self._mass(longest)[0](size)))

    def update(self, state: Any, stage: Any, chain: Any, info: Info) -> Any:
        """Return the state after a transition.

        The mass moves at the end of a slow window only, and the search for the step size begins
        anew from the best one so far.
        """
        begin, move, best = self._steps()
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

    def _steps(self) -> tuple[Callable, Callable, Callable]:
        from blackjax.adaptation.step_size import dual_averaging_adaptation

        return dual_averaging_adaptation(self.target)

    def _mass(self, longest: int = 1) -> tuple[Callable, Callable, Callable]:
        """Return how the mass begins, for windows of a length at most, observes and closes one."""
        from blackjax.adaptation.mass_matrix import mass_matrix_adaptation

        if self.mass == "low_rank":
            return lambda size: low_rank.init(size, longest), low_rank.observe, low_rank.close
        return mass_matrix_adaptation(self.mass != "dense")


def schedule(steps: int) -> np.ndarray:
    """Return Stan's windows for so many steps, (steps, 2): slow or not, end of a window or not."""
    from blackjax.adaptation.window_adaptation import build_schedule

    with jax.ensure_compile_time_eval():
        return np.asarray(build_schedule(steps), np.int32).reshape(steps, 2)


def leapfrog(
    log_density: LogDensity, inverse_mass: jax.Array
) -> tuple[Callable[[Any, Any], Any], Callable[[jax.Array, jax.Array], Any], Callable[[Any], Any]]:
    """Return the integrator of the samplers above as (advance, start, energy).

    `start(position, momentum)` makes a state, `advance(state, step_size)` takes one step, and
    `energy(state)` is minus the log density plus the kinetic energy, in nats.
    """
    from blackjax.mcmc import integrators, metrics

    metric = metrics.default_metric(inverse_mass)

    def start(position: jax.Array, momentum: jax.Array) -> Any:
        value, slope = jax.value_and_grad(log_density)(position)
        return integrators.IntegratorState(position, momentum, value, slope)

    def energy(state: Any) -> jax.Array:
        return metric.kinetic_energy(state.momentum) - state.logdensity

    return integrators.velocity_verlet(log_density, metric.kinetic_energy), start, energy
