"""The adaptation that many chains share: BlackJAX's numbers, and lengths in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from blackjax.adaptation import chees_adaptation
from scipy.optimize import brentq

from posterium._struct import replace
from posterium.numerics import trees
from posterium.numerics.mcmc import chees
from posterium.numerics.mcmc.chees import CrossChain, Dynamic, DynamicState

CHAINS, SIZE, STEPS, LENGTH = 16, 4, 32, 3.0
SCALES = np.array([0.7, 1.0, 1.5, 3.0])
KERNEL, SHARED = Dynamic(), CrossChain()


def tailed(z: jax.Array) -> jax.Array:
    """A log density whose slopes are bounded: no chain diverges, however bold a step."""
    u = z / SCALES
    return -jnp.sum(jnp.sqrt(1 + (u - 0.3 * jnp.roll(u, 1)) ** 2))


def walked(keys, positions, adaptation=SHARED, density=tailed, stages=None):
    """Return states, and by step positions, paces and records of chains that adapt together."""
    chains, size = positions.shape

    def step(carry, of_step):
        at, states = carry
        key, stage = of_step

        def one(key, chain, state):
            return KERNEL.step(key, chain, density, adaptation.in_force(state))

        at, info = jax.vmap(one)(jax.random.split(key, chains), at, states)
        states, _ = adaptation.pooled(states, None, stage, at, info)
        return (at, states), (at.position, states.pace, info)

    first = jax.vmap(lambda z: KERNEL.first_state(None, z, density))(positions)
    stages = np.zeros((len(keys), 2), np.int32) if stages is None else stages
    states = trees.stack(adaptation.init(size, len(keys), known=False), chains)
    (_, states), told = jax.lax.scan(step, (first, states), (keys, jnp.asarray(stages)))
    return states, *told


@pytest.fixture(scope="module", autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.slow
def test_positions_step_sizes_and_lengths_are_those_of_blackjax_given_the_same_keys():
    key, begin = jax.random.key(0), jnp.asarray(np.random.default_rng(0).normal(size=(16, 4)))
    with jax.numpy_rank_promotion("allow"):
        theirs = chees_adaptation.chees_adaptation(tailed, CHAINS)
        _, found = theirs.run(key, begin, chees.BEGIN, chees.CLIMBER, STEPS)
    _, positions, pace, info = jax.jit(walked)(jax.random.split(key, STEPS), begin)
    assert not info["diverging"].any()
    np.testing.assert_allclose(positions, found.state.position, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(pace.step_size[:, 0], found.adaptation_state.step_size, rtol=1e-8)
    length = found.adaptation_state.trajectory_length
    np.testing.assert_allclose(pace.length[:, 0], length, rtol=1e-8)
    assert np.ptp(pace.length) > 0.1


def test_a_step_of_the_length_is_that_of_blackjax_under_a_mass():
    rng = np.random.default_rng(1)
    origin, proposal, momentum = rng.normal(size=(3, CHAINS, SIZE))
    rate, mass = rng.uniform(size=CHAINS), rng.uniform(0.1, 5, SIZE)
    begin, update = chees_adaptation.base(
        chees.share, lambda i: i + 1, chees.CLIMBER, SHARED.target, 0.5, chees.LONGEST
    )
    with jax.numpy_rank_promotion("allow"):
        theirs = jax.jit(update)(
            begin(jnp.int32(0), jnp.asarray(chees.BEGIN))._replace(trajectory_length=LENGTH),
            proposal, -momentum, origin, rate, np.zeros(CHAINS, bool), mass,
        )  # fmt: skip
    none = jnp.zeros(CHAINS)
    chains = DynamicState(
        jnp.asarray(proposal), none, none, *map(jnp.asarray, (origin, proposal, momentum)),
        jnp.ones(CHAINS, jnp.int32),
    )  # fmt: skip
    state = SHARED.init(SIZE, 1, known=False)
    pace = replace(state.pace, inverse_mass=jnp.asarray(mass), length=jnp.asarray(LENGTH))
    state = replace(state, pace=pace)
    info = {"acceptance_rate": jnp.asarray(rate), "diverging": jnp.zeros(CHAINS, bool)}
    stage = np.zeros(2, np.int32)
    pooled = jax.jit(lambda states: SHARED.pooled(states, None, stage, chains, info)[0])
    ours = pooled(trees.stack(state, CHAINS))
    np.testing.assert_allclose(ours.pace.length, float(theirs.trajectory_length), rtol=1e-12)
    np.testing.assert_allclose(ours.pace.step_size, float(theirs.step_size), rtol=1e-12)
    assert abs(float(theirs.trajectory_length) - LENGTH) > 0.1


@pytest.mark.slow
def test_the_length_is_the_best_one_for_the_longest_axis():
    """The criterion is the mean of sin(u L)^2 over shares u there, greatest at tan(2 L) = 2 L."""
    best = brentq(lambda length: np.sin(2 * length) - 2 * length * np.cos(2 * length), 2, 2.5)
    sd = jnp.array([1.0] * 9 + [10.0])

    def with_a_long_axis(z):
        return -0.5 * jnp.sum((z / sd) ** 2)

    begin = sd[None] * jax.random.normal(jax.random.key(1), (32, 10))
    run = jax.jit(lambda keys: walked(keys, begin, density=with_a_long_axis))
    states, *_, info = run(jax.random.split(jax.random.key(2), 400))
    found = SHARED.result(trees.index(states, 0), None)
    assert float(found.length) == pytest.approx(10 * best, rel=0.1)
    rate = np.asarray(info["acceptance_rate"])[200:]
    harmonic = 1 / np.mean(1 / np.maximum(rate, 1e-12), axis=1)
    assert harmonic.mean() == pytest.approx(SHARED.target, abs=0.05)


@pytest.mark.slow
def test_the_mass_is_the_variance_of_all_positions_in_a_window_and_the_rest_begins_anew():
    stages = np.zeros((30, 2), np.int32)
    stages[10:30, 0], stages[29, 1] = 1, 1
    begin = jax.random.normal(jax.random.key(3), (CHAINS, SIZE))
    run = jax.jit(lambda keys: walked(keys, begin, stages=stages))
    states, positions, pace, _ = run(jax.random.split(jax.random.key(4), 30))
    seen = np.asarray(positions)[10:].reshape(-1, SIZE)
    shrunk = (len(seen) * seen.var(axis=0, ddof=1) + 5e-3) / (len(seen) + 5)
    np.testing.assert_allclose(states.pace.inverse_mass[0], shrunk, rtol=1e-10)
    assert np.array_equal(pace.inverse_mass[28, 0], np.ones(SIZE))
    assert np.array_equal(states.pace.length, np.full(CHAINS, chees.BEGIN))
    assert np.array_equal(states.count, np.zeros(CHAINS))


def test_a_chain_that_diverges_shortens_the_step_and_has_no_say_in_the_length():
    chains = DynamicState(
        *(jnp.asarray(np.random.default_rng(5).normal(size=(CHAINS, SIZE))) for _ in range(6)),
        jnp.ones(CHAINS, jnp.int32),
    )
    rate, lost = jnp.full(CHAINS, 0.9), jnp.arange(CHAINS) == 3
    states = trees.stack(SHARED.init(SIZE, 1, known=False), CHAINS)
    stage = np.zeros(2, np.int32)

    @jax.jit
    def after(chains, lost):
        info = {"acceptance_rate": rate, "diverging": lost}
        return SHARED.pooled(states, None, stage, chains, info)[0].pace

    all_well, one_lost = after(chains, lost & False), after(chains, lost)
    assert one_lost.step_size[0] < 0.5 * all_well.step_size[0]
    wild = replace(chains, proposal=chains.proposal.at[3].set(jnp.nan))
    assert np.array_equal(after(wild, lost).length, one_lost.length)


@pytest.mark.parametrize(
    ("length", "at_bound"), [(chees.LONGEST, True), (chees.LONGEST / 2, False)]
)
def test_a_length_at_its_bound_is_said(length, at_bound):
    size = 1e-3
    log_length, step_size = jnp.log(1.5 * length * size), jnp.asarray(size)
    pace = chees.Pace(step_size, jnp.ones(SIZE), chees.bounded(log_length, step_size))
    begin = KERNEL.first_state(None, jnp.ones(SIZE), tailed)
    _, info = jax.jit(lambda at: KERNEL.step(jax.random.key(6), at, tailed, pace))(begin)
    assert info["reached_max_length"] == at_bound
