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
