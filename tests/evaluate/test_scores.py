import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from posterium.evaluate import scores
from posterium.posterior.components.classes import ClassComponents
from posterium.posterior.components.gaussian import GaussianComponents
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive

N = 400
RNG = np.random.default_rng(11)
Y = RNG.normal(size=N)
MEAN = Y + RNG.normal(0, 0.5, N)
PROBS = RNG.dirichlet([1.0, 0.5, 2.0], N)
LABELS = np.array([RNG.choice(3, p=p) for p in PROBS])
BINARY = PROBS[:, :2] / PROBS[:, :2].sum(1, keepdims=True)
TRUTH = (RNG.random(N) < BINARY[:, 1]).astype(int)


def test_errors_equal_scikit_learn():
    assert scores.rmse(MEAN, Y).value == pytest.approx(
        metrics.root_mean_squared_error(Y, MEAN), rel=1e-12
    )
    assert scores.mae(MEAN, Y).value == pytest.approx(
        metrics.mean_absolute_error(Y, MEAN), rel=1e-12
    )
    assert scores.accuracy(PROBS.argmax(1), LABELS).value == metrics.accuracy_score(
        LABELS, PROBS.argmax(1)
    )


def test_standard_errors_are_those_of_repeated_data():
    generator = np.random.default_rng(0)
    runs = generator.normal(0, 2, (4000, 50))
    for score in (scores.rmse, scores.mae):
        found = [score(run, np.zeros(50)) for run in runs]
        spread = np.std([f.value for f in found], ddof=1)
        claimed = math.sqrt(np.mean([f.se**2 for f in found]))
        # an sd from 4000 runs is known to 1.1 %; the delta method is of first order in 1/50
        assert claimed == pytest.approx(spread, rel=0.045 + 0.01)


def test_a_single_row_has_no_standard_error_and_no_row_is_an_error():
    assert math.isnan(scores.mae(np.array([1.0]), np.array([3.0])).se)
    with pytest.raises(ValueError, match="at least one row"):
        scores.average(np.array([]))


def test_outputs_of_a_row_are_averaged_before_rows():
    values = RNG.normal(size=(30, 2))
    found = scores.average(np.repeat(values[:, :1], 2, axis=1))
    assert found == pytest.approx(scores.average(values[:, 0]))


def test_coverage_counts_the_ends_and_width_is_their_mean_distance():
    interval = (np.array([0.0, 0.0, 0.0, 0.0]), np.array([1.0, 1.0, 1.0, 3.0]))
    y = np.array([0.0, 1.0, 1.1, -0.1])
    assert scores.coverage(interval, y).value == 0.5
    assert scores.width(interval).value == 1.5


def test_brier_equals_scikit_learn_and_is_halved_for_two_classes():
    assert scores.brier(BINARY, TRUTH).value == pytest.approx(
        metrics.brier_score_loss(TRUTH, BINARY[:, 1]), rel=1e-12
    )
    assert scores.brier(PROBS, LABELS).value == pytest.approx(
        metrics.brier_score_loss(LABELS, PROBS), rel=1e-12
    )


def ece_by_loops(probs, y, bins=15):
    total = 0.0
    for b in range(bins):
        rows = [i for i in range(len(y)) if b / bins < max(probs[i]) <= (b + 1) / bins]
        if rows:
            confidence = np.mean([max(probs[i]) for i in rows])
            right = np.mean([np.argmax(probs[i]) == y[i] for i in rows])
            total += len(rows) / len(y) * abs(confidence - right)
    return total


def test_calibration_error_equals_plain_loops():
    for probs, y in ((PROBS, LABELS), (BINARY, TRUTH)):
        assert scores.ece(probs, y) == pytest.approx(ece_by_loops(probs, y), rel=1e-12)


def test_calibration_bins_are_closed_on_the_right():
    # 0.6 = 9/15 ends a bin: right with 0.55, wrong with 0.6 (same bin), wrong with 0.65 (the next)
    top = np.array([0.55, 0.6, 0.65])
    found = scores.ece(np.column_stack([top, 1 - top]), np.array([0, 1, 1]))
    same_bin = abs((0.55 - 1) + (0.6 - 0))
    assert found == pytest.approx((same_bin + 0.65) / 3, rel=1e-12)


def test_calibration_error_of_certainty_is_the_error_rate():
    certain = np.eye(2)[TRUTH]
    assert scores.ece(certain, TRUTH) == 0
    assert scores.ece(certain, 1 - TRUTH) == 1


def test_area_under_the_curve_equals_scikit_learn_ties_included():
    rounded = BINARY.round(1)
    assert scores.auroc(rounded, TRUTH) == pytest.approx(
        metrics.roc_auc_score(TRUTH, rounded[:, 1]), rel=1e-12
    )
    assert scores.auroc(PROBS, LABELS) == pytest.approx(
        metrics.roc_auc_score(LABELS, PROBS, multi_class="ovr", average="macro"), rel=1e-12
    )


def test_area_is_not_defined_when_a_class_is_absent():
    assert math.isnan(scores.auroc(PROBS, np.where(LABELS == 1, 0, LABELS)))
    assert math.isnan(scores.auroc(BINARY, np.zeros(N, int)))


def test_arrays_of_other_shapes_are_refused_rather_than_broadcast():
    for score in (scores.rmse, scores.mae, scores.accuracy):
        with pytest.raises(ValueError, match=r"shape \(400,\); got \(400, 1\)"):
            score(MEAN, Y[:, None])


def test_regression_scores_have_the_keys_of_the_report_and_their_values():
    sd = 0.5
    blocks = [GaussianComponents(MEAN.reshape(1, N, 1), sd**2)]
    found = scores.regression_scores(RegressionPredictive(lambda: blocks, (N, 1), squeeze=True), Y)
    assert list(found) == ["rmse", "nll", "crps", "coverage_90", "width_90"]
    z = stats.norm.ppf(0.95)
    assert found["nll"] == pytest.approx(-stats.norm.logpdf(Y, MEAN, sd).mean(), rel=1e-12)
    assert found["width_90"] == pytest.approx(2 * z * sd, rel=1e-12)
    assert found["coverage_90"] == np.mean(np.abs(Y - MEAN) <= z * sd)
    u = (Y - MEAN) / sd
    crps = sd * (u * (2 * stats.norm.cdf(u) - 1) + 2 * stats.norm.pdf(u) - 1 / math.sqrt(math.pi))
    assert found["crps"] == pytest.approx(crps.mean(), rel=1e-12)


def test_classification_scores_have_the_keys_of_the_report_and_their_values():
    predictive = ClassPredictive(lambda: [ClassComponents.from_probs(PROBS[None])], (N, 3))
    found = scores.classification_scores(predictive, LABELS)
    assert list(found) == ["accuracy", "nll", "brier", "ece", "auroc"]
    assert found["nll"] == pytest.approx(metrics.log_loss(LABELS, PROBS), rel=1e-12)
    absent = scores.classification_scores(predictive, np.zeros(N, int))
    assert absent["auroc"] is None


def test_the_error_of_values_whose_squares_overflow_is_right():
    values = np.array([1.0, 2.0, 4.0])
    plain, large = scores.average(values), scores.average(values * 2.0**900)
    assert large.se == plain.se * 2.0**900
    assert np.isnan(scores.average(np.array([1.0, np.inf])).se)
