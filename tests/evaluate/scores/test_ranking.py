"""Scores of an order against scikit-learn, plain pairs, and the bootstrap."""

import itertools
import math

import numpy as np
import pytest
from sklearn import metrics
from tests.evaluate.scores.resampled import agree

from posterium.evaluate import scores

N = 400
RNG = np.random.default_rng(11)
PROBS = RNG.dirichlet([1.0, 0.5, 2.0], N)
LABELS = np.array([RNG.choice(3, p=p) for p in PROBS])
POSITIVE = RNG.random(N) < 0.3
SCORE = RNG.normal(size=N) + 1.2 * POSITIVE
TIED = SCORE.round()


@pytest.mark.parametrize("score", [SCORE, TIED], ids=["apart", "tied"])
def test_areas_and_rates_equal_scikit_learn(score):
    found = scores.detection(score, POSITIVE)
    assert found["auroc"].value == pytest.approx(metrics.roc_auc_score(POSITIVE, score), rel=1e-12)
    assert found["aupr"].value == pytest.approx(
        metrics.average_precision_score(POSITIVE, score), rel=1e-12
    )
    false, true, _ = metrics.roc_curve(POSITIVE, score, drop_intermediate=False)
    for tpr in (0.5, 0.8, 0.95, 1.0):
        expected = false[np.argmax(true >= tpr - 1e-12)]
        assert scores.fpr_at_tpr(score, POSITIVE, tpr).value == pytest.approx(expected, abs=1e-12)


def test_the_area_of_classes_equals_scikit_learn():
    assert scores.class_auroc(PROBS, LABELS).value == pytest.approx(
        metrics.roc_auc_score(LABELS, PROBS, multi_class="ovr", average="macro"), rel=1e-12
    )
    two = np.column_stack([-TIED, TIED])
    assert scores.class_auroc(two, POSITIVE.astype(int)) == scores.auroc(TIED, POSITIVE)


def test_the_error_of_the_area_is_delongs_over_all_pairs():
    rng = np.random.default_rng(8)
    p, y = np.round(rng.random(30), 1), rng.random(30) < 0.4
    win = (p[y][:, None] > p[~y]) + 0.5 * (p[y][:, None] == p[~y])
    variances = [win.mean(axis=i).var(ddof=1) / win.shape[1 - i] for i in (0, 1)]
    assert scores.auroc(p, y).se == pytest.approx(math.sqrt(sum(variances)), rel=1e-12)


def test_the_error_of_the_area_of_classes_is_that_of_the_bootstrap():
    agree(scores.class_auroc, (PROBS, LABELS), 600)


@pytest.mark.parametrize("score", [SCORE, TIED], ids=["apart", "tied"])
def test_the_error_of_average_precision_is_that_of_the_bootstrap(score):
    agree(scores.aupr, (score, POSITIVE))


def test_the_error_of_a_rate_at_a_found_threshold_is_that_of_new_data():
    """The bootstrap of a quantile is rough, so data are drawn anew; ranks are rough by a tenth."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(1000):
        positive = np.repeat([True, False], [600, 400])
        score = rng.normal(size=1000) + 1.5 * positive
        found.append(scores.fpr_at_tpr(score, positive, 0.9))
    spread = np.std([f.value for f in found], ddof=1)
    claimed = math.sqrt(np.mean([f.se**2 for f in found]))
    assert claimed == pytest.approx(spread, rel=4 / math.sqrt(2000) + 0.1)


def test_kinds_that_have_no_rows_have_no_scores():
    for nobody in (np.zeros(N, bool), np.ones(N, bool)):
        assert math.isnan(scores.auroc(SCORE, nobody).value)
        assert math.isnan(scores.fpr_at_tpr(SCORE, nobody).value)
    assert math.isnan(scores.aupr(SCORE, np.zeros(N, bool)).value)
    assert scores.aupr(SCORE, np.ones(N, bool)).value == pytest.approx(1)
    absent = scores.class_auroc(PROBS, np.where(LABELS == 1, 0, LABELS))
    assert math.isnan(absent.value)
    assert math.isnan(absent.se)


def test_a_single_positive_row_has_an_area_and_no_error():
    found = scores.auroc(np.array([0.1, 0.5, 0.3]), np.array([False, False, True]))
    assert found.value == 0.5
    assert math.isnan(found.se)


def test_what_is_wrong_is_found_by_low_confidence_unless_told_otherwise():
    wrong = PROBS.argmax(1) != LABELS
    found = scores.misclassification(PROBS, LABELS)
    assert found == scores.detection(1 - PROBS.max(1), wrong)
    assert found["auroc"].value > 0.5 + 4 * found["auroc"].se
    perfect = scores.misclassification(PROBS, LABELS, wrong.astype(float))
    assert perfect["auroc"].value == perfect["aupr"].value == 1
    assert perfect["fpr_95"].value == 0


def test_rows_of_another_kind_count_as_positive():
    found = scores.out_of_distribution(SCORE[~POSITIVE], SCORE[POSITIVE])
    expected = scores.detection(SCORE, POSITIVE)
    for name, score in found.items():
        assert score == pytest.approx(expected[name], rel=1e-12)


def test_scores_that_cannot_be_ordered_are_refused():
    with pytest.raises(ValueError, match="none NaN"):
        scores.auroc(np.array([np.nan, 1.0]), np.array([True, False]))
    with pytest.raises(ValueError, match=r"Expected targets of shape \(2,\); got \(3,\)"):
        scores.aupr(np.zeros(2), np.zeros(3))


TIME = RNG.exponential(size=60).round(1) + 0.1
EVENT = RNG.integers(0, 2, 60)
LATER = TIME + RNG.exponential(size=60).round(1)


def test_concordance_counts_the_pairs_that_can_be_ordered():
    right = pairs = 0.0
    for i, j in itertools.permutations(range(60), 2):
        if EVENT[i] and (TIME[i] < TIME[j] or (TIME[i] == TIME[j] and not EVENT[j])):
            pairs += 1
            right += (LATER[i] < LATER[j]) + 0.5 * (LATER[i] == LATER[j])
    assert scores.concordance(LATER, TIME, EVENT).value == pytest.approx(right / pairs)
    assert scores.concordance(TIME, TIME, np.ones(60)).value == 1
    assert scores.concordance(np.ones(60), TIME, EVENT).value == 0.5
    assert math.isnan(scores.concordance(LATER, TIME, np.zeros(60)).value)


def test_the_error_of_concordance_is_that_of_new_data():
    rng = np.random.default_rng(2)
    found = []
    for _ in range(600):
        time, limit = rng.exponential(size=(2, 80))
        later = np.log(time) + rng.normal(size=80)
        found.append(scores.concordance(later, np.minimum(time, 1.5 * limit), time < 1.5 * limit))
    spread = np.std([f.value for f in found], ddof=1)
    claimed = math.sqrt(np.mean([f.se**2 for f in found]))
    assert claimed == pytest.approx(spread, rel=4 / math.sqrt(1200) + 0.05)
