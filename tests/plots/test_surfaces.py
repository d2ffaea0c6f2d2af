"""Surfaces: colours at their values, lines at their levels, data on top, two panels that agree."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from posterium.plots import colours, style
from posterium.plots.classification import boundary_at_epochs, class_regions, decision_boundary
from posterium.plots.surfaces import mean_and_sd, probability_and_uncertainty, surface

FIRST, SECOND = np.linspace(0, 1, 11), np.linspace(0, 2, 21)
RISING = np.broadcast_to(SECOND[:, None] / 2, (21, 11))
X = np.array([[0.2, 0.1], [0.8, 1.9]])


@pytest.fixture
def ax():
    return Figure().subplots()


def ground(ax):
    """Return the colours drawn over the plane."""
    return next(part for part in ax.collections if getattr(part, "filled", False))


def bar_label(ax):
    """Return what the colour bar that belongs to axes is called."""
    return ground(ax).colorbar.ax.get_ylabel()


def test_a_surface_has_a_colour_for_every_value_and_a_bar_that_names_them(ax):
    assert surface(FIRST, SECOND, 3 * RISING, label="mean (m)", ax=ax) is ax
    shown = ground(ax)
    np.testing.assert_allclose(shown.levels[[0, -1]], [0, 3])
    assert bar_label(ax) == "mean (m)"
    assert ax.get_xlim() == (0, 1)
    assert ax.get_ylim() == (0, 2)
    for tone, path in zip(shown.get_facecolors()[[0, -1]], (0, -1), strict=True):
        np.testing.assert_allclose(tone[:3], colours.values(20)[path], atol=1e-9)


def test_an_amount_is_white_at_zero_whatever_the_lowest_value(ax):
    surface(FIRST, SECOND, 1 + RISING, from_zero=True, ax=ax)
    shown = ground(ax)
    assert shown.levels[0] == 0
    np.testing.assert_allclose(shown.get_facecolors()[0][:3], to_rgb(style.PAPER))


def test_limits_are_those_given_and_what_lies_beyond_has_the_last_colour(ax):
    surface(FIRST, SECOND, RISING, limits=(0.25, 0.5), ax=ax)
    shown = ground(ax)
    np.testing.assert_allclose(shown.levels[[0, -1]], [0.25, 0.5])
    assert shown.zmin == 0.25
    assert shown.zmax == 0.5


def test_lines_run_along_equal_values(ax):
    surface(FIRST, SECOND, RISING, ax=ax)
    lines = next(part for part in ax.collections if getattr(part, "filled", True) is False)
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):
        np.testing.assert_allclose(path.vertices[:, 1], 2 * level)


@pytest.mark.parametrize("from_zero", [True, False])
@pytest.mark.parametrize("value", [0.0, 2.5])
def test_a_surface_that_is_flat_is_drawn(ax, value, from_zero):
    surface(FIRST, SECOND, np.full((21, 11), value), from_zero=from_zero, ax=ax)
    levels = ground(ax).levels
    assert levels[0] <= value <= levels[-1]
    assert levels[0] < levels[-1]


def test_points_are_marked_by_class_filled_by_value_or_plain(ax):
    surface(FIRST, SECOND, RISING, data=(X, np.array([1, 0])), ax=ax)
    assert [part.get_label() for part in ax.collections[-2:]] == ["class 0", "class 1"]
    np.testing.assert_array_equal(ax.collections[-1].get_offsets(), X[:1])
    surface(FIRST, SECOND, RISING, data=(X, np.array([0.0, 1.0])), ax=ax)
    filled = ax.collections[-1]
    filled.update_scalarmappable()
    np.testing.assert_allclose(filled.get_facecolors()[:, :3], colours.values(20)[[0, -1]])
    surface(FIRST, SECOND, RISING, data=(X, None), ax=ax)
    np.testing.assert_array_equal(ax.collections[-1].get_offsets(), X)
    np.testing.assert_allclose(ax.collections[-1].get_facecolors()[0][:3], to_rgb(style.DATA))


def test_values_that_are_not_finite_are_refused(ax):
    holed = np.array(RISING)
    holed[3, 4] = np.nan
    with pytest.raises(ValueError, match="got 1 that are not"):
        surface(FIRST, SECOND, holed, ax=ax)
    with pytest.raises(ValueError, match=r"values must have shape \(21, 11\)"):
        surface(FIRST, SECOND, RISING.T, ax=ax)


def test_probability_stands_left_of_what_the_model_does_not_know():
    axes = Figure().subplots(1, 2)
    left, right = probability_and_uncertainty(
        FIRST, SECOND, RISING, 0.1 * RISING, label="sd of P(y = 1)", data=(X, np.array([0, 1])),
        ax=axes,
    )  # fmt: skip
    assert left is axes[0]
    assert right is axes[1]
    assert (bar_label(left), bar_label(right)) == ("P(y = 1)", "sd of P(y = 1)")
    np.testing.assert_allclose(ground(left).levels[[0, -1]], [0, 1])
    np.testing.assert_allclose(ground(right).levels[[0, -1]], [0, 0.1])
    assert left.get_xlim() == right.get_xlim()


def test_mean_stands_left_of_the_sd_with_targets_in_the_colour_of_their_value():
    left, right = mean_and_sd(
        FIRST, SECOND, RISING, 1 + RISING, data=(X, [[0], [1]]), ax=Figure().subplots(1, 2)
    )
    assert (bar_label(left), bar_label(right)) == ("predictive mean", "predictive sd")
    np.testing.assert_array_equal(left.collections[-1].get_array(), [0, 1])
    np.testing.assert_allclose(ground(right).levels[[0, -1]], [0, 2])


def test_one_axes_for_two_panels_is_refused(ax):
    with pytest.raises(ValueError, match="Expected 2 axes for this figure; got 1"):
        mean_and_sd(FIRST, SECOND, RISING, RISING, ax=ax)


def test_a_boundary_that_lies_outside_the_plane_draws_the_ground_alone(ax):
    decision_boundary(FIRST, SECOND, np.full((21, 11), 0.97), ax=ax)
    assert len(ax.collections) == 1


def test_boundaries_of_epochs_go_from_pale_to_dark_and_say_where_there_is_none(ax):
    steep = np.clip(4 * (RISING - 0.5) + 0.5, 0, 1)
    given = {0: np.full((21, 11), 0.9), 5: RISING, 20: steep}
    boundary_at_epochs(FIRST, SECOND, given, data=(X, np.array([0, 1])), ax=ax)
    early, late = (part for part in ax.collections if hasattr(part, "levels"))
    for part in (early, late):
        np.testing.assert_allclose(part.get_paths()[0].vertices[:, 1], 1)
    assert early.get_edgecolors()[0][0] > late.get_edgecolors()[0][0] == 0
    entries = [text.get_text() for text in ax.get_legend().get_texts()]
    assert entries == ["class 0", "class 1", "epoch 0: none", "epoch 5", "epoch 20"]


def test_regions_have_the_colour_of_their_class_paler_where_less_sure(ax):
    probs = np.zeros((21, 11, 3))
    probs[..., 0], probs[..., 2] = 1 - RISING, RISING
    class_regions(FIRST, SECOND, probs, ax=ax)
    drawn = ax.collections[0].get_array()
    np.testing.assert_allclose(drawn, colours.blend(probs))
    np.testing.assert_allclose(drawn[0, 0], 1 - 0.5 * (1 - np.array(to_rgb(style.CLASSES[0]))))
    borders = [part for part in ax.collections if hasattr(part, "levels")]
    for border in borders:
        np.testing.assert_allclose(border.get_paths()[0].vertices[:, 1], 1)
    assert len(borders) == 2
