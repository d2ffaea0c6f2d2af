"""What conformal intervals and sets promise, over 1,000 simulated calibration and test sets.

The model is wrong on purpose. A set's share of test rows inside varies from set to set, and the
mean of 1,000 is held to what is promised by its own standard error. Scores without ties are inside
with the probability rank / (n + 1) exactly, which lies between the two bounds.
"""

import math

import numpy as np
import pytest
from tests.evaluate.recalibration.cases import classes, classes_drawn, gaussian

from posterium import RAPS, ConformalisedQuantiles, SplitConformal, recalibrate

SETS, ROWS, NEW = 1000, 40, 50
"""Forty rows: a rank that is wrong by one moves the coverage by 0.024, some 15 errors."""


def truth(rng, rows):
    """Draw inputs and skewed targets whose noise grows with the input."""
    x = rng.uniform(-2, 2, rows)
    return x, np.sin(2 * x) + (0.2 + 0.3 * np.abs(x)) * (rng.exponential(size=rows) - 1)


def wrong(x):
    """Predict with a wrong slope and a noise that is far too small: three draws a row."""
    return gaussian(0.4 * x + np.array([[-0.1], [0.0], [0.2]]), 0.1 + 0.02 * x**2)


def shares_inside(how, level, *, predict=wrong, rows=ROWS, sets=SETS):
    """Return the share of new targets inside their intervals, set by set."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(sets):
        x, y = truth(rng, rows + NEW)
        calibrator = recalibrate(predict(x[:rows]), y[:rows], how)
        low, high = calibrator(predict(x[rows:])).interval(level)
        found.append(np.mean((low <= y[rows:]) & (y[rows:] <= high)))
    return np.array(found)


def assert_within_bounds(inside, level, rows=ROWS):
    se = inside.std(ddof=1) / math.sqrt(len(inside))
    assert inside.mean() > level - 4 * se
    assert inside.mean() < level + 1 / (rows + 1) + 4 * se
    exact = math.ceil(round((rows + 1) * level, 9)) / (rows + 1)
    assert abs(inside.mean() - exact) < 4 * se
    assert se < 0.005


@pytest.mark.parametrize(
    ("how", "level"),
    [
        (SplitConformal("absolute"), 0.9),
        (SplitConformal("normalised"), 0.6),
        (ConformalisedQuantiles(0.9), 0.9),
        (ConformalisedQuantiles(0.5), 0.8),
    ],
    ids=str,
)
def test_intervals_around_a_wrong_model_hold_what_they_promise(how, level):
    assert_within_bounds(shares_inside(how, level), level)


def test_the_wrong_model_itself_holds_far_less():
    x, y = truth(np.random.default_rng(0), 2000)
    low, high = wrong(x).interval(0.9)
    assert np.mean((low <= y) & (y <= high)) < 0.5


def test_a_rank_that_is_a_whole_number_is_not_rounded_up():
    """At 24 rows the rank for 0.56 is 14, though 25 * 0.56 is above it in floats."""
    assert math.ceil(25 * 0.56) == 15
    inside = shares_inside(SplitConformal("absolute"), 0.56, rows=24)
    assert_within_bounds(inside, 0.56, rows=24)


def class_truth(rng, rows):
    x = rng.normal(size=(rows, 2))
    logits = x @ np.array([[2.0, -1.0, 0.0, 0.5], [0.0, 1.0, -2.0, 0.5]])
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return x, classes_drawn(rng, probs)


def wrong_classes(x):
    """Predict far too surely, and the fourth class hardly ever."""
    logits = 3 * x @ np.array([[2.0, 0.5, 0.0, -1.0], [0.5, 1.0, -1.0, -1.0]])
    return classes(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))


def shares_in_sets(how, level, random):
    rng = np.random.default_rng(2)
    found = []
    for number in range(SETS):
        x, y = class_truth(rng, ROWS + NEW)
        keys = (2 * number, 2 * number + 1) if random else (None, None)
        calibrator = recalibrate(wrong_classes(x[:ROWS]), y[:ROWS], how, key=keys[0])
        sets = calibrator(wrong_classes(x[ROWS:])).sets(level, key=keys[1])
        found.append(sets[np.arange(NEW), y[ROWS:]].mean())
    return np.array(found)


@pytest.mark.parametrize(
    ("how", "random"),
    [
        (SplitConformal("lac"), False),
        (SplitConformal("aps"), True),
        (SplitConformal(RAPS(penalty=0.1, free=1)), True),
    ],
    ids=str,
)
def test_sets_of_a_wrong_model_hold_what_they_promise(how, random):
    assert_within_bounds(shares_in_sets(how, 0.8, random), 0.8)


def test_sets_without_randomisation_hold_at_least_what_they_promise():
    inside = shares_in_sets(SplitConformal("aps"), 0.8, False)
    assert inside.mean() > 0.8 - 4 * inside.std(ddof=1) / math.sqrt(SETS)


def test_counts_are_held_at_least_as_often_as_promised():
    """Scores of whole numbers have ties, which are counted as inside: no upper bound."""
    rng = np.random.default_rng(3)
    inside = []
    for _ in range(SETS):
        y = rng.poisson(2.0, ROWS + NEW)
        calibrator = recalibrate(gaussian(np.full(ROWS, 2.5), 1.0), y[:ROWS], SplitConformal())
        low, high = calibrator(gaussian(np.full(NEW, 2.5), 1.0)).interval(0.8)
        inside.append(np.mean((low <= y[ROWS:]) & (y[ROWS:] <= high)))
    assert np.mean(inside) > 0.8 - 4 * np.std(inside, ddof=1) / math.sqrt(SETS)


def grouped_shares(given):
    """Return the share inside of an easy and of a hard group, set by set."""
    rng = np.random.default_rng(4)
    inside = []
    for _ in range(SETS):
        group = np.arange(2 * ROWS + 2 * NEW) % 2
        y = rng.normal(size=len(group)) * (1 + 4 * group)
        first, new = slice(0, 2 * ROWS), slice(2 * ROWS, None)
        names = (group[first], group[new]) if given else (None, None)
        calibrator = recalibrate(
            gaussian(np.zeros(2 * ROWS), 1.0), y[first], SplitConformal(), group=names[0]
        )
        low, high = calibrator(gaussian(np.zeros(2 * NEW), 1.0), group=names[1]).interval(0.9)
        held = (low <= y[new]) & (y[new] <= high)
        inside.append([held[group[new] == g].mean() for g in (0, 1)])
    return np.array(inside)


def test_groups_hold_what_they_promise_each():
    inside = grouped_shares(given=True)
    for number in (0, 1):
        assert_within_bounds(inside[:, number], 0.9)


def test_without_groups_the_hard_one_gets_less():
    inside = grouped_shares(given=False)
    assert inside[:, 0].mean() > 0.98
    assert inside[:, 1].mean() < 0.85


def shifted_shares(weighted):
    """Calibrate on inputs from U(0, 1) and predict at inputs of density 2 x, where noise grows."""
    rng = np.random.default_rng(5)
    inside = []
    for _ in range(SETS):
        old, new = rng.random(ROWS), np.sqrt(rng.random(NEW))
        y_old, y_new = (x**3 * rng.normal(size=len(x)) for x in (old, new))
        weights = (2 * old, 2 * new) if weighted else (None, None)
        calibrator = recalibrate(gaussian(0 * old, 1.0), y_old, SplitConformal(), weight=weights[0])
        low, high = calibrator(gaussian(0 * new, 1.0), weight=weights[1]).interval(0.8)
        inside.append(np.mean((low <= y_new) & (y_new <= high)))
    return np.array(inside)


def test_weights_by_the_ratio_of_densities_hold_the_promise_for_inputs_from_elsewhere():
    """Weighted ranks are at most one row's weight too many: 2 of some 41."""
    inside = shifted_shares(weighted=True)
    se = inside.std(ddof=1) / math.sqrt(SETS)
    assert 0.8 - 4 * se < inside.mean() < 0.8 + 2 / ROWS + 4 * se
    plain = shifted_shares(weighted=False)
    assert plain.mean() < 0.8 - 4 * plain.std(ddof=1) / math.sqrt(SETS)
