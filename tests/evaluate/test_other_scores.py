"""Scores of quantiles, of ordered classes and of times that may be cut off."""

import itertools

import numpy as np
import pytest

from posterium.evaluate import scores
from posterium.numerics.laws.quantiles import QuantilesLaw
from posterium.numerics.laws.weibull import WeibullLaw
from posterium.posterior.components.laws import LawComponents
from posterium.posterior.predictive import RegressionPredictive

RNG = np.random.default_rng(0)
TIME = RNG.exponential(size=12).round(1) + 0.1
EVENT = RNG.integers(0, 2, 12)
SCALE = RNG.uniform(0.5, 2, 12)


def test_concordance_counts_the_pairs_that_can_be_ordered():
    right = pairs = 0.0
    for i, j in itertools.permutations(range(12), 2):
        if EVENT[i] and (TIME[i] < TIME[j] or (TIME[i] == TIME[j] and not EVENT[j])):
            pairs += 1
            right += SCALE[i] < SCALE[j]
    assert scores.concordance(SCALE, TIME, EVENT) == pytest.approx(right / pairs)
    assert scores.concordance(TIME, TIME, np.ones(12)) == 1
    assert scores.concordance(np.ones(12), TIME, EVENT) == 0.5
    assert np.isnan(scores.concordance(SCALE, TIME, np.zeros(12)))


def test_the_pinball_loss_is_least_at_the_quantile():
    y = RNG.gamma(2, 1, 2000)
    losses = [
        scores.pinball(np.full(2000, q), y, 0.8).value for q in np.quantile(y, [0.7, 0.8, 0.9])
    ]
    assert losses[1] == min(losses)
    assert scores.pinball(np.zeros(2), np.array([1.0, -1.0]), 0.8).value == pytest.approx(0.5)


def test_the_ranked_probability_score_of_two_classes_is_the_brier_score():
    probs, y = RNG.dirichlet([1, 1], 9), RNG.integers(0, 2, 9)
    assert scores.ranked_probability(probs, y).value == pytest.approx(scores.brier(probs, y).value)
    near, far = np.array([[0.0, 1.0, 0.0]]), np.array([[0.0, 0.0, 1.0]])
    assert scores.ranked_probability(near, np.array([0])).value == 1
    assert scores.ranked_probability(far, np.array([0])).value == 2


def test_times_and_quantiles_are_given_the_scores_that_suit_them():
    law = LawComponents(WeibullLaw(), (SCALE[None, :, None], np.full((1, 12, 1), 1.5)))
    times = RegressionPredictive(lambda: [law], (12, 1), squeeze=True, columns=2)
    y = np.column_stack([TIME, EVENT])
    found = scores.regression_scores(times, y)
    assert list(found) == ["nll", "concordance", "events", "width_90"]
    assert found["nll"] == pytest.approx(-np.mean(times.log_prob(y)))
    assert found["concordance"] == pytest.approx(scores.concordance(SCALE, TIME, EVENT))
    with pytest.raises(ValueError, match="Expected 2 columns, times and events"):
        times.log_prob(TIME)
    at = np.sort(RNG.normal(size=(1, 12, 1, 2)))
    level = np.broadcast_to([0.25, 0.75], at.shape)
    parts = LawComponents(QuantilesLaw(), (at, np.ones_like(at), level))
    found = scores.regression_scores(
        RegressionPredictive(lambda: [parts], (12, 1), squeeze=True, levels=(0.25, 0.75)), TIME
    )
    each = [scores.pinball(at[0, :, 0, k], TIME, p).value for k, p in enumerate((0.25, 0.75))]
    assert found["pinball"] == pytest.approx(np.mean(each))
