"""Risk and coverage: against plain sums, the best order, and the bootstrap."""

import itertools

import numpy as np
import pytest
from tests.evaluate.scores.resampled import agree

from posterium.evaluate import scores

RNG = np.random.default_rng(5)
UNSURE = RNG.random(300)
WRONG = (RNG.random(300) < UNSURE**2).astype(float)


def test_the_risk_is_the_mean_loss_of_the_rows_kept():
    found = scores.risk_coverage(UNSURE, WRONG)
    order = np.argsort(UNSURE)
    expected = [WRONG[order[:k]].mean() for k in range(1, 301)]
    np.testing.assert_allclose(found.risk, expected, rtol=1e-12)
    np.testing.assert_allclose(found.coverage, np.arange(1, 301) / 300)
    assert scores.aurc(UNSURE, WRONG).value == pytest.approx(np.mean(expected), rel=1e-12)


def test_the_error_of_a_risk_is_that_of_the_mean_of_the_rows_kept():
    found = scores.risk_coverage(UNSURE, WRONG)
    kept = WRONG[np.argsort(UNSURE)[:200]]
    assert found.se[199] == pytest.approx(kept.std(ddof=1) / np.sqrt(200), rel=1e-12)
    assert np.isnan(found.se[0])


def test_ties_are_taken_in_the_mean_of_all_orders():
    unsure, loss = np.array([0.1, 0.5, 0.5, 0.5, 0.9]), np.array([0.0, 1.0, 0.0, 3.0, 2.0])
    curves = [
        np.cumsum(loss[[0, *middle, 4]]) / np.arange(1, 6)
        for middle in itertools.permutations([1, 2, 3])
    ]
    found = scores.risk_coverage(unsure, loss)
    np.testing.assert_allclose(found.risk, np.mean(curves, axis=0), rtol=1e-12)
    assert scores.aurc(unsure, loss).value == pytest.approx(np.mean(curves), rel=1e-12)


def test_the_order_of_the_rows_does_not_matter():
    tied, order = UNSURE.round(1), RNG.permutation(300)
    for score in (scores.aurc, scores.excess_aurc):
        assert score(tied[order], WRONG[order]) == pytest.approx(score(tied, WRONG), rel=1e-10)


def test_an_uncertainty_that_knows_nothing_has_the_mean_loss():
    assert scores.aurc(np.ones(300), WRONG).value == pytest.approx(WRONG.mean())


def test_the_best_order_has_no_excess_and_no_order_has_less():
    assert scores.excess_aurc(WRONG, WRONG) == (0, 0)
    loss = RNG.exponential(size=6)
    areas = [
        scores.aurc(np.array(order, float), loss).value
        for order in itertools.permutations(range(6))
    ]
    best = scores.aurc(loss, loss).value
    assert best == pytest.approx(min(areas), rel=1e-12)
    found = scores.excess_aurc(np.arange(6.0), loss).value
    assert found == pytest.approx(areas[0] - best, rel=1e-12)


def test_the_excess_of_errors_is_geifmans():
    """Of 0 and 1 the best area is r + (1 - r) log(1 - r), but for terms of 1/n."""
    n, r = 200_000, 0.3
    loss = (np.arange(n) < r * n).astype(float)
    assert scores.aurc(loss, loss).value == pytest.approx(r + (1 - r) * np.log(1 - r), rel=1e-4)


@pytest.mark.parametrize("unsure", [UNSURE, UNSURE.round(1)], ids=["apart", "tied"])
def test_errors_of_the_areas_are_those_of_the_bootstrap(unsure):
    agree(scores.aurc, (unsure, WRONG))
    agree(scores.excess_aurc, (unsure, WRONG))


def test_losses_may_be_of_any_size():
    loss = (RNG.normal(size=300) * UNSURE) ** 2
    agree(scores.aurc, (UNSURE, loss))


def test_rows_that_cannot_be_ordered_are_refused():
    with pytest.raises(ValueError, match="one uncertainty and one loss a row"):
        scores.aurc(np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match="none NaN"):
        scores.aurc(np.array([np.nan]), np.zeros(1))
