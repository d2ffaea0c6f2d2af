"""Ranks against their definition in whole numbers, and what is refused."""

import math
from fractions import Fraction

import numpy as np
import pytest

from posterium import CalibrationWarning
from posterium.evaluate.recalibration.ranks import Scores, rows_needed

LEVELS = [Fraction(k, 100) for k in (1, 5, 10, 50, 55, 70, 80, 90, 95, 99)]


def threshold(scores, level, weight=None, new=1.0, **groups):
    scores = np.asarray(scores, float).reshape(len(scores), -1)
    weight = np.ones(len(scores)) if weight is None else np.asarray(weight, float)
    group, of = groups.get("group"), groups.get("of")
    return Scores.of(scores, weight, group).threshold(level, np.full(1, new), of)[0, 0]


@pytest.mark.parametrize("level", LEVELS, ids=str)
def test_the_rank_is_that_of_exact_arithmetic_at_every_number_of_rows(level):
    for n in range(1, 400):
        rank = math.ceil((n + 1) * level)
        if rank <= n:
            assert threshold(np.arange(1, n + 1), float(level)) == rank


@pytest.mark.parametrize("level", LEVELS, ids=str)
def test_the_rows_needed_are_the_fewest_that_give_a_finite_threshold(level):
    n = rows_needed(float(level))
    assert math.ceil((n + 1) * level) <= n
    assert n == 1 or math.ceil(n * level) > n - 1
    assert np.isfinite(threshold(np.arange(n), float(level)))


def test_too_few_rows_give_everything_and_say_how_many_are_needed():
    with pytest.warns(CalibrationWarning, match="at least 19 calibration rows .* there are 18"):
        assert threshold(np.arange(18), 0.95) == np.inf


def test_order_does_not_matter_and_each_column_has_its_own_ranks():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(50, 3))
    found = Scores.of(scores, np.ones(50)).threshold(0.8, np.ones(2))
    expected = np.sort(scores, axis=0)[math.ceil(51 * 0.8) - 1]
    np.testing.assert_array_equal(found, [expected, expected])


def test_a_row_of_weight_two_counts_as_two_rows():
    rng = np.random.default_rng(1)
    scores, weight = rng.normal(size=30), np.arange(30) % 3
    for level in (0.3, 0.5, 0.77, 0.9):
        once = threshold(scores, level, weight)
        assert once == threshold(np.repeat(scores, weight), level)


def test_a_new_row_of_large_weight_gets_everything():
    with pytest.warns(CalibrationWarning):
        assert threshold(np.arange(100), 0.9, new=12.0) == np.inf
    assert threshold(np.arange(100), 0.9, new=11.0) == 99


def test_groups_have_thresholds_of_their_own_and_too_few_rows_of_one_spoil_no_other():
    scores, group = np.arange(30.0)[:, None], np.array(["a"] * 20 + ["b"] * 10)
    ranks = Scores.of(scores, np.ones(30), group)
    assert ranks.groups == ("a", "b")
    found = ranks.threshold(0.9, np.ones(3), ["b", "a", "b"])
    np.testing.assert_array_equal(found[:, 0], [29, 18, 29])
    with pytest.warns(CalibrationWarning, match="in each group; there are 10. So 2 of 3 rows"):
        found = ranks.threshold(0.95, np.ones(3), ["b", "a", "b"])
    np.testing.assert_array_equal(found[:, 0], [np.inf, 19, np.inf])


def test_groups_that_do_not_fit_are_refused():
    scores, weight = np.arange(3.0)[:, None], np.ones(3)
    with pytest.raises(ValueError, match="Expected 3 groups"):
        Scores.of(scores, weight, ["a", "b"])
    with pytest.raises(ValueError, match="whole numbers or texts"):
        Scores.of(scores, weight, [0.5, 1.5, 2.5])
    grouped = Scores.of(scores, weight, [3, 3, 4])
    with pytest.raises(ValueError, match="groups among 3, 4; got 5"):
        grouped.threshold(0.5, weight, [3, 4, 5])
    with pytest.raises(ValueError, match="Expected the group of each row"):
        grouped.threshold(0.5, weight)
    with pytest.raises(ValueError, match="Expected no groups"):
        Scores.of(scores, weight).threshold(0.5, weight, [3, 3, 4])
    with pytest.raises(ValueError, match="level inside"):
        grouped.threshold(1.0, weight, [3, 3, 4])
