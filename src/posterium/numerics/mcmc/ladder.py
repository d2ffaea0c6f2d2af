"""The ladder of parallel tempering: inverse temperatures, step sizes and masses, and their tuning.

Arrays have the axes rungs, chains, coordinates: (r, c, p).
"""

from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import struct
from posterium.numerics import trees
from posterium.numerics.mcmc.hamiltonian import Info

CROWDING = 3
"""Exponent of the first ladder, (i / (r - 1))^3: most rungs are near the prior."""
SETTLING = 0.6
"""Step sizes are moved by (rounds)^-0.6 times the gap of the acceptance rate."""
HEAD_START = 10
"""Rounds that the first guess of a variance counts for."""


@struct
class Ladder:
    """Inverse temperatures, and how replicas move at each.

    Parameters
    ----------
    beta
        Inverse temperatures of the likelihood, rising from 0 to 1, (r,).
    step_size
        Of the leapfrog rule, (r,).
    variance
        Of each coordinate: the inverse mass, (r, p).
    """

    beta: Any
    step_size: Any
    variance: Any

    @classmethod
    def crowded(cls, rungs: int, variance: jax.Array) -> "Ladder":
        """Return a first ladder, given the variance (p,) of each coordinate under the prior."""
        beta = jnp.linspace(0, 1, rungs, dtype=variance.dtype) ** CROWDING
        step_size = jnp.full(rungs, variance.size**-0.25, variance.dtype)
        return cls(beta, step_size, trees.stack(variance, rungs))


@struct
class LadderTuning:
    """What the rounds so far say of a ladder.

    Parameters
    ----------
    mean
        Of each coordinate, with the weight of old rounds fading, (r, p).
    rejected
        Summed probabilities that a swap is refused, (r - 1,).
    rounds
        Rounds since the inverse temperatures were last set.
    """

    mean: Any
    rejected: Any
    rounds: Any

    @classmethod
    def begin(cls, ladder: Ladder) -> "LadderTuning":
        """Return the state before any round."""
        rejected = jnp.zeros_like(ladder.beta[1:])
        return cls(jnp.zeros_like(ladder.variance), rejected, jnp.zeros((), jnp.int32))

    def update(
        self, ladder: Ladder, position: jax.Array, info: Info, *, target: Any, renew: jax.Array
    ) -> tuple["LadderTuning", Ladder]:
        """Return the state and the ladder after a round.

        Step sizes move towards the `target` acceptance rate, variances to those of the replicas;
        inverse temperatures are set anew when it is time to `renew` them.
        """
        rounds = self.rounds + 1
        accepted = jnp.mean(info["acceptance_rate"], axis=1)
        gain = rounds.astype(ladder.beta.dtype) ** -SETTLING
        step_size = ladder.step_size * jnp.exp(gain * (accepted - target))
        weight = 2 / (rounds + HEAD_START)
        centre = jnp.mean(position, axis=1)
        away = centre - self.mean
        within = jnp.mean((position - centre[:, None]) ** 2, axis=1)
        variance = (1 - weight) * (ladder.variance + weight * away**2) + weight * within
        rejected = self.rejected + jnp.mean(1 - info["swap_rate"], axis=1)
        beta = jnp.where(renew, evenly(ladder.beta, rejected / rounds), ladder.beta)
        kept, rounds = jnp.where(renew, 0, rejected), jnp.where(renew, 0, rounds)
        tuning = LadderTuning(self.mean + weight * away, kept, rounds)
        return tuning, Ladder(beta, step_size, variance)


def evenly(beta: jax.Array, rejected: jax.Array) -> jax.Array:
    """Return inverse temperatures at which all swaps are refused as often.

    Between two rungs the refusals add up to the barrier there, whatever the rungs between
    (Syed, Bouchard-Cote, Deligiannidis and Doucet 2022, algorithm 4).
    """
    least = jnp.finfo(beta.dtype).eps
    barrier = jnp.concatenate([jnp.zeros(1, beta.dtype), jnp.cumsum(rejected + least)])
    return jnp.interp(jnp.linspace(0, barrier[-1], len(beta)), barrier, beta).at[-1].set(1)
