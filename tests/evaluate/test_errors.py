"""Standard errors of scores against their spread under the bootstrap."""

import numpy as np
import pytest

from posterium.evaluate import errors, scores


def bootstrap(score, arrays, times=1500):
    rng = np.random.default_rng(9)
    n = len(arrays[0])
    picks = rng.integers(0, n, (times, n))
    return np.std([score(*(array[pick] for array in arrays)) for pick in picks], ddof=1)


@pytest.fixture(scope="module")
def classes():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(400, 3))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = np.array([rng.choice(3, p=p**1.7 / (p**1.7).sum()) for p in probs])
    return probs, y


def agree(se, expected, times=1500):
    """Two estimates of an sd from so many resamples, of which one is itself asymptotic."""
    assert abs(se / expected - 1) < 5 / np.sqrt(2 * times) + 0.05


def test_the_error_of_r2_is_that_of_the_bootstrap():
    rng = np.random.default_rng(3)
    y = rng.normal(size=300)
    mean = y + 0.6 * rng.normal(size=300)
    found = errors.r2(mean, y)
    assert found.value == pytest.approx(1 - np.mean((mean - y) ** 2) / np.var(y))
    agree(found.se, bootstrap(lambda m, t: errors.r2(m, t).value, (mean, y)))


def test_the_error_of_the_area_under_the_curve_is_that_of_the_bootstrap(classes):
    probs, y = classes
    found = errors.auroc(probs, y)
    assert found.value == scores.auroc(probs, y)
    agree(found.se, bootstrap(scores.auroc, (probs, y), 600), 600)


def test_the_error_of_two_classes_counts_ties_half():
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 300)
    p = np.round(np.clip(0.5 + 0.2 * (y - 0.5) + 0.2 * rng.normal(size=300), 0, 1), 1)
    probs = np.column_stack([1 - p, p])
    agree(errors.auroc(probs, y).se, bootstrap(scores.auroc, (probs, y), 600), 600)


def test_the_error_of_the_area_is_delongs_over_all_pairs():
    rng = np.random.default_rng(8)
    p, y = np.round(rng.random(30), 1), rng.random(30) < 0.4
    win = (p[y][:, None] > p[~y]) + 0.5 * (p[y][:, None] == p[~y])
    parts = [np.sum((win.mean(axis=i) - win.mean()) ** 2) / win.shape[1 - i] ** 2 for i in (0, 1)]
    found = errors.auroc(np.column_stack([1 - p, p]), y.astype(int))
    assert found.se == pytest.approx(np.sqrt(sum(parts) * 30 / 29), rel=1e-12)


def test_the_error_of_the_calibration_error_is_that_of_the_bootstrap_without_its_bias():
    rng = np.random.default_rng(5)
    top = rng.choice([0.6, 0.7, 0.8], 600)
    probs = np.column_stack([top, 1 - top])
    y = (rng.random(600) > top - 0.25).astype(int)
    found = errors.ece(probs, y)
    assert found.value == pytest.approx(scores.ece(probs, y))
    agree(found.se, bootstrap(scores.ece, (probs, y)))


def test_a_class_without_rows_has_no_area():
    found = errors.auroc(np.full((4, 2), 0.5), np.ones(4, int))
    assert np.isnan(found.value)
    assert np.isnan(found.se)


def test_a_constant_target_has_no_r2():
    assert np.isnan(errors.r2(np.arange(3.0), np.ones(3)).value)


def test_all_scores_of_a_target_come_with_the_values_of_the_plain_ones():
    rng = np.random.default_rng(6)
    y, mean = rng.normal(size=(2, 40))
    found = errors.regression(y, mean, (mean - 1, mean + 1), np.abs(y - mean))
    assert found["rmse"] == scores.rmse(mean, y)
    assert found["coverage_90"] == scores.coverage((mean - 1, mean + 1), y)
    assert found["crps"].value == pytest.approx(found["mae"].value)
