"""Late rises of noisy series: seen when they are there, and only then."""

import numpy as np
import pytest

from posterium.evaluate.trend import drift, late_rise


def noise(seed, count=2000):
    return np.random.default_rng(seed).normal(size=count)


def test_a_straight_line_rises_by_an_eighth_of_its_length():
    rise, _ = late_rise(np.arange(1600.0))
    assert rise == pytest.approx(200)


def test_white_noise_seldom_rises_by_four_errors():
    ratios = [rise / error for rise, error in (late_rise(noise(s)) for s in range(300))]
    assert np.mean(np.abs(ratios) > 4) < 0.01
    assert 0.8 < np.std(ratios) < 1.3


def test_a_rise_of_ten_errors_is_seen_in_noise():
    rise, error = late_rise(noise(1) + np.linspace(0, 6, 2000))
    assert rise > 4 * error


def test_steps_before_the_settled_end_do_not_count():
    values = np.where(np.arange(2000) < 1900, -1e6, 0.0) + 0.0
    settled = np.arange(2000) >= 1900
    assert late_rise(values, settled) == (0, 0)
    assert late_rise(values)[0] > 1e5


def test_too_few_steps_give_no_rise():
    assert late_rise(np.arange(79.0)) == (0, 0)
    assert late_rise(np.zeros(0), np.zeros(0, bool)) == (0, 0)


def test_the_drift_of_a_line_a_walk_and_of_noise_against_their_spread():
    rng = np.random.default_rng(0)
    t = np.arange(2000.0)
    moved, within = drift(np.stack([t, -t], axis=1))
    assert np.isclose(moved, 1000)
    assert np.isclose(moved / within, 12**0.5, rtol=1e-2)
    noise = rng.normal(size=(2000, 400))
    moved, within = drift(noise)
    # The means of 1000 differ by a variance of 2 / 1000; over 400 quantities its error is small.
    assert abs(moved / (2 / 1000) ** 0.5 - 1) < 5 / (2 * 400) ** 0.5
    assert abs(within - 1) < 0.01
    moved, within = drift(np.cumsum(noise, axis=0))
    assert abs(moved / within - 2) < 0.3
    assert drift(np.arange(3.0)) == (0, 0)
