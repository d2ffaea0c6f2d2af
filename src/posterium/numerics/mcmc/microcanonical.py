"""Microcanonical kernels: momenta of unit length, which gradients turn and never stretch.

In d dimensions, with G = M^(-1/2) grad log p and z = M^(1/2) x,

    dz/dt = u,    du/dt = (I - u u^T) G / (d - 1) + noise that turns u over a length L.

The integrator is the minimal-norm one of McLachlan, two gradients a step. BlackJAX is imported when
a sampler is first used.
"""

from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import struct
from posterium.numerics import trees
from posterium.numerics.mcmc.base import Info, LogDensity, Pace

OUTER = 0.1931833275037836
"""Share of a step's outer turns: that of the least error (McLachlan 1995)."""

LONGEST = 100
"""Steps of a trajectory at most."""


@struct
class Langevin:
    """A step of microcanonical Langevin dynamics, which is never refused."""

    def first_state(self, key: jax.Array, position: jax.Array, log_density: LogDensity) -> Any:
        """Return the state of a chain at a position: its direction, log density and gradient."""
        from blackjax.mcmc import mclmc

        return mclmc.init(position, log_density, key)

    def step(
        self, key: jax.Array, state: Any, log_density: LogDensity, pace: Pace
    ) -> tuple[Any, Info]:
        """Return the next state, and the squared error of the energy per dimension.

        Where anything is not finite the chain stays and turns back: it diverges.
        """
        keys = jax.random.split(key)
        refreshed = state._replace(momentum=self._refreshed(keys[0], state.momentum, pace))
        there, kinetic = minimal_norm(refreshed, log_density, pace)
        there = there._replace(momentum=self._refreshed(keys[1], there.momentum, pace))
        change = kinetic + state.logdensity - there.logdensity
        numbers = jnp.concatenate([there.position, there.momentum, change[None]])
        lost = ~jnp.all(jnp.isfinite(numbers))
        back = state._replace(momentum=-state.momentum)
        error = jnp.where(lost, 0, change**2 / state.position.size)
        return trees.where(lost, back, there), {"energy_variance": error, "diverging": lost}

    def _refreshed(self, key: jax.Array, direction: jax.Array, pace: Pace) -> jax.Array:
        """Return a direction after the noise of half a step."""
        from blackjax.mcmc.integrators import partially_refresh_momentum

        return partially_refresh_momentum(direction, key, 0.5 * pace.step_size, pace.length)


def minimal_norm(state: Any, log_density: LogDensity, pace: Pace) -> tuple[Any, jax.Array]:
    """Return the state after a step of McLachlan's integrator, and the change of kinetic energy.

    Both halves are one loop, so that the gradient is compiled once.
    """
    from blackjax.mcmc.integrators import IntegratorState, esh_dynamics_momentum_update_one_step

    turn: Any = esh_dynamics_momentum_update_one_step(pace.inverse_mass)
    size, dtype = pace.step_size, state.position.dtype

    def half(carry: Any, share: jax.Array) -> tuple[Any, None]:
        at, kinetic = carry
        direction, velocity, kinetic = turn(at.momentum, at.logdensity_grad, size, share, kinetic)
        position = at.position + 0.5 * size * velocity
        return (IntegratorState(position, direction, *value_and_slope(position)), kinetic), None

    value_and_slope = jax.value_and_grad(log_density)
    shares = jnp.array([OUTER, 1 - 2 * OUTER], dtype)
    (there, kinetic), _ = jax.lax.scan(half, (state, jnp.zeros((), dtype)), shares)
    direction, _, kinetic = turn(there.momentum, there.logdensity_grad, size, OUTER, kinetic)
    return there._replace(momentum=direction), kinetic


@struct
class Isokinetic:
    """A trajectory of about length / step_size steps in a fresh direction, accepted or not.

    The number of steps is random, uniform up to twice its mean, and `LONGEST` at most.
    """

    def first_state(self, key: jax.Array, position: jax.Array, log_density: LogDensity) -> Any:
        """Return the state of a chain at a position: with its log density and gradient."""
        from blackjax.mcmc import adjusted_mclmc

        return adjusted_mclmc.init(position, log_density)

    def step(
        self, key: jax.Array, state: Any, log_density: LogDensity, pace: Pace
    ) -> tuple[Any, Info]:
        """Return the next state and what happened on the way."""
        from blackjax.mcmc import adjusted_mclmc, adjusted_mclmc_dynamic

        key, length_key = jax.random.split(key)
        draw = adjusted_mclmc_dynamic.make_random_trajectory_length_fn(True)
        steps = jnp.minimum(draw(length_key, pace.length / pace.step_size), LONGEST)
        kernel = adjusted_mclmc.build_kernel()
        state, info = kernel(key, state, log_density, pace.step_size, (steps,), pace.inverse_mass)
        rate = info.acceptance_rate
        return state, {
            "acceptance_rate": jnp.where(jnp.isfinite(rate), rate, 0),
            "diverging": jnp.asarray(info.is_divergent, bool),
            "n_steps": jnp.asarray(info.num_integration_steps, jnp.int32),
        }
