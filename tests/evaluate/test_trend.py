"""Late rises of noisy series: seen when they are there, and only then."""

import numpy as np
import pytest

from posterium.evaluate.trend import late_rise


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
