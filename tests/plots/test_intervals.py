"""Bands between quantiles: their ends at their inputs, in any order."""

import numpy as np
from scipy.special import ndtri

from posterium.plots.intervals import interval_band, quantile_band
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


class Normal:
    """A predictive by its quantiles, those of a standard normal at every row, (m, n, 1)."""

    def quantile(self, levels):
        return np.repeat(ndtri(levels)[:, None, None], len(X), axis=1)


def test_a_quantile_band_lies_between_the_quantiles_of_its_level_around_the_median():
    ax = quantile_band(X, Normal(), levels=(0.9, 0.5), data=(X, X), ax=figure(4, 3).subplots())
    points, wide, narrow = ax.collections
    for band, high in ((wide, 0.95), (narrow, 0.75)):
        heights = band.get_paths()[0].vertices[:, 1]
        np.testing.assert_allclose([heights.min(), heights.max()], [-ndtri(high), ndtri(high)])
    np.testing.assert_array_equal(ax.lines[0].get_data(), [[0, 1, 2], [0, 0, 0]])
    np.testing.assert_array_equal(points.get_offsets(), np.column_stack([X, X]))
    entries = [text.get_text() for text in ax.get_legend().get_texts()]
    assert entries == ["data", "90% of targets", "50% of targets", "median"]


def test_twenty_thousand_rows_are_a_thousand_places_and_a_cloud_that_counts_them():
    x = np.random.default_rng(0).uniform(-3, 3, 20_000)
    y = np.where(x > 0, 1.0, -1.0)
    bands = {"band": (x - 1, x + 1)}
    ax = interval_band(x, bands, mean=x, data=(x, y), ax=figure(4, 3).subplots())
    cloud, _, band = ax.collections
    assert cloud.get_array().sum() == len(x)
    assert cloud.get_rasterized()
    middles = cloud.get_offsets()
    far = middles[np.abs(middles[:, 0]) > 0.1]
    np.testing.assert_allclose(far[:, 1], np.sign(far[:, 0]), atol=0.05)
    assert cloud.get_zorder() < band.get_zorder()
    assert len(ax.lines[0].get_xdata()) == 1_000
    assert (ax.lines[0].get_xdata()[0], ax.lines[0].get_xdata()[-1]) == (x.min(), x.max())
    entries = [text.get_text() for text in ax.get_legend().get_texts()]
    assert entries[0] == "data: 20,000, darker is more"
