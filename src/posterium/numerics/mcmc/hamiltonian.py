"""Hamiltonian kernels, and the adaptation of their step size and mass, for one chain.

BlackJAX is imported when a sampler is first used.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import static, struct
from posterium.numerics.mcmc.base import Info, LogDensity, Pace, strong

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
        return state, _info(info) | {"tree_depth": depth, "reached_max_depth": cut}


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
        return state, _info(info)


def _info(info: Any) -> Info:
    rate = info.acceptance_rate
    return {
        "acceptance_rate": jnp.where(jnp.isfinite(rate), rate, 0),
        "diverging": jnp.asarray(info.is_divergent, bool),
        "n_steps": jnp.asarray(info.num_integration_steps, jnp.int32),
        "energy": info.energy,
    }


@struct
class Adaptation:
    """Stan's window adaptation of one chain: dual averaging and Welford's covariance.

    Parameters
    ----------
    target
        Acceptance rate that the step size is steered to.
    dense
        True adapts a whole mass matrix, False its diagonal.
    """

    target: Any = 0.8
    dense: bool = static(default=False)

    def schedule(self, steps: int, *, known: bool) -> np.ndarray:
        """Return the windows for so many steps; with a mass that is known, none unless all fit."""
        return np.zeros((steps, 2), np.int32) if known and steps < WINDOWS else schedule(steps)

    def init(self, size: int, *, known: bool) -> Any:
        """Return the first state: step size 1, unit mass."""
        return strong((self._steps()[0](1.0), self._mass()[0](size)))

    def update(self, state: Any, stage: Any, position: jax.Array, info: Info) -> Any:
        """Return the state after a transition.

        `stage` is a row of `schedule`. The mass moves at the end of a slow window only, and the
        search for the step size begins anew from the best one so far.
        """
        begin, move, best = self._steps()
        _, observe, close = self._mass()
        slow, last = stage[0] == 1, stage[1] == 1
        step, mass = state
        step = move(step, info["acceptance_rate"])
        mass = jax.lax.cond(slow, lambda m: observe(m, position), lambda m: m, mass)
        state = strong((step, mass))

        def anew(state: Any) -> Any:
            return strong((begin(best(state[0])), close(state[1])))

        return jax.lax.cond(last, anew, lambda s: s, state)

    def in_force(self, state: Any) -> Pace:
        """Return how to move in the next transition."""
        step, mass = state
        return Pace(jnp.exp(step.log_step_size), mass.inverse_mass_matrix)

    def trace(self, position: jax.Array) -> None:
        """Return what `result` needs of every position: nothing."""

    def result(self, state: Any, traced: None) -> Pace:
        """Return how to move when sampling."""
        step, mass = state
        return Pace(jnp.exp(step.log_step_size_avg), mass.inverse_mass_matrix)

    def _steps(self) -> tuple[Callable, Callable, Callable]:
        from blackjax.adaptation.step_size import dual_averaging_adaptation

        return dual_averaging_adaptation(self.target)

    def _mass(self) -> tuple[Callable, Callable, Callable]:
        from blackjax.adaptation.mass_matrix import mass_matrix_adaptation

        return mass_matrix_adaptation(not self.dense)


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
