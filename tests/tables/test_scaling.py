"""Standardisation: columns of any size come out at mean 0 and standard deviation 1."""

import numpy as np
import pytest

from posterium.tables.scaling import Standardiser


@pytest.mark.parametrize("size", [1e-200, 1e-12, 1.0, 1e12, 1e200])
def test_columns_of_any_size_are_standardised(size):
    column = np.random.default_rng(0).normal(3, 2, size=(50, 1))
    scaled = Standardiser.of(size * column, np.ones(50)).apply(size * column)
    np.testing.assert_allclose(scaled, (column - column.mean()) / column.std(), rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, -5.0, 1e200])
def test_a_constant_column_is_moved_to_zero_and_not_scaled(value):
    column = np.full((4, 1), value)
    found = Standardiser.of(column, np.ones(4))
    assert found.scale == 1
    np.testing.assert_array_equal(found.apply(column), 0)


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("rare", [1, 25])
def test_two_levels_lie_two_apart_however_rare_one_is(size, rare):
    column = size * np.where(np.arange(50) < rare, 3.0, 1.0)[:, None]
    weight = np.linspace(0.5, 2, 50)
    found = Standardiser.of(column, weight, levels=True)
    np.testing.assert_allclose(np.ptp(found.apply(column)), 2, rtol=1e-14)
    np.testing.assert_allclose(np.average(found.apply(column)[:, 0], weights=weight), 0, atol=1e-14)


def test_other_columns_do_not_notice_levels():
    columns = np.random.default_rng(1).normal(size=(30, 2)).round(1)
    columns[:, 1] = 4
    one, other = (Standardiser.of(columns, np.ones(30), levels=flag) for flag in (True, False))
    np.testing.assert_array_equal(one.scale, other.scale)
