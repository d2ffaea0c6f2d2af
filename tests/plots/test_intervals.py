"""Bands between quantiles: their ends at their inputs, in any order."""

import numpy as np

from posterium.plots.intervals import interval_band
from posterium.plots.style import figure

X = np.array([2.0, 0.0, 1.0])


def drawn(**given):
    return interval_band(X, {"band": (X - 1, X + 2)}, ax=figure(4, 3).subplots(), **given)


def test_a_band_runs_from_its_lower_to_its_upper_end():
    ax = drawn(mean=X, functions=[3 * X], title="t")
    corners = ax.collections[0].get_paths()[0].vertices
    for x in (0.0, 1.0, 2.0):
        assert {x - 1, x + 2} <= set(corners[corners[:, 0] == x, 1])
    function, mean = ax.lines
    np.testing.assert_array_equal(function.get_data(), [[0, 1, 2], [0, 3, 6]])
    np.testing.assert_array_equal(mean.get_data(), [[0, 1, 2], [0, 1, 2]])
    assert ax.get_title() == "t"
    assert ax.get_xlim() == (0, 2)


def test_few_points_are_drawn_large_and_many_small():
    few = drawn(data=(X, X)).collections[0]
    many = drawn(data=(np.zeros(201), np.ones(201))).collections[0]
    assert few.get_sizes()[0] > many.get_sizes()[0]
    np.testing.assert_array_equal(few.get_offsets(), np.column_stack([X, X]))
