import math

import numpy as np
import pytest

from posterium.evaluate import scores


def test_a_single_row_has_no_standard_error_and_no_row_is_an_error():
    assert math.isnan(scores.mae(np.array([1.0]), np.array([3.0])).se)
    with pytest.raises(ValueError, match="at least one row"):
        scores.average(np.array([]))


def test_outputs_of_a_row_are_averaged_before_rows():
    values = np.random.default_rng(0).normal(size=(30, 2))
    found = scores.average(np.repeat(values[:, :1], 2, axis=1))
    assert found == pytest.approx(scores.average(values[:, 0]))


def test_the_error_of_values_whose_squares_overflow_is_right():
    values = np.array([1.0, 2.0, 4.0])
    plain, large = scores.average(values), scores.average(values * 2.0**900)
    assert large.se == plain.se * 2.0**900
    assert np.isnan(scores.average(np.array([1.0, np.inf])).se)


def test_the_mean_log_density_changes_sign():
    assert scores.nll(np.array([-1.0, -3.0])) == scores.average(np.array([1.0, 3.0]))
