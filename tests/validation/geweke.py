"""Geweke's joint-distribution test: weights and targets by turns, against the prior (Geweke 2004).

Targets are drawn given weights, then a kernel moves the weights given the targets. If it leaves the
posterior as it is, both keep the law they had at first: that of the model. Replicas are
independent, so that their averages have a standard error without a word on autocorrelation.

The model is linear in three weights N(0, 1), with a noise sd of LogNormal(1, 1/2), its log sampled.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tests.validation.problems import FREE_NOISE, NOISE_SPREAD

from posterium import as_data
from posterium._struct import replace
from posterium.model.data import Data
from posterium.numerics import trees
from posterium.numerics.mcmc import tempering
from posterium.numerics.mcmc.base import Pace
from posterium.numerics.mcmc.chees import Dynamic
from posterium.numerics.mcmc.ladder import Ladder
from posterium.posterior.positions import from_prior, function, target, terms

REPLICAS, TURNS = 1000, 100
MODEL, X = FREE_NOISE.model, FREE_NOISE.x
VARIANCE = np.array([0.5, 1.0, 2.0, 0.3])
"""Inverse mass of a move, on purpose not that of the target."""
Move = Callable[[jax.Array, jax.Array, Data], jax.Array]


def errors(move: Move, replicas: int = REPLICAS, turns: int = TURNS) -> np.ndarray:
    """Return how many standard errors ten moments are from those of the model, (10,)."""
    with jax.enable_x64(True):
        found = np.asarray(alternated(move, jax.random.split(jax.random.key(0), replicas), turns))
    error = found.std(axis=0, ddof=1) / np.sqrt(replicas)
    return (found.mean(axis=0) - expected()) / error


def alternated(move: Move, keys: jax.Array, turns: int) -> jax.Array:
    """Return the average moments of each replica over its turns, (r, 10)."""
    data = jax.tree.map(jnp.asarray, trees.cast(as_data(X, np.zeros(len(X))), np.dtype(float)))

    def turn(position: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        target_key, move_key = jax.random.split(key)
        weights, here = function(MODEL, data, None, position)
        f = here.network.apply(weights, data.x)[0]
        simulated = replace(data, y=here.likelihood.sample(target_key, f))
        position = move(move_key, position, simulated)
        return position, moments(position, simulated.y[0, 0])

    @jax.jit
    @jax.vmap
    def one(key: jax.Array) -> jax.Array:
        first, key = jax.random.split(key)
        start = from_prior(first, MODEL, data, None, jnp.zeros(4))
        return jnp.mean(jax.lax.scan(turn, start, jax.random.split(key, turns))[1], axis=0)

    return one(keys)


def moments(position: jax.Array, y: jax.Array) -> jax.Array:
    """Return first and second moments of weights and log noise, and how they go with a target."""
    return jnp.concatenate([position, position**2, jnp.stack([y**2, position[1] * y])])


def expected() -> np.ndarray:
    """Return the moments of the model, (10,)."""
    row = np.array([1.0, *X[0]])
    noise = np.exp(2 * NOISE_SPREAD**2)
    return np.array([0, 0, 0, 0, 1, 1, 1, NOISE_SPREAD**2, row @ row + noise, row[1]])


def by(kernel: Any, step_size: float, length: float | None = None) -> Move:
    """Return one transition of a kernel."""

    def move(key: jax.Array, position: jax.Array, data: Data) -> jax.Array:
        first, key = jax.random.split(key)
        log_density = target(MODEL, data, None)
        state = kernel.first_state(first, position, log_density)
        pace = Pace(jnp.asarray(step_size), jnp.asarray(VARIANCE), length)
        return kernel.step(key, state, log_density, pace)[0].position

    return move


def by_share(step_size: float, length: float) -> Move:
    """Return one transition of `ChEES`, whose share of the length is that of any of 64 numbers."""
    kernel = Dynamic()

    def move(key: jax.Array, position: jax.Array, data: Data) -> jax.Array:
        first, key = jax.random.split(key)
        log_density = target(MODEL, data, None)
        state = kernel.first_state(first, position, log_density)
        state = replace(state, number=jax.random.randint(first, (), 0, 64))
        pace = Pace(jnp.asarray(step_size), jnp.asarray(VARIANCE), jnp.asarray(length))
        return kernel.step(key, state, log_density, pace)[0].position

    return move


def by_round(mass: float = 1.0, refusals: float = 1.0, swap_refusals: float = 1.0) -> Move:
    """Return one round of parallel tempering on two rungs, the prior and the posterior.

    The replica below is drawn from the prior, which is its law. The factors plant errors: in the
    momenta, and in the thresholds under which moves and swaps are accepted.
    """

    def move(key: jax.Array, position: jax.Array, data: Data) -> jax.Array:
        below, fresh, key, count = jax.random.split(key, 4)
        drawn = from_prior(below, MODEL, data, None, position)
        both, at = jnp.stack([drawn, position])[:, None], terms(MODEL, data, None)
        replicas = tempering.Replicas.at(both, at)
        variance = trees.stack(jnp.asarray(VARIANCE), 2)
        ladder = Ladder(jnp.array([0.0, 1.0]), jnp.full(2, 0.7), variance)
        normals, for_moves, for_swaps = tempering.noise(key, replicas)
        replicas, _ = tempering.explore(
            replicas, ladder, at, fresh=from_prior(fresh, MODEL, data, None, position)[None],
            normals=mass * normals, exponentials=refusals * for_moves,
            leapfrog=jax.random.randint(count, (), 1, 5),
        )  # fmt: skip
        replicas, _ = tempering.swap(replicas, ladder.beta, 0, swap_refusals * for_swaps)
        return replicas.position[-1, 0]

    return move
