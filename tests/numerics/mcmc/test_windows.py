"""Windows whose draws and gradients are held for all chains: each learns from its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterium._struct import struct
from posterium.numerics import trees
from posterium.numerics.mcmc import low_rank
from posterium.numerics.mcmc.windows import LowRankWindows, schedule

CHAINS, SIZE, STEPS = 2, 3, 200
ADAPTATION = LowRankWindows()


@struct
class At:
    """Where chains are, as much of it as an adaptation looks at."""

    position: jax.Array
    logdensity_grad: jax.Array


@pytest.fixture(scope="module", autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


def walked(positions, gradients):
    """Return states and memory after each step, (t, ...)."""
    stages = jnp.asarray(schedule(STEPS))
    states = trees.stack(ADAPTATION.init(SIZE, STEPS, known=False), CHAINS)
    memory = ADAPTATION.memory(CHAINS, SIZE, STEPS, known=False)
    info = {"acceptance_rate": jnp.full(CHAINS, 0.7)}

    def step(carry, seen):
        stage, at = seen
        states = jax.vmap(lambda s, a, i: ADAPTATION.update(s, stage, a, i))(carry[0], at, info)
        carry = ADAPTATION.pooled(states, carry[1], stage, at, info)
        return carry, carry

    with jax.numpy_rank_promotion("allow"):
        run = jax.jit(lambda seen: jax.lax.scan(step, (states, memory), seen)[1])
        return run((stages, At(positions, gradients)))


def test_the_mass_of_each_chain_is_that_of_its_draws_in_the_window_alone():
    rng = np.random.default_rng(0)
    sd = np.array([[1.0, 5.0, 0.2], [9.0, 1.0, 1.0]])
    positions = sd * rng.normal(size=(STEPS, CHAINS, SIZE))
    gradients = -positions / sd**2
    (_, found), memory = walked(jnp.asarray(positions), jnp.asarray(gradients))
    slow, last = schedule(STEPS).T
    ends = np.flatnonzero(last)
    assert len(ends) > 1
    begins = [int(np.flatnonzero(slow)[0]), *(ends[:-1] + 1)]
    for begin, end in zip(begins, ends, strict=True):
        window = slice(begin, end + 1)
        for chain in range(CHAINS):
            seen = positions[window, chain], gradients[window, chain]
            count = end + 1 - begin
            room = [np.pad(part, ((0, memory.draws.shape[2] - count), (0, 0))) for part in seen]
            alone = jax.jit(low_rank.fisher)(*map(jnp.asarray, room), count)
            after = trees.index(trees.index(found, end), chain)
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), after, alone)
    assert int(memory.count[ends[0]]) == 0


def test_there_is_room_for_the_longest_window_and_no_more():
    lengths = np.diff(np.cumsum(schedule(1000)[:, 0])[schedule(1000)[:, 1] == 1], prepend=0)
    memory = ADAPTATION.memory(CHAINS, SIZE, 1000, known=False)
    assert memory.draws.shape == (CHAINS, lengths.max(), SIZE)
    few = ADAPTATION.memory(CHAINS, SIZE, 30, known=True)
    assert few.draws.shape == (CHAINS, low_rank.LEAST, SIZE)
