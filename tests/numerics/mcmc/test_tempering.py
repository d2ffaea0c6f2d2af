"""Kernels of parallel tempering: each leaves its target as it is, and ladders are even."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from posterium.numerics.mcmc import tempering

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


def replicas():
    """Return replicas that are exact draws from their targets."""
    z = RNG.normal(size=(RUNGS, CHAINS, 1))
    return tempering.Replicas.at(jnp.asarray(AVERAGE[:, None, None] + SD[:, None, None] * z), terms)


def ladder(step_size=0.8):
    variance = jnp.asarray(SD[:, None] ** 2)
    return tempering.Ladder(jnp.asarray(BETA), jnp.full(RUNGS, step_size), variance)


def assert_exact(position):
    """Hold mean and variance of independent draws (r, c) to 4.5 standard errors."""
    z = (np.asarray(position) - AVERAGE[:, None]) / SD[:, None]
    assert np.abs(z.mean(1)).max() * CHAINS**0.5 < 4.5
    assert np.abs((z**2).mean(1) - 1).max() * (CHAINS / 2) ** 0.5 < 4.5


@pytest.fixture(autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


def explored(step_size=0.8, at=None):
    before = replicas() if at is None else at
    normals, exponentials, _ = tempering.noise(jax.random.key(1), before)
    fresh = jnp.asarray(RNG.normal(size=(CHAINS, 1)))
    return before, *tempering.explore(
        before, ladder(step_size), terms, fresh=fresh, normals=normals, exponentials=exponentials,
        leapfrog=jnp.int32(3),
    )  # fmt: skip


def test_a_transition_keeps_the_target_of_every_rung():
    before, after, info = explored()
    assert (np.asarray(after.position) != np.asarray(before.position)).mean() > 0.5
    assert 0.5 < info["acceptance_rate"][1:].mean() < 0.98
    assert_exact(after.position[..., 0])


def test_small_steps_lose_no_energy_and_are_always_accepted():
    _, _, info = explored(1e-4)
    assert info["acceptance_rate"].min() > 1 - 1e-6


def test_what_is_recorded_of_a_replica_belongs_to_its_position():
    after = tempering.swap(explored()[1], BETA, jnp.int32(0), jnp.ones((RUNGS, CHAINS)))[0]
    again = tempering.Replicas.at(after.position, terms)
    np.testing.assert_array_equal(after.log_prior, again.log_prior)
    np.testing.assert_array_equal(after.log_likelihood, again.log_likelihood)


@pytest.mark.parametrize("turn", [0, 1])
def test_swaps_keep_the_target_of_every_rung(turn):
    before = replicas()
    exponentials = jnp.asarray(RNG.exponential(size=(RUNGS, CHAINS)))
    after, info = tempering.swap(before, jnp.asarray(BETA), jnp.int32(turn), exponentials)
    moved = np.asarray(after.position != before.position)[..., 0].mean(1)
    due = [turn % 2, 1 - turn % 2][:: -1 if turn else 1]
    rates = np.asarray(info["swap_rate"]).mean(1)
    assert moved[turn] == pytest.approx(rates[turn], abs=4.5 * 0.5 / CHAINS**0.5), due
    assert (moved[0] == 0) == (turn == 1)
    assert_exact(after.position[..., 0])


def test_replicas_that_come_up_from_the_foot_are_counted_once():
    few = tempering.Replicas.at(jnp.zeros((3, 1, 1)), terms)
    count = 0
    for turn in range(12):
        few, info = tempering.swap(few, jnp.asarray(BETA[:3]), jnp.int32(turn), jnp.ones((3, 1)))
        count += int(info["round_trips"][0])
    # All swaps succeed: a replica goes up two rungs in two rounds, and every third one comes up.
    assert count == 5


def test_a_likelihood_that_is_nowhere_finite_moves_nothing():
    def nowhere(position):
        return -0.5 * position[0] ** 2, jnp.asarray(-jnp.inf)

    lost = tempering.Replicas.at(jnp.ones((RUNGS, CHAINS, 1)), nowhere)
    after, info = tempering.swap(lost, jnp.asarray(BETA), 0, jnp.ones((RUNGS, CHAINS)))
    assert np.asarray(info["swap_rate"]).max() == 0
    np.testing.assert_array_equal(after.position, lost.position)


def test_a_ladder_with_even_refusals_stays_and_others_are_evened():
    beta = jnp.asarray(BETA)
    np.testing.assert_allclose(tempering.evenly(beta, jnp.full(3, 0.2)), BETA, atol=1e-12)
    # The barrier is 0.6 from 0 to 0.1, 0.2 to 0.4, 0.1 to 1: a third of it ends at 0.05.
    found = tempering.evenly(beta, jnp.asarray([0.6, 0.2, 0.1]))
    np.testing.assert_allclose(found, [0, 0.05, 0.1, 1], atol=1e-12)
    np.testing.assert_allclose(tempering.evenly(beta, jnp.zeros(3))[[0, -1]], [0, 1])


def test_stepping_stones_give_the_log_evidence_within_their_error():
    exact = norm.logpdf(MEAN, 0, (1 + NOISE**2) ** 0.5)
    few = 16
    stones = tempering.SteppingStones.begin(jax.tree.map(lambda leaf: leaf[:, :few], replicas()))
    for _ in range(200):
        drawn = jax.tree.map(lambda leaf: leaf[:, :few], replicas())
        stones = stones.add(drawn, jnp.asarray(BETA))
    found, error = stones.log_evidence()
    assert error < 0.05
    assert abs(found - exact) < 4.5 * error


def test_tuning_finds_variances_and_step_sizes():
    start = tempering.Ladder.crowded(RUNGS, jnp.full(1, 25.0))
    now = tempering.Ladder(jnp.asarray(BETA), start.step_size, start.variance)
    tuning = tempering.LadderTuning.begin(now)
    rates = {"acceptance_rate": jnp.full((RUNGS, 50), 0.5), "swap_rate": jnp.full((3, 50), 0.7)}
    for _ in range(100):
        drawn = jax.tree.map(lambda leaf: leaf[:, :50], replicas())
        tuning, now = tuning.update(now, drawn, rates, target=0.9, renew=jnp.bool_(False))
    np.testing.assert_allclose(now.variance[:, 0], SD**2, rtol=0.1)
    assert np.all(now.step_size < start.step_size / 2)
    np.testing.assert_array_equal(now.beta, BETA)
