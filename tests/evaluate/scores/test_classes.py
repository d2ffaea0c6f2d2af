"""The Brier score, its parts, and ordered classes."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from sklearn import metrics
from tests.evaluate.scores.resampled import agree

from posterium.evaluate import scores
from posterium.evaluate.scores.bins import bin_of

N = 400
RNG = np.random.default_rng(11)
PROBS = RNG.dirichlet([1.0, 0.5, 2.0], N)
LABELS = np.array([RNG.choice(3, p=p) for p in PROBS])
BINARY = PROBS[:, :2] / PROBS[:, :2].sum(1, keepdims=True)
TRUTH = (RNG.random(N) < BINARY[:, 1]).astype(int)


def test_accuracy_equals_scikit_learn():
    found = scores.accuracy(PROBS.argmax(1), LABELS).value
    assert found == pytest.approx(metrics.accuracy_score(LABELS, PROBS.argmax(1)), rel=1e-12)


def test_brier_equals_scikit_learn_and_is_halved_for_two_classes():
    assert scores.brier(BINARY, TRUTH).value == pytest.approx(
        metrics.brier_score_loss(TRUTH, BINARY[:, 1]), rel=1e-12
    )
    assert scores.brier(PROBS, LABELS).value == pytest.approx(
        metrics.brier_score_loss(LABELS, PROBS), rel=1e-12
    )


def total(parts):
    return (
        parts.reliability.value - parts.resolution.value
        + parts.uncertainty.value + parts.within.value
    )  # fmt: skip


@given(
    arrays(float, (12, 3), elements=st.floats(0.01, 1)),
    arrays(int, 12, elements=st.integers(0, 2)),
    st.integers(1, 6),
    st.sampled_from(["width", "mass"]),
    st.booleans(),
)
def test_the_parts_of_the_brier_score_add_up_to_it(weights, y, bins, by, debiased):
    probs = weights / weights.sum(1, keepdims=True)
    for p, classes in ((probs, y), (probs[:, :2] / probs[:, :2].sum(1, keepdims=True), y // 2)):
        parts = scores.brier_decomposition(p, classes, bins=bins, by=by, debiased=debiased)
        assert total(parts) == pytest.approx(scores.brier(p, classes).value, abs=1e-12)


def parts_by_loops(p, o, bins):
    """Return the parts for one event, by their definitions bin by bin."""
    place, base = bin_of(p, bins), o.mean()
    reliability = resolution = within = 0.0
    for b in np.unique(place):
        given, seen = p[place == b], o[place == b]
        share = len(given) / len(p)
        reliability += share * (given.mean() - seen.mean()) ** 2
        resolution += share * (seen.mean() - base) ** 2
        cross = np.mean((given - given.mean()) * (seen - seen.mean()))
        within += share * (given.var() - 2 * cross)
    return reliability, resolution, base * (1 - base), within


def test_the_parts_are_those_of_their_definitions():
    found = scores.brier_decomposition(BINARY, TRUTH, bins=7)
    expected = parts_by_loops(BINARY[:, 1], TRUTH, 7)
    assert [part.value for part in found] == pytest.approx(expected, rel=1e-12)
    found = scores.brier_decomposition(PROBS, LABELS, bins=7)
    expected = np.sum([parts_by_loops(PROBS[:, c], LABELS == c, 7) for c in range(3)], axis=0)
    assert [part.value for part in found] == pytest.approx(expected, rel=1e-12)


def test_reliability_is_the_squared_calibration_error():
    found = scores.brier_decomposition(BINARY, TRUTH).reliability
    expected = scores.calibration_error(BINARY[:, 1], TRUTH, norm="squared")
    assert found == pytest.approx(expected, rel=1e-12)


def test_nothing_is_within_where_bins_hold_one_probability():
    p = RNG.choice([0.2, 0.5, 0.7], 60)
    found = scores.brier_decomposition(np.column_stack([1 - p, p]), RNG.integers(0, 2, 60))
    assert found.within.value == pytest.approx(0, abs=1e-15)


def test_the_shares_of_the_classes_have_the_uncertainty_alone():
    shares = np.tile(np.bincount(LABELS) / N, (N, 1))
    found = scores.brier_decomposition(shares, LABELS)
    assert found.uncertainty.value == pytest.approx(scores.brier(shares, LABELS).value)
    assert [found.reliability.value, found.resolution.value] == pytest.approx([0, 0], abs=1e-15)


def test_chance_is_taken_off_reliability_and_resolution():
    """Calibrated, with a known law of the probabilities: reliability 0, resolution their variance.

    Bins hold one probability each, so that nothing else stands between.
    """
    rng = np.random.default_rng(4)
    levels, runs = np.array([0.15, 0.35, 0.55, 0.75, 0.95]), []
    for _ in range(2000):
        p = np.repeat(levels, 6)
        o = (rng.random(30) < p).astype(int)
        probs = np.column_stack([1 - p, p])
        parts = [scores.brier_decomposition(probs, o, bins=5, debiased=d) for d in (False, True)]
        runs.append([part.value for found in parts for part in found[:3]])
    base = levels.mean()
    true = [0, levels.var(), base * (1 - base)]
    mean = np.mean(runs, axis=0)
    se = np.std(runs, axis=0, ddof=1) / np.sqrt(len(runs))
    # strata of equal size: the share of all rows varies less than that of rows drawn at random
    stratified = np.var(levels) / 30
    assert abs(mean[3]) < 4 * se[3]
    assert np.all(np.abs(mean[4:] - true[1:]) < 4 * se[4:] + 1.1 * stratified)
    assert mean[0] > 20 * se[0]


@pytest.mark.parametrize("part", range(4))
def test_errors_of_the_parts_are_those_of_the_bootstrap(part):
    rng = np.random.default_rng(6)
    p = rng.uniform(0.05, 0.95, 800)
    o = (rng.random(800) < np.clip(1.4 * p - 0.3, 0.02, 0.98)).astype(int)
    agree(
        lambda p, o: scores.brier_decomposition(np.column_stack([1 - p, p]), o, bins=3)[part],
        (p, o),
    )


def test_the_ranked_probability_score_of_two_classes_is_the_brier_score():
    probs, y = RNG.dirichlet([1, 1], 9), RNG.integers(0, 2, 9)
    assert scores.ranked_probability(probs, y).value == pytest.approx(scores.brier(probs, y).value)
    near, far = np.array([[0.0, 1.0, 0.0]]), np.array([[0.0, 0.0, 1.0]])
    assert scores.ranked_probability(near, np.array([0])).value == 1
    assert scores.ranked_probability(far, np.array([0])).value == 2


def test_brier_and_log_score_are_lowest_for_the_true_probabilities():
    rng = np.random.default_rng(7)
    p = rng.dirichlet([2.0, 1.0, 1.0], 4000)
    y = (rng.random(4000)[:, None] > np.cumsum(p, axis=1)).sum(axis=1)
    for score in (scores.brier, lambda q, y: scores.nll(np.log(q[np.arange(len(y)), y]))):
        for power in (0.6, 1.6):
            off = p**power / (p**power).sum(1, keepdims=True)
            assert score(p, y).value < score(off, y).value
