"""The scores that suit a predictive, by their names."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from posterium import score
from posterium.evaluate import scores
from posterium.numerics.laws.quantiles import QuantilesLaw
from posterium.numerics.laws.weibull import WeibullLaw
from posterium.posterior.components.classes import ClassComponents
from posterium.posterior.components.gaussian import GaussianComponents
from posterium.posterior.components.laws import LawComponents
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive

N = 400
RNG = np.random.default_rng(11)
Y = RNG.normal(size=N)
MEAN = Y + RNG.normal(0, 0.5, N)
PROBS = RNG.dirichlet([1.0, 0.5, 2.0], N)
LABELS = np.array([RNG.choice(3, p=p) for p in PROBS])
NUMBERS = [
    "rmse", "mae", "r2", "nll", "crps", "coverage_90", "width_90", "interval_90", "sharpness",
]  # fmt: skip
CLASSES = [
    "accuracy", "confidence", "nll", "brier", "brier_reliability", "brier_resolution",
    "brier_uncertainty", "brier_within", "ece", "ece_debiased", "auroc", "misclassified_auroc",
    "misclassified_aupr", "aurc", "excess_aurc",
]  # fmt: skip


def labelled(probs, ordered=False):
    components = ClassComponents.from_probs(probs[None])
    return ClassPredictive(lambda: [components], probs.shape, ordered=ordered)


def test_numbers_have_their_scores():
    sd = 0.5
    blocks = [GaussianComponents(MEAN.reshape(1, N, 1), sd**2)]
    found = score(RegressionPredictive(lambda: blocks, (N, 1), squeeze=True), Y)
    assert list(found) == NUMBERS
    z = stats.norm.ppf(0.95)
    assert found["nll"].value == pytest.approx(-stats.norm.logpdf(Y, MEAN, sd).mean(), rel=1e-12)
    assert found["width_90"].value == pytest.approx(2 * z * sd, rel=1e-12)
    assert found["coverage_90"].value == pytest.approx(np.mean(np.abs(Y - MEAN) <= z * sd))
    assert found["sharpness"].value == pytest.approx(sd)
    u = (Y - MEAN) / sd
    crps = sd * (u * (2 * stats.norm.cdf(u) - 1) + 2 * stats.norm.pdf(u) - 1 / math.sqrt(math.pi))
    assert found["crps"] == pytest.approx(scores.average(crps), rel=1e-12)
    ends = (MEAN - z * sd, MEAN + z * sd)
    assert found["interval_90"] == pytest.approx(scores.interval_score(ends, Y, 0.9), rel=1e-10)


def test_several_outputs_share_one_log_density():
    blocks = [GaussianComponents(MEAN.reshape(1, -1, 2), 0.25)]
    y = Y.reshape(-1, 2)
    found = score(RegressionPredictive(lambda: blocks, y.shape), y)
    each = stats.norm.logpdf(y, MEAN.reshape(-1, 2), 0.5)
    assert found["nll"] == pytest.approx(scores.average(-each.sum(axis=1)), rel=1e-12)
    assert found["r2"].value == pytest.approx(metrics.r2_score(y, MEAN.reshape(-1, 2)))


def test_classes_have_their_scores():
    found = score(labelled(PROBS), LABELS)
    assert list(found) == CLASSES
    assert found["nll"].value == pytest.approx(metrics.log_loss(LABELS, PROBS), rel=1e-12)
    assert found["confidence"].value == pytest.approx(PROBS.max(axis=1).mean())
    assert found["ece_debiased"] == scores.ece(PROBS, LABELS, debiased=True)
    wrong = PROBS.argmax(axis=1) != LABELS
    assert found["aurc"] == scores.aurc(1 - PROBS.max(axis=1), wrong)
    absent = score(labelled(PROBS), np.zeros(N, int))
    assert math.isnan(absent["auroc"].value)
    assert list(score(labelled(PROBS, ordered=True), LABELS)) == [*CLASSES, "rps"]


def test_times_and_quantiles_are_given_the_scores_that_suit_them():
    scale, time = RNG.uniform(0.5, 2, 12), RNG.exponential(size=12).round(1) + 0.1
    event = RNG.integers(0, 2, 12)
    law = LawComponents(WeibullLaw(), (scale[None, :, None], np.full((1, 12, 1), 1.5)))
    times = RegressionPredictive(lambda: [law], (12, 1), squeeze=True, columns=2)
    y = np.column_stack([time, event])
    found = score(times, y)
    assert list(found) == ["nll", "concordance", "events", "width_90"]
    assert found["nll"].value == pytest.approx(-np.mean(times.log_prob(y)))
    assert found["concordance"] == scores.concordance(scale, time, event)
    with pytest.raises(ValueError, match="Expected 2 columns, times and events"):
        times.log_prob(time)
    at = np.sort(RNG.normal(size=(1, 12, 1, 2)))
    level = np.broadcast_to([0.25, 0.75], at.shape)
    parts = LawComponents(QuantilesLaw(), (at, np.ones_like(at), level))
    found = score(
        RegressionPredictive(lambda: [parts], (12, 1), squeeze=True, levels=(0.25, 0.75)), time
    )
    each = [scores.pinball(at[0, :, 0, k], time, p).value for k, p in enumerate((0.25, 0.75))]
    assert found["pinball"].value == pytest.approx(np.mean(each))


def test_the_pinball_loss_is_least_at_the_quantile():
    y = RNG.gamma(2, 1, 2000)
    losses = [
        scores.pinball(np.full(2000, q), y, 0.8).value for q in np.quantile(y, [0.7, 0.8, 0.9])
    ]
    assert losses[1] == min(losses)
    assert scores.pinball(np.zeros(2), np.array([1.0, -1.0]), 0.8).value == pytest.approx(0.5)


def test_scores_print_as_a_table():
    found = scores.Scores(rmse=scores.Score(1.25, 0.0333), nll=scores.Score(2.0, math.nan))
    assert repr(found) == "rmse  1.25 +- 0.033\nnll   2"
