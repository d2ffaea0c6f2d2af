r"""Parallel tempering: replicas on a ladder from the prior to the posterior, which trade places.

.. math:: p_\beta(w) \propto p(w)\, p(y \mid w)^\beta, \qquad 0 = \beta_1 < \dots < \beta_r = 1,
   \qquad \Pr(\text{swap } i, j) = \min(1, e^{(\beta_i - \beta_j)(\ell_j - \ell_i)})

with l the log likelihood. Arrays have the axes rungs, chains, coordinates: (r, c, p). Every chain
has a ladder of its own; inverse temperatures, step sizes and masses are shared.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

from posterium._struct import replace, struct
from posterium.numerics import random
from posterium.numerics.mcmc.hamiltonian import DIVERGENCE, Info
from posterium.numerics.mcmc.ladder import Ladder

Terms = Callable[[jax.Array], tuple[jax.Array, jax.Array]]
"""Log prior and log likelihood in nats, as functions of the position (p,)."""


@struct
class Replicas:
    """Where the replicas of all chains are.

    Parameters
    ----------
    position
        Positions, (r, c, p).
    log_prior, log_likelihood
        There, in nats, (r, c).
    came_up
        Whether a replica was last at the foot of the ladder, and not at its top, (r, c).
    """

    position: Any
    log_prior: Any
    log_likelihood: Any
    came_up: Any

    @classmethod
    def at(cls, position: jax.Array, terms: Terms) -> "Replicas":
        """Return replicas at positions (r, c, p), none of which has moved along the ladder."""
        log_prior, log_likelihood = jax.vmap(jax.vmap(terms))(position)
        return cls(position, log_prior, log_likelihood, jnp.zeros(log_prior.shape, bool))


def noise(key: jax.Array, replicas: Replicas) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Draw what a round needs: normals (r, c, p), and exponentials of mean 1 (r, c) twice over.

    All at once, which halves the time to compile; the squares of two normals make an exponential.
    """
    *shape, size = replicas.position.shape
    normals = random.normal(key, (*shape, size + 4), replicas.position.dtype)
    moves, swaps = jnp.split(0.5 * normals[..., size:] ** 2, 2, axis=-1)
    return normals[..., :size], jnp.sum(moves, axis=-1), jnp.sum(swaps, axis=-1)


def explore(
    replicas: Replicas,
    ladder: Ladder,
    terms: Terms,
    *,
    fresh: jax.Array,
    normals: jax.Array,
    exponentials: jax.Array,
    leapfrog: jax.Array,
) -> tuple[Replicas, Info]:
    """Return replicas after a Hamiltonian transition each, and what happened.

    At the foot, where the target is the prior, they are put at `fresh` draws from it, (c, p). All
    take the same number of leapfrog steps, so that none waits for another.
    """
    step, variance = ladder.step_size[:, None, None], ladder.variance[:, None]
    momentum = normals / jnp.sqrt(variance)

    def tempered(position: jax.Array, beta: jax.Array) -> jax.Array:
        log_prior, log_likelihood = terms(position)
        return log_prior + beta * log_likelihood

    slopes = jax.vmap(jax.vmap(jax.grad(tempered), in_axes=(0, None)))

    def leap(i: jax.Array, at: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        position, momentum = at
        kick = jnp.where((i == 0) | (i == leapfrog), 0.5, 1.0) * step
        momentum = momentum + kick * slopes(position, ladder.beta)
        drift = jnp.where(i == leapfrog, 0.0, 1.0) * step
        return position + drift * variance * momentum, momentum

    def energy(at: Replicas, momentum: jax.Array) -> jax.Array:
        kinetic = 0.5 * jnp.sum(variance * momentum**2, axis=-1)
        return kinetic - at.log_prior - ladder.beta[:, None] * at.log_likelihood

    end, last = jax.lax.fori_loop(0, leapfrog + 1, leap, (replicas.position, momentum))
    at_foot = (jnp.arange(len(end)) == 0)[:, None]
    tried = Replicas.at(jnp.where(at_foot[..., None], fresh, end), terms)
    gain = energy(tried, last) - energy(replicas, momentum)
    gain = jnp.where(at_foot, 0, jnp.where(jnp.isnan(gain), jnp.inf, gain))
    taken = gain < exponentials
    moved = Replicas(
        jnp.where(taken[..., None], tried.position, replicas.position),
        jnp.where(taken, tried.log_prior, replicas.log_prior),
        jnp.where(taken, tried.log_likelihood, replicas.log_likelihood),
        replicas.came_up,
    )
    rate = jnp.exp(-jnp.maximum(gain, 0))
    return moved, {"acceptance_rate": rate, "diverging": gain > DIVERGENCE}


def swap(
    replicas: Replicas, beta: jax.Array, turn: jax.Array, exponentials: jax.Array
) -> tuple[Replicas, Info]:
    """Let neighbours trade places; return replicas, rates of all pairs (r - 1, c) and arrivals.

    Pairs with an even lower rung and those with an odd one take turns, which lets replicas travel
    along the ladder where pairs at random would have them diffuse. An arrival is a replica at the
    top that was last at the foot, (c,).
    """
    rungs, chains = replicas.log_likelihood.shape
    rung, arrived = jnp.arange(rungs)[:, None], replicas.came_up[-1]
    came_up = (replicas.came_up | (rung == 0)) & (rung < rungs - 1)
    replicas = replace(replicas, came_up=came_up)
    gap = jnp.diff(beta)[:, None]
    log_ratio = gap * (replicas.log_likelihood[:-1] - replicas.log_likelihood[1:])
    log_ratio = jnp.where(jnp.isnan(log_ratio), -jnp.inf, log_ratio)
    due = (jnp.arange(rungs - 1) + turn)[:, None] % 2 == 0
    taken = jnp.asarray(due & (-log_ratio < exponentials[:-1]), jnp.int32)
    none = jnp.zeros((1, chains), jnp.int32)
    below, above = jnp.concatenate([taken, none]), jnp.concatenate([none, taken])
    source = rung + below - above, jnp.arange(chains)[None]
    info = {"swap_rate": jnp.exp(jnp.minimum(log_ratio, 0)), "round_trips": arrived}
    return jax.tree.map(lambda leaf: leaf[source], replicas), info


@struct
class SteppingStones:
    """The log evidence as a product of ratios between neighbouring rungs (Xie et al. 2011).

    Parameters
    ----------
    log_sum
        Log of the summed p(y | w)^(gap of beta) at the lower of two rungs, (r - 1, c).
    rounds
        Summands.
    """

    log_sum: Any
    rounds: Any

    @classmethod
    def begin(cls, replicas: Replicas) -> "SteppingStones":
        """Return the state before any round."""
        return cls(jnp.full_like(replicas.log_prior[1:], -jnp.inf), jnp.zeros((), jnp.int32))

    def add(self, replicas: Replicas, beta: jax.Array) -> "SteppingStones":
        """Return the state after another round."""
        log_weight = jnp.diff(beta)[:, None] * replicas.log_likelihood[:-1]
        return SteppingStones(jnp.logaddexp(self.log_sum, log_weight), self.rounds + 1)

    def log_evidence(self) -> tuple[jax.Array, jax.Array]:
        """Return the log evidence in nats over all chains, and its standard error from theirs."""
        log_mean = self.log_sum - jnp.log(self.rounds)
        chains = log_mean.shape[1]
        pooled = jnp.sum(logsumexp(log_mean, axis=1) - jnp.log(chains))
        return pooled, jnp.std(jnp.sum(log_mean, axis=0), ddof=1) / chains**0.5
