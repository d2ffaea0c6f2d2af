"""Isotonic recalibration against scikit-learn, and whether levels hold what they say."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import softmax
from sklearn.isotonic import IsotonicRegression
from tests.evaluate.recalibration.cases import classes, classes_drawn, gaussian

from posterium import CalibrationWarning, IsotonicRecalibration, VarianceScaling, recalibrate

RNG = np.random.default_rng(8)
HOW = IsotonicRecalibration()
LOGITS = RNG.normal(0, 1.5, (500, 3))
LABELS = classes_drawn(RNG, softmax(LOGITS, axis=1))


def too_sure(logits):
    return softmax(3 * logits, axis=1)


def test_two_classes_are_fitted_by_pooling_adjacent_violators():
    logit = RNG.normal(size=400)
    y = (RNG.random(400) < 1 / (1 + np.exp(-logit))).astype(int)
    weight = RNG.integers(0, 3, 400)
    one = 1 / (1 + np.exp(-4 * logit))
    predictive = classes(np.stack([1 - one, one], axis=1))
    found = recalibrate(predictive, y, HOW, weight=weight)(predictive)
    oracle = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    expected = oracle.fit(one, y, sample_weight=weight).predict(one)
    np.testing.assert_allclose(found.probs[:, 1], expected, atol=1e-12)
    np.testing.assert_allclose(found.probs.sum(axis=1), 1)


def test_more_classes_are_fitted_one_against_the_rest():
    probs = too_sure(LOGITS)
    found = recalibrate(classes(probs), LABELS, HOW)(classes(probs))
    each = np.stack(
        [
            IsotonicRegression(y_min=0, y_max=1).fit(probs[:, c], LABELS == c).predict(probs[:, c])
            for c in range(3)
        ],
        axis=1,
    )
    np.testing.assert_allclose(found.probs, each / each.sum(axis=1, keepdims=True), atol=1e-12)


def test_new_rows_lose_less_than_before():
    rng = np.random.default_rng(1)
    new = rng.normal(0, 1.5, (4000, 3))
    labels = classes_drawn(rng, softmax(new, axis=1))
    before = classes(too_sure(new))
    after = recalibrate(classes(too_sure(LOGITS)), LABELS, HOW)(before)
    truth = labels[:, None] == np.arange(3)
    gain = ((before.probs - truth) ** 2 - (after.probs - truth) ** 2).sum(axis=1)
    assert gain.mean() > 4 * gain.std(ddof=1) / np.sqrt(len(gain))


def test_probabilities_that_are_all_zero_become_equal():
    probs = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.3, 0.3, 0.4]])
    calibrator = recalibrate(classes(probs[:3]), np.array([0, 1, 2]), HOW)
    low = np.array([[0.2, 0.2, 0.1]]) / 0.5
    found = calibrator(classes(low)).probs
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_a_class_without_rows_is_refused():
    with pytest.raises(ValueError, match="there are none of 2"):
        recalibrate(classes(too_sure(LOGITS)), np.minimum(LABELS, 1), HOW)


def skewed(rng, rows):
    x = rng.uniform(-2, 2, rows)
    return x, x + rng.gamma(1.5, 0.6, rows)


def too_narrow(x):
    return gaussian(x + 0.5, 0.7)


def test_levels_are_the_shares_of_rows_below_them():
    x, y = skewed(RNG, 99)
    predictive = too_narrow(x)
    found = recalibrate(predictive, y, HOW)(predictive)
    ranks = np.argsort(np.argsort(predictive.cdf(y))) + 1
    np.testing.assert_allclose(found.cdf(y), ranks / 100, atol=1e-9)


def test_the_function_of_levels_is_that_of_scikit_learn_between_its_ends():
    x, y = skewed(RNG, 80)
    x, y = np.repeat(x, 2), np.repeat(y, 2)  # ties
    predictive = too_narrow(x)
    levels = predictive.cdf(y)
    found = recalibrate(predictive, y, HOW)(predictive).cdf(y)
    ranks = np.searchsorted(np.sort(levels), levels, side="right") - 0.5
    oracle = IsotonicRegression(y_min=0, y_max=1).fit(levels, ranks / 161)
    np.testing.assert_allclose(found, oracle.predict(levels), atol=1e-9)


def test_a_row_of_weight_two_counts_as_two_rows():
    x, y = skewed(RNG, 60)
    weight = np.arange(60) % 3
    rows = np.repeat(np.arange(60), weight)
    once = recalibrate(too_narrow(x), y, HOW, weight=weight)(too_narrow(x))
    twice = recalibrate(too_narrow(x[rows]), y[rows], HOW)(too_narrow(x))
    np.testing.assert_allclose(once.cdf(y), twice.cdf(y), atol=1e-9)


def test_new_rows_lie_below_their_quantiles_as_often_as_they_say():
    """The calibration rows vary too: a share over sets has a variance of p q (1/n + 1/m)."""
    rng = np.random.default_rng(2)
    x, y = skewed(rng, 2000)
    calibrator = recalibrate(too_narrow(x), y, HOW)
    x, y = skewed(rng, 3000)
    before, after = too_narrow(x), calibrator(too_narrow(x))
    levels = np.array([0.05, 0.25, 0.5, 0.9])
    se = np.sqrt(levels * (1 - levels) * (1 / 2000 + 1 / 3000))
    assert (np.abs((y <= after.quantile(levels)).mean(axis=1) - levels) < 4 * se).all()
    assert (np.abs((y <= before.quantile(levels)).mean(axis=1) - levels) > 4 * se).any()
    assert stats.kstest(after.pit(y), "uniform").statistic < 1.9 * np.sqrt(1 / 2000 + 1 / 3000)


def test_quantiles_and_distribution_function_are_inverse_and_outputs_have_their_own():
    mean = RNG.normal(size=(3, 70, 2))
    predictive = gaussian(mean, 1.0)
    y = mean.mean(axis=0) + RNG.normal(size=(70, 2)) * [1.0, 3.0]
    found = recalibrate(predictive, y, HOW)(predictive)
    levels = np.array([0.1, 0.5, 0.8])
    quantiles = found.quantile(levels)
    assert quantiles.shape == (3, 70, 2)
    for level, at in zip(levels, quantiles, strict=True):
        np.testing.assert_allclose(found.cdf(at), level, atol=1e-7)
        np.testing.assert_array_equal(found.quantile(float(level)), at)
        np.testing.assert_allclose(found.survival(at), 1 - found.cdf(at))
    low, high = found.interval(0.8)
    np.testing.assert_allclose((low, high), found.quantile(np.array([0.1, 0.9])), rtol=1e-12)
    assert np.mean(high - low, axis=0) @ [-1, 1] > 0


def test_quantiles_beyond_all_levels_are_cut_with_a_warning_and_not_behind_a_factor():
    y = np.array([*np.linspace(-2, 2, 17), 9.0, 60.0])
    predictive = gaussian(np.zeros(19), 1.0)
    told = r"2 of 19 rows lie outside.*or above 0.925 are cut.*VarianceScaling\(\) first"
    with pytest.warns(CalibrationWarning, match=told):
        cut = recalibrate(predictive, y, HOW)(predictive)
    np.testing.assert_allclose(cut.quantile(0.5), y[9], atol=1e-9)
    assert cut.quantile(0.97)[0] < 9
    scaled = recalibrate(predictive, y, VarianceScaling())(predictive)
    found = recalibrate(scaled, y, HOW)(scaled)
    np.testing.assert_allclose(found.cdf(y), np.arange(1, 20) / 20)
    np.testing.assert_allclose(found.quantile(np.array([0.5, 0.95]))[:, 0], [y[9], 60], atol=1e-6)


def test_levels_outside_are_refused():
    found = recalibrate(gaussian(np.zeros(5), 1.0), np.arange(5.0), HOW)(gaussian([0.0], 1.0))
    for ask in (found.quantile, found.interval):
        with pytest.raises(ValueError, match="inside"):
            ask(1.0)
