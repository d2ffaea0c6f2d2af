"""Numbers as texts, and readings of scores."""

import math

import numpy as np
import pytest

from posterium.evaluate.scores import Score, class_scores, number_scores
from posterium.report.words import (
    classification_lines,
    count,
    coverage_reading,
    number,
    percent,
    regression_lines,
    with_error,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (1234567, "1,234,567"), (12.3456, "12.35"), (0.00123456, "0.001235"),
        (100.0, "100"), (1e-7, "1.000e-07"), (2.5e9, "2.500e+09"), (math.nan, "not defined"),
        (math.inf, "infinite"),
        (-3.5, "\u22123.5"),
    ],
)  # fmt: skip
def test_a_number_has_four_digits_and_commas(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("score", "texts"),
    [
        (Score(4.4123, 0.3512), ("4.41", "± 0.35")),
        (Score(1234.5, 45.6), ("1,234", "± 46")),
        (Score(0.9, math.nan), ("0.9", "")),
        (Score(math.nan, 0.1), ("not defined", "")),
        (Score(1e12, 1e11), ("1.000e+12", "± 1.0e+11")),
    ],
)
def test_a_score_has_the_digits_that_its_error_supports(score, texts):
    assert with_error(score) == texts


def test_a_share_is_told_in_percent():
    assert with_error(Score(0.9321, 0.0248), share=True) == ("93.2%", "± 2.5%")
    assert percent(0.125, 1) == "12.5%"


def test_plurals():
    assert (count(1, "row"), count(2000, "row")) == ("1 row", "2,000 rows")


@pytest.mark.parametrize(
    ("share", "said"), [(0.93, "Consistent"), (0.7, "too narrow"), (1.0, "too wide")]
)
def test_coverage_is_read_against_chance(share, said):
    assert said in coverage_reading(share, 100)
    assert "Consistent" in coverage_reading(share, 8) or share == 0.7


def test_classes_that_no_scored_row_has_are_named_beside_a_ranking_that_is_not_defined():
    probs = np.tile([0.5, 0.3, 0.2], (3, 1))
    found = class_scores(probs, np.zeros(3, int), np.log([0.5, 0.5, 0.5]))
    lines = classification_lines(found, np.zeros(3, int), ("a", "b", "c"))
    reading = {line.name: line.reading for line in lines}
    assert reading["AUROC"].endswith("No scored row is of the class “b”, “c”.")
    assert reading["NLL"].endswith("The shares of the classes alone have 0.")
    assert "up to about 1 for so many rows" in reading["ECE"]
    assert reading["Brier"].endswith(
        "It is 0 of the data themselves, less 0 for telling rows apart, plus 0.38 for "
        "probabilities that are off and 0 for those that differ within a bin."
    )


def test_a_log_density_that_is_joint_with_other_targets_has_no_line_of_its_own():
    y, one = np.array([1.0, 2.0]), np.ones(2)
    for log_prob, name in ((-one, "NLL"), (None, "Coverage of 90% intervals")):
        found = number_scores(y, one, one, (0 * one, 3 * one), one, log_prob)
        names = [line.name for line in regression_lines(found, y, "km")]
        assert names[4] == name
        assert names[-2:] == ["Interval score, 90%", "Sharpness"]
