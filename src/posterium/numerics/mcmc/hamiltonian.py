"""Hamiltonian kernels, for one chain. BlackJAX is imported when a sampler is first used."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import static, struct
from posterium.numerics.mcmc.base import Info, LogDensity, Pace

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
