"""Kernels of parallel tempering: each leaves its target as it is, and ladders are even."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from posterium.numerics.mcmc import ladder, tempering

CHAINS, RUNGS = 4000, 4
MEAN, NOISE = 1.5, 0.5
"""A weight with the prior N(0, 1), seen once with noise."""
BETA = np.array([0.0, 0.1, 0.4, 1.0])
PRECISION = 1 + BETA / NOISE**2
AVERAGE, SD = BETA * MEAN / NOISE**2 / PRECISION, PRECISION**-0.5
"""Mean and sd of the weight at each rung."""
RNG = np.random.default_rng(0)


def terms(position):
    log_prior = jax.scipy.stats.norm.logpdf(position[0])
    return log_prior, jax.scipy.stats.norm.logpdf(MEAN, position[0], NOISE)


at = jax.jit(lambda position: tempering.Replicas.at(position, terms))
swap, noise = jax.jit(tempering.swap), jax.jit(tempering.noise)


def replicas(chains=CHAINS):
    """Return replicas that are exact draws from their targets."""
    z = RNG.normal(size=(RUNGS, chains, 1))
    return at(AVERAGE[:, None, None] + SD[:, None, None] * z)


def rungs(step_size=0.8):
    variance = jnp.asarray(SD[:, None] ** 2)
    return ladder.Ladder(jnp.asarray(BETA), jnp.full(RUNGS, step_size), variance)


def assert_exact(position):
    """Hold mean and variance of independent draws (r, c) to 4.5 standard errors."""
    z = (np.asarray(position) - AVERAGE[:, None]) / SD[:, None]
    assert np.abs(z.mean(1)).max() * CHAINS**0.5 < 4.5
    assert np.abs((z**2).mean(1) - 1).max() * (CHAINS / 2) ** 0.5 < 4.5


@pytest.fixture(autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


@jax.jit
def explore(before, given, fresh, normals, exponentials):
    return tempering.explore(
        before, given, terms, fresh=fresh, normals=normals, exponentials=exponentials,
        leapfrog=jnp.int32(3),
    )  # fmt: skip


def explored(step_size=0.8):
    before = replicas()
    normals, exponentials, _ = noise(jax.random.key(1), before)
    fresh = RNG.normal(size=(CHAINS, 1))
    return before, *explore(before, rungs(step_size), fresh, normals, exponentials)


def test_a_transition_keeps_the_target_of_every_rung():
    before, after, info = explored()
    assert (np.asarray(after.position) != np.asarray(before.position)).mean() > 0.5
    assert 0.5 < info["acceptance_rate"][1:].mean() < 0.98
    assert_exact(after.position[..., 0])


def test_small_steps_lose_no_energy_and_are_always_accepted():
    _, _, info = explored(1e-4)
    assert info["acceptance_rate"].min() > 1 - 1e-6


def test_what_is_recorded_of_a_replica_belongs_to_its_position():
    after, _ = swap(explored()[1], BETA, 0, np.ones((RUNGS, CHAINS)))
    again = at(after.position)
    np.testing.assert_array_equal(after.log_prior, again.log_prior)
    np.testing.assert_array_equal(after.log_likelihood, again.log_likelihood)


@pytest.mark.parametrize("turn", [0, 1])
def test_swaps_keep_the_target_of_every_rung(turn):
    before = replicas()
    after, info = swap(before, BETA, turn, RNG.exponential(size=(RUNGS, CHAINS)))
    moved = np.asarray(after.position != before.position)[..., 0].mean(1)
    rates = np.asarray(info["swap_rate"]).mean(1)
    # Pairs from an even rung have their turn at 0: then the foot moves, and at 1 it stays.
    assert moved[turn] == pytest.approx(rates[turn], abs=4.5 * 0.5 / CHAINS**0.5)
    assert (moved[0] == 0) == (turn == 1)
    assert_exact(after.position[..., 0])


def test_replicas_that_come_up_from_the_foot_are_counted_once():
    few = at(np.zeros((3, 1, 1)))
    count = 0
    for turn in range(12):
        few, info = swap(few, BETA[:3], turn, np.ones((3, 1)))
        count += int(info["round_trips"][0])
    # All swaps succeed: a replica goes up two rungs in two rounds, and every third one comes up.
    assert count == 5


def test_a_likelihood_that_is_nowhere_finite_moves_nothing():
    def nowhere(position):
        return -0.5 * position[0] ** 2, jnp.asarray(-jnp.inf)

    lost = tempering.Replicas.at(jnp.ones((RUNGS, CHAINS, 1)), nowhere)
    after, info = swap(lost, BETA, 0, np.ones((RUNGS, CHAINS)))
    assert np.asarray(info["swap_rate"]).max() == 0
    np.testing.assert_array_equal(after.position, lost.position)


def test_a_ladder_with_even_refusals_stays_and_others_are_evened():
    beta = jnp.asarray(BETA)
    np.testing.assert_allclose(ladder.evenly(beta, jnp.full(3, 0.2)), BETA, atol=1e-12)
    # The barrier is 0.6 from 0 to 0.1, 0.2 to 0.4, 0.1 to 1: a third of it ends at 0.05.
    found = ladder.evenly(beta, jnp.asarray([0.6, 0.2, 0.1]))
    np.testing.assert_allclose(found, [0, 0.05, 0.1, 1], atol=1e-12)
    np.testing.assert_allclose(ladder.evenly(beta, jnp.zeros(3)), BETA, atol=1e-12)


def test_stepping_stones_give_the_log_evidence_within_their_error():
    exact = norm.logpdf(MEAN, 0, (1 + NOISE**2) ** 0.5)
    stones, add = tempering.SteppingStones.begin(replicas(16)), jax.jit(lambda s, r: s.add(r, BETA))
    for _ in range(200):
        stones = add(stones, replicas(16))
    found, error = stones.log_evidence()
    assert error < 0.05
    assert abs(found - exact) < 4.5 * error


def test_tuning_finds_variances_and_step_sizes():
    start = ladder.Ladder.crowded(RUNGS, jnp.full(1, 2.0))
    now = ladder.Ladder(jnp.asarray(BETA), start.step_size, start.variance)
    tuning = ladder.LadderTuning.begin(now)
    rates = {"acceptance_rate": jnp.full((RUNGS, 50), 0.5), "swap_rate": jnp.full((3, 50), 0.7)}
    update = jax.jit(
        lambda t, at, r: t.update(at, r.position, rates, target=0.9, renew=jnp.bool_(False))
    )
    for _ in range(150):
        tuning, now = update(tuning, now, replicas(50))
    np.testing.assert_allclose(now.variance[:, 0], SD**2, rtol=0.12)
    assert np.all(now.step_size < start.step_size / 2)
    np.testing.assert_array_equal(now.beta, BETA)
