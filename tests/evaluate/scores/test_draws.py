"""Scores of draws: against plain pairs, and without bias for the distribution they are from."""

import itertools

import numpy as np
import pytest
from scipy import stats

from posterium.evaluate import scores
from posterium.numerics import mixtures

RNG = np.random.default_rng(0)
DRAWS = RNG.gamma(2.0, size=(7, 5, 2))
Y = RNG.gamma(2.0, size=(5, 2))


def by_pairs(draws, y, distance, fair):
    """Return the score of one row by all pairs of different draws, or of any."""
    pairs = itertools.permutations if fair else lambda them, _: itertools.product(them, them)
    spread = np.mean([distance(a - b) for a, b in pairs(draws, 2)])
    return np.mean([distance(a - y) for a in draws]) - spread / 2


@pytest.mark.parametrize("fair", [True, False])
def test_the_crps_of_draws_is_that_of_all_pairs(fair):
    found = scores.sampled_crps(DRAWS, Y, fair=fair)
    expected = [[by_pairs(DRAWS[:, i, j], Y[i, j], abs, fair) for j in range(2)] for i in range(5)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("fair", [True, False])
def test_the_energy_score_of_draws_is_that_of_all_pairs(fair):
    found = scores.energy_score(DRAWS, Y, fair=fair)
    expected = [by_pairs(DRAWS[:, i], Y[i], np.linalg.norm, fair) for i in range(5)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("fair", [True, False])
def test_the_energy_score_of_one_output_is_the_crps(fair):
    one = scores.energy_score(DRAWS[..., :1], Y[:, :1], fair=fair)
    np.testing.assert_allclose(one, scores.sampled_crps(DRAWS[..., 0], Y[:, 0], fair=fair))


def test_the_fair_score_is_without_bias_and_the_other_one_too_large_by_the_spread_over_draws():
    y, runs = 0.7, 40_000
    draws = np.random.default_rng(1).normal(size=(4, runs))
    true = mixtures.crps(np.zeros((1, 1)), np.ones((1, 1)), np.array([y]))[0]
    fair = scores.average(scores.sampled_crps(draws, np.full(runs, y)))
    plain = scores.average(scores.sampled_crps(draws, np.full(runs, y), fair=False))
    assert abs(fair.value - true) < 4 * fair.se
    extra = 1 / np.sqrt(np.pi) / 4  # E|X - X'| / 2, over the draws
    assert abs(plain.value - true - extra) < 4 * plain.se


def test_the_energy_score_is_proper():
    """Drawn from the truth, it is lower than drawn from others of the same marginals."""
    rng = np.random.default_rng(2)
    rows, s = 4000, 12
    law = stats.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]])
    y = law.rvs(rows, random_state=rng)
    together = law.rvs((s, rows), random_state=rng)
    apart = rng.normal(size=(s, rows, 2))
    worse = scores.average(scores.energy_score(apart, y) - scores.energy_score(together, y))
    assert worse.value > 4 * worse.se


def test_far_from_zero_no_digits_are_lost():
    found = scores.sampled_crps(DRAWS + 2.0**20, Y + 2.0**20)
    np.testing.assert_allclose(found, scores.sampled_crps(DRAWS, Y), rtol=1e-8)


def test_one_draw_is_a_point_and_has_no_fair_score():
    np.testing.assert_allclose(scores.sampled_crps(DRAWS[:1], Y, fair=False), np.abs(DRAWS[0] - Y))
    with pytest.raises(ValueError, match="at least 2 draws; got 1"):
        scores.energy_score(DRAWS[:1], Y)
    with pytest.raises(ValueError, match=r"\(draws, rows, outputs\)"):
        scores.energy_score(DRAWS[..., 0], Y[:, 0])
