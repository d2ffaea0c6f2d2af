"""Calibration errors against plain loops, and without the lift of chance if it is taken off."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.calibration import calibration_curve
from tests.evaluate.scores.resampled import agree

from posterium.evaluate import scores
from posterium.evaluate.scores.bins import bin_of

N = 400
RNG = np.random.default_rng(11)
PROBS = RNG.dirichlet([1.0, 0.5, 2.0], N)
LABELS = np.array([RNG.choice(3, p=p) for p in PROBS])
BINARY = PROBS[:, :2] / PROBS[:, :2].sum(1, keepdims=True)
TRUTH = (RNG.random(N) < BINARY[:, 1]).astype(int)


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
        assert scores.ece(probs, y).value == pytest.approx(ece_by_loops(probs, y), rel=1e-12)


@pytest.mark.parametrize(("by", "strategy"), [("width", "uniform"), ("mass", "quantile")])
def test_gaps_are_those_of_scikit_learns_calibration_curve(by, strategy):
    # 7 does not divide 400: equal masses are then those of the other's quantiles but for a row
    bins = 7 if by == "width" else 8
    share, given = calibration_curve(TRUTH, BINARY[:, 1], n_bins=bins, strategy=strategy)
    if by == "mass":
        expected = np.mean(np.abs(share - given))
    else:
        count = np.bincount(bin_of(BINARY[:, 1], bins))
        expected = count[count > 0] @ np.abs(share - given) / N
    found = scores.calibration_error(BINARY[:, 1], TRUTH, bins=bins, by=by)
    assert found.value == pytest.approx(expected, rel=1e-10)
    assert scores.largest_gap(BINARY[:, 1], TRUTH, bins=bins, by=by).value == pytest.approx(
        np.abs(share - given).max(), rel=1e-10
    )


def test_calibration_bins_are_closed_on_the_right():
    # 0.6 = 9/15 ends a bin: right with 0.55, wrong with 0.6 (same bin), wrong with 0.65 (the next)
    top = np.array([0.55, 0.6, 0.65])
    found = scores.ece(np.column_stack([top, 1 - top]), np.array([0, 1, 1])).value
    same_bin = abs((0.55 - 1) + (0.6 - 0))
    assert found == pytest.approx((same_bin + 0.65) / 3, rel=1e-12)


def test_bins_of_equal_mass_hold_equal_rows_and_keep_equal_probabilities_together():
    assert np.bincount(bin_of(RNG.random(60), 6, "mass")).tolist() == [10] * 6
    tied = bin_of(np.repeat([0.2, 0.3, 0.9], [8, 1, 3]), 4, "mass")
    assert [len(set(tied[part])) for part in (slice(8), slice(8, 9), slice(9, 12))] == [1, 1, 1]
    assert len(set(bin_of(np.full(5, 0.5), 4, "mass"))) == 1


def test_calibration_error_of_certainty_is_the_error_rate():
    certain = np.eye(2)[TRUTH]
    assert scores.ece(certain, TRUTH).value == 0
    assert scores.ece(certain, 1 - TRUTH).value == 1
    assert scores.ece(certain, TRUTH, debiased=True).value == pytest.approx(0, abs=1e-11)


def test_the_error_of_classes_is_the_mean_of_their_errors():
    for by in ("width", "mass"):
        each = [scores.calibration_error(PROBS[:, c], LABELS == c, by=by).value for c in range(3)]
        assert scores.classwise_ece(PROBS, LABELS, by=by).value == pytest.approx(np.mean(each))


def test_the_squared_error_without_bias_is_the_mean_over_pairs_of_rows_in_a_bin():
    top, right = PROBS.max(1), PROBS.argmax(1) == LABELS
    place, expected = bin_of(top, 15), 0.0
    for b in np.unique(place):
        away = (top - right)[place == b]
        n = len(away)
        expected += (away.sum() ** 2 - (away**2).sum()) / (n - 1) / len(top) if n > 1 else (
            (away[0] ** 2 - top[place == b][0] * (1 - top[place == b][0])) / len(top)
        )  # fmt: skip
    found = scores.ece(PROBS, LABELS, norm="squared", debiased=True)
    assert found.value == pytest.approx(expected, rel=1e-10)


def test_the_debiased_error_is_the_gap_less_what_a_gaussian_adds():
    p, o = np.full(50, 0.7), np.arange(50) < 31
    gap, sd = 0.7 - 0.62, math.sqrt(0.62 * 0.38 / 49)
    expected = 2 * gap - stats.foldnorm(gap / sd, scale=sd).mean()
    found = scores.calibration_error(p, o, debiased=True)
    assert found.value == pytest.approx(expected, rel=1e-10)


def test_chance_lifts_the_plain_errors_and_not_the_debiased_ones():
    """Calibrated: the true error is 0. Both biases are far beyond what 400 runs leave open."""
    rng = np.random.default_rng(3)
    found = {name: [] for name in ("absolute", "less", "squared", "unbiased")}
    for _ in range(400):
        p = rng.uniform(0.05, 0.95, 200)
        o = rng.random(200) < p
        for norm, plain, less in (("absolute", *list(found)[:2]), ("squared", *list(found)[2:])):
            found[plain].append(scores.calibration_error(p, o, norm=norm).value)
            found[less].append(scores.calibration_error(p, o, norm=norm, debiased=True).value)
    means = {name: scores.average(np.array(values)) for name, values in found.items()}
    assert abs(means["unbiased"].value) < 4 * means["unbiased"].se
    assert means["squared"].value > 10 * means["squared"].se
    # of a Gaussian gap 2 E|g| - E|N(g, v)| is 2 - sqrt(2) of E|g|; gaps here are nearly so
    left = means["less"].value / means["absolute"].value
    assert left == pytest.approx(2 - math.sqrt(2), abs=4 * means["less"].se / 0.089 + 0.03)


@pytest.mark.parametrize("norm", ["absolute", "squared"])
@pytest.mark.parametrize("by", ["width", "mass"])
def test_errors_of_gaps_that_are_no_chance_are_those_of_the_bootstrap(norm, by):
    rng = np.random.default_rng(5)
    p = rng.choice([0.6, 0.7, 0.8], 600)
    o = rng.random(600) < p - 0.25
    agree(lambda p, o: scores.calibration_error(p, o, norm=norm, by=by, bins=3), (p, o))
    agree(
        lambda p, o: scores.calibration_error(p, o, norm=norm, by=by, bins=3, debiased=True),
        (p, o),
    )


def test_the_error_of_the_debiased_one_holds_where_gaps_are_of_the_size_of_chance():
    rng = np.random.default_rng(6)
    p = np.repeat([0.2, 0.4, 0.6, 0.8], 100)
    found = [
        scores.calibration_error(p, rng.random(400) < p + 0.05, debiased=True) for _ in range(2000)
    ]
    spread = np.std([f.value for f in found], ddof=1)
    claimed = math.sqrt(np.mean([f.se**2 for f in found]))
    assert claimed == pytest.approx(spread, rel=4 / math.sqrt(4000) + 0.05)


def test_the_largest_gap_is_that_of_its_bin_alone():
    p = np.repeat([0.1, 0.9], 50)
    o = np.r_[np.arange(50) < 25, np.arange(50) < 45]
    found = scores.largest_gap(p, o, bins=2)
    assert found.value == pytest.approx(0.4)
    assert found.se == pytest.approx(np.std(o[:50], ddof=1) / math.sqrt(50))


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match="'width' or 'mass'; got 'rows'"):
        scores.ece(PROBS, LABELS, by="rows")
    with pytest.raises(ValueError, match="'absolute' or 'squared'; got 'max'"):
        scores.ece(PROBS, LABELS, norm="max")
    with pytest.raises(ValueError, match="at least one row"):
        scores.calibration_error(np.zeros(0), np.zeros(0))
