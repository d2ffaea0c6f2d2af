"""Figures of calibration, uncertainty and effects, read back from what was drawn."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from posterium.plots.calibration import LEVELS, coverage_curve, pit, reliability
from posterium.plots.effects import effect
from posterium.plots.uncertainty import aleatoric_epistemic


@pytest.fixture
def ax():
    return Figure().subplots()


def test_reliability_has_a_dot_and_a_bar_for_every_bin(ax):
    probability, happened = np.repeat([0.2, 0.7], 10), np.r_[np.zeros(8), np.ones(12)]
    assert reliability(probability, happened, bins=2, ax=ax) is ax
    bars, dots = ax.collections
    np.testing.assert_allclose(dots.get_offsets(), [[0.2, 0.2], [0.7, 1.0]])
    for (bottom, top), share in zip(bars.get_segments(), (0.2, 1.0), strict=True):
        assert bottom[1] < share <= top[1]


def test_the_pit_of_a_grid_is_flat(ax):
    pit((np.arange(100) + 0.5) / 100, bins=5, ax=ax)
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches[-5:]], 1)
    assert ax.get_xlim() == (0, 1)


def test_the_coverage_curve_is_the_share_of_rows_inside(ax):
    values = np.random.default_rng(0).random(50)
    coverage_curve(values, ax=ax)
    x, shares = ax.lines[-1].get_data()
    np.testing.assert_allclose(x, LEVELS)
    np.testing.assert_allclose(shares, [np.mean(abs(values - 0.5) <= v / 2) for v in LEVELS])


def test_the_two_parts_are_stacked_in_the_order_of_the_whole(ax):
    aleatoric_epistemic([3.0, 1.0], [1.0, 1.0], ax=ax)
    noise, whole = ax.collections
    assert noise.get_datalim(ax.transData).ymax == 3
    assert whole.get_datalim(ax.transData).ymax == 4
    assert {(0.0, 1.0), (0.5, 3.0)} <= {tuple(p) for p in noise.get_paths()[0].vertices}


def test_variances_share_the_height_of_the_standard_deviation(ax):
    aleatoric_epistemic([3.0], [1.0], total=[2.0], ax=ax)
    noise, whole = ax.collections
    assert noise.get_datalim(ax.transData).ymax == pytest.approx(1.5)
    assert whole.get_datalim(ax.transData).ymax == pytest.approx(2)


def test_a_row_without_uncertainty_is_drawn(ax):
    aleatoric_epistemic([0.0], [0.0], ax=ax)
    assert ax.get_ylim() == (0, 1)


def test_an_effect_of_a_number_is_a_line_in_a_band(ax):
    curves = {"y": (np.array([1.0, 2.0]), np.array([0.1, 0.2]))}
    assert effect([0.0, 1.0], curves, observed=[0.2], xlabel="a", ax=ax) is ax
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[0, 1], [1, 2]])
    corners = {tuple(np.round(p, 9)) for p in ax.collections[0].get_paths()[0].vertices}
    assert {(0.0, 0.8), (0.0, 1.2), (1.0, 1.6), (1.0, 2.4)} <= corners
    assert ax.get_xlabel() == "a"


def test_an_effect_of_levels_is_a_dot_with_its_interval_from_top_to_bottom(ax):
    curves = {"one": ([1.0, 2.0], [0.1, 0.1]), "two": ([3.0, 4.0], [0.0, 0.0])}
    effect(["red", "blue"], curves, ax=ax)
    bars, dots, *_ = ax.collections
    np.testing.assert_allclose(dots.get_offsets()[:, 0], [1, 2])
    np.testing.assert_allclose(bars.get_segments()[1][:, 0], [1.8, 2.2])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["red", "blue"]
    assert ax.get_ylim() == (1.5, -0.5)
    assert ax.get_xlabel() == "average prediction"
