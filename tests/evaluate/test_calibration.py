"""Calibration: bins against loops, intervals against coverage under repetition."""

import numpy as np
import pytest
from scipy import stats

from posterium.evaluate.calibration import (
    bins_for,
    coverage_curve,
    pit_histogram,
    randomised_pit,
    reliability,
    wilson,
)
from posterium.numerics.laws.counts import PoissonLaw
from posterium.posterior.components.classes import ClassComponents
from posterium.posterior.components.gaussian import GaussianComponents
from posterium.posterior.components.laws import LawComponents
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive


def test_bins_hold_the_rows_of_their_range():
    probability = np.array([0.0, 0.05, 0.26, 0.5, 0.51, 1.0])
    happened = np.array([0, 1, 1, 0, 1, 1])
    found = reliability(probability, happened, 4)
    np.testing.assert_allclose(found.probability, [0.025, 0.26, 0.505, 1.0])
    np.testing.assert_allclose(found.share, [0.5, 1, 0.5, 1])
    np.testing.assert_array_equal(found.count, [2, 1, 2, 1])


def test_an_interval_of_a_share_holds_it_95_times_in_100_on_average_over_shares():
    hits = np.arange(81)
    low, high = wilson(hits, np.full(81, 80))
    shares = np.linspace(0.05, 0.95, 500)
    held = [stats.binom.pmf(hits, 80, p)[(low <= p) & (p <= high)].sum() for p in shares]
    assert abs(np.mean(held) - 0.95) < 0.005


def test_the_interval_of_no_hit_reaches_from_zero_and_is_not_empty():
    low, high = wilson(np.array([0, 5]), np.array([5, 5]))
    np.testing.assert_allclose(low[0], 0)
    np.testing.assert_allclose(high[1], 1)
    assert high[0] > 0.4


def test_the_coverage_of_every_level_is_counted():
    rng = np.random.default_rng(1)
    pit, levels = rng.random(200) ** 2, np.array([0.1, 0.5, 0.9])
    covered, se = coverage_curve(pit, levels)
    expected = [np.mean((pit >= 0.5 - v / 2) & (pit <= 0.5 + v / 2)) for v in levels]
    np.testing.assert_allclose(covered, expected)
    np.testing.assert_allclose(se, np.sqrt(levels * (1 - levels) / 200))


def test_the_band_of_a_flat_histogram_holds_95_of_100_bars():
    rng = np.random.default_rng(2)
    inside = []
    for _ in range(400):
        _, density, low, high = pit_histogram(rng.random(1000), 10)
        inside.append((low <= density) & (density <= high))
    share = np.mean(inside)
    assert abs(share - 0.95) < 5 * np.sqrt(0.05 * 0.95 / 4000) + 0.01


def test_rows_fill_their_bins():
    assert [bins_for(n) for n in (5, 40, 1000)] == [3, 4, 10]


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="at least one row"):
        reliability(np.zeros(0), np.zeros(0))


def counts(rate):
    components = LawComponents(PoissonLaw(), (rate[None, :, None],))
    return RegressionPredictive(lambda: [components], (len(rate), 1), squeeze=True)


def test_the_randomised_pit_of_right_counts_is_uniform_and_the_plain_one_is_not():
    rng = np.random.default_rng(3)
    rate = rng.uniform(0.2, 2, 2000)
    y, predictive = rng.poisson(rate), counts(rate)
    drawn = randomised_pit(0, predictive, y)
    assert stats.kstest(drawn, "uniform").pvalue > 0.01
    assert stats.kstest(predictive.pit(y), "uniform").pvalue < 1e-6
    assert stats.kstest(randomised_pit(0, counts(1.2 * rate), y), "uniform").pvalue < 1e-6
    upto, below = stats.poisson.cdf(y, rate), stats.poisson.cdf(y - 1, rate)
    assert np.all((below - 1e-12 <= drawn) & (drawn <= upto + 1e-12))


def test_the_randomised_pit_of_numbers_is_the_plain_one():
    y = np.linspace(-1, 1, 5)
    components = GaussianComponents(np.zeros((1, 5, 1)), 1.0)
    numbers = RegressionPredictive(lambda: [components], (5, 1), squeeze=True)
    np.testing.assert_array_equal(randomised_pit(0, numbers, y), numbers.cdf(y))


def test_the_randomised_pit_of_classes_needs_their_order():
    rng = np.random.default_rng(4)
    probs = rng.dirichlet([1, 2, 1], 2000)
    y = (rng.random(2000)[:, None] > np.cumsum(probs, axis=1)).sum(axis=1)
    parts = ClassComponents.from_probs(probs[None])
    ordered = ClassPredictive(lambda: [parts], (2000, 3), ordered=True)
    assert stats.kstest(randomised_pit(0, ordered, y), "uniform").pvalue > 0.01
    with pytest.raises(ValueError, match="Expected ordered classes"):
        randomised_pit(0, ClassPredictive(lambda: [parts], (2000, 3)), y)
