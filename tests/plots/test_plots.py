"""Figures: what is drawn, read back from the artists and compared with the numbers given."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from posterium.plots import style
from posterium.plots.classification import confusion, decision_boundary, probability_curve
from posterium.plots.regression import exact_beside_sampled, predicted_observed, regression_band
from posterium.plots.temperature import temperature_curve
from posterium.plots.training import both_terms, training_curve
from posterium.plots.weights import ellipse, landscape


@pytest.fixture
def ax():
    return Figure().subplots()


def predictive(mean, sd, epistemic_sd):
    return SimpleNamespace(
        mean=mean, sd=sd, epistemic_sd=epistemic_sd, interval=lambda level: (mean - sd, mean + sd)
    )


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def vertices(collection):
    """Return the corners of a band, (m, 2), as a set of rounded pairs."""
    return {tuple(np.round(pair, 9)) for pair in collection.get_paths()[0].vertices}


def test_the_bands_are_the_epistemic_part_and_what_noise_adds_on_both_sides(ax):
    x = np.array([2.0, 0.0, 1.0])
    given = predictive(np.array([5.0, 1.0, 3.0]), np.full(3, 0.5), np.full(3, 0.3))
    assert regression_band(x[:, None], given, sds=2, ax=ax) is ax
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[0, 1], [1, 3], [2, 5]])
    inner, above, below = map(vertices, ax.collections)
    assert {(1.0, 2.4), (1.0, 3.6)} <= inner
    assert {(1.0, 3.6), (1.0, 4.0)} <= above
    assert {(1.0, 2.0), (1.0, 2.4)} <= below
    assert labels(ax) == ["epistemic, 2 sd", "with noise, 2 sd", "mean"]


def test_functions_and_data_are_drawn_with_one_legend_entry_each(ax):
    x = np.array([1.0, 0.0])
    given = predictive(np.zeros((2, 1)), np.ones((2, 1)), np.ones((2, 1)))
    functions = np.array([[10.0, 20.0], [30.0, 40.0]])
    regression_band(x, given, data=(np.array([[0.5]]), [7.0]), functions=functions, ax=ax)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[0, 20], [1, 10]])
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[0, 40], [1, 30]])
    np.testing.assert_array_equal(ax.collections[-1].get_offsets(), [[0.5, 7.0]])
    assert labels(ax).count("sampled functions") == 1
    assert "data" in labels(ax)


def test_two_target_columns_in_one_band_are_refused(ax):
    given = predictive(np.zeros((3, 2)), np.ones((3, 2)), np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"mean must be one column.*\(3, 2\)"):
        regression_band(np.arange(3.0), given, ax=ax)


def test_intervals_that_miss_are_told_from_those_that_hold_the_observation(ax):
    mean, sd = np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.5, 0.5])
    y = np.array([1.2, 2.5, 4.0])
    assert predicted_observed(predictive(mean, sd, sd), y, unit="MPa", ax=ax) is ax
    assert labels(ax) == ["equal", "inside the 90% interval: 2 of 3", "outside: 1 of 3"]
    held, held_points, missed, missed_points = ax.collections
    np.testing.assert_array_equal(held_points.get_offsets(), [[1.2, 1.0], [2.5, 2.0]])
    np.testing.assert_array_equal(missed_points.get_offsets(), [[4.0, 3.0]])
    np.testing.assert_array_equal(held.get_segments()[0], [[1.2, 0.5], [1.2, 1.5]])
    np.testing.assert_array_equal(missed.get_segments()[0], [[4.0, 2.5], [4.0, 3.5]])
    assert ax.get_xlabel() == "observed (MPa)"
    assert ax.get_xlim() == ax.get_ylim()


def test_probability_curves_are_drawn_in_order_of_x_with_the_data_at_their_labels(ax):
    curves = {"one": [0.9, 0.1], "two": [0.6, 0.4]}
    probability_curve([3.0, 1.0], curves, data=([2.0, 2.5], [0, 1]), ax=ax)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1, 0.1], [3, 0.9]])
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[1, 0.4], [3, 0.6]])
    assert ax.lines[0].get_color() != ax.lines[1].get_color()
    points = [tuple(part.get_offsets()[0]) for part in ax.collections]
    assert points == [(2.0, 0.0), (2.5, 1.0)]
    assert labels(ax) == ["one", "two", "class 0", "class 1"]


def test_the_boundary_runs_where_the_probability_is_one_half(ax):
    first, second = np.linspace(0, 1, 11), np.linspace(0, 2, 21)
    probability = np.broadcast_to(second[:, None] / 2, (21, 11))
    decision_boundary(first, second, probability, data=(np.array([[0.5, 1.0]]), [1]), ax=ax)
    lines = next(part for part in ax.collections if len(getattr(part, "levels", ())) == 3)
    at = dict(zip(lines.levels, lines.get_paths(), strict=True))
    for level in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(at[level].vertices[:, 1], 2 * level)
    assert labels(ax) == ["class 1"]


def test_a_grid_in_the_wrong_order_is_refused(ax):
    with pytest.raises(ValueError, match=r"shape \(3, 2\).*got \(2, 3\)"):
        decision_boundary(np.arange(2), np.arange(3), np.zeros((2, 3)), ax=ax)
    with pytest.raises(ValueError, match="log_density"):
        landscape(np.arange(2), np.arange(3), np.zeros((2, 3)), ax=ax)


def test_an_ellipse_lies_at_its_distance_in_the_metric_of_the_covariance():
    mean, covariance = np.array([1.0, -2.0]), np.array([[2.0, 0.7], [0.7, 0.5]])
    offset = ellipse(mean, covariance, 3.0) - mean
    distance = np.sqrt(np.sum(offset * np.linalg.solve(covariance, offset.T).T, axis=1))
    np.testing.assert_allclose(distance, 3.0)


def test_a_landscape_holds_every_ellipse_and_point(ax):
    axis = np.linspace(-3, 3, 7)
    values = -0.5 * (axis[:, None] ** 2 + axis[None, :] ** 2) + 5
    gaussians = {"prior": (np.zeros(2), 4 * np.eye(2)), "posterior": (np.ones(2), np.eye(2))}
    landscape(axis, axis, values, gaussians=gaussians, points={"mode": [1.0, 2.0]}, ax=ax)
    assert len(ax.lines) == 8
    radii = [np.hypot(*line.get_xydata().T).mean() for line in ax.lines[:4]]
    np.testing.assert_allclose(radii, [2, 4, 8, 12])
    np.testing.assert_array_equal(ax.collections[-1].get_offsets(), [[1, 2]])
    assert labels(ax) == ["prior: 1, 2, 4, 6 sd", "posterior: 1, 2, 4, 6 sd", "mode"]
    assert ax.collections[0].zmax == 0


def test_a_training_curve_is_drawn_in_windows_with_its_reference(ax):
    training_curve({"bound": [1.0, 3.0, 5.0, 7.0, 100.0]}, reference={"top": 9.0}, smooth=2, ax=ax)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[2, 2], [4, 6]])
    assert set(ax.lines[1].get_ydata()) == {9.0}
    assert labels(ax) == ["bound", "top"]


def test_the_exact_predictive_stands_beside_the_sampled_one_with_its_ends_over_it():
    x = np.array([1.0, 0.0])
    exact = predictive(np.array([3.0, 1.0]), np.full(2, 2.0), np.ones(2))
    lines = np.array([[30.0, 10.0], [4.0, 2.0], [5.0, 3.0]])
    sampled = predictive(np.array([3.1, 1.1]), np.full(2, 2.2), np.ones(2))
    sampled.components = lambda: [SimpleNamespace(mean=lines[..., None])]
    panels = exact_beside_sampled(
        x, exact, sampled, shown=2, data=([0.5], [2.0]), sds=1, ax=Figure().subplots(1, 2)
    )
    left, right = panels
    assert [panel.get_title() for panel in panels] == ["Exact", "From sampled functions"]
    np.testing.assert_array_equal(left.lines[0].get_xydata(), [[0, 1], [1, 3]])
    drawn, ends = right.lines[:2], right.lines[-2:]
    np.testing.assert_array_equal([line.get_ydata() for line in drawn], [[10, 30], [2, 4]])
    np.testing.assert_array_equal([line.get_ydata() for line in ends], [[-1, 1], [3, 5]])
    np.testing.assert_array_equal(right.lines[2].get_ydata(), [1.1, 3.1])
    assert left.get_ylim() == right.get_ylim()
    assert labels(right)[-1] == "exact, 1 sd"


def test_both_terms_have_axes_of_their_own_that_suit_what_comes_after_the_start():
    fit, held = np.r_[-1e6, np.linspace(-50, -20, 99)], np.linspace(0, 12, 100)
    record = {"objective": fit - held, "log_likelihood": fit, "kl": held}
    above, below = both_terms(
        record, reference={"kl": 11.0}, title="VI", ax=Figure().subplots(2, 1)
    )
    np.testing.assert_array_equal(above.lines[0].get_ydata(), fit)
    np.testing.assert_array_equal(below.lines[0].get_ydata(), held)
    assert (above.get_ylabel(), below.get_ylabel()) == (
        "log likelihood (nats)", "KL from the prior (nats)"
    )  # fmt: skip
    assert -60 < above.get_ylim()[0] < -20 < above.get_ylim()[1]
    assert labels(below) == ["KL from the prior", "reference"]
    assert above.get_legend() is None
    assert above.get_title() == "VI"


def test_a_record_without_both_terms_is_refused(ax):
    with pytest.raises(ValueError, match="log_prior or kl; got objective"):
        both_terms({"objective": np.zeros(3)}, ax=ax)


def test_a_temperature_curve_shows_two_standard_errors_of_each_difference(ax):
    curve = SimpleNamespace(
        temperatures=[0.1, 1.0], difference=[0.2, 0.0], difference_error=[0.05, 0.0]
    )
    assert temperature_curve(curve, ax=ax) is ax
    assert ax.get_xscale() == "log"
    (bars,) = ax.containers
    np.testing.assert_allclose(bars.lines[0].get_xydata(), [[0.1, 0.2], [1.0, 0.0]])
    ends = np.array(bars.lines[2][0].get_segments())[:, :, 1]
    np.testing.assert_allclose(ends, [[0.1, 0.3], [0.0, 0.0]])


def test_members_get_a_line_each_and_share_one_legend_entry(ax):
    training_curve({"loss": np.arange(6.0).reshape(3, 2)}, ax=ax)
    np.testing.assert_array_equal([line.get_ydata() for line in ax.lines], [[0, 2, 4], [1, 3, 5]])
    assert labels(ax) == ["loss"]


def test_a_window_longer_than_the_record_is_refused(ax):
    with pytest.raises(ValueError, match="at most the 3 recorded steps; got 4"):
        training_curve({"loss": np.zeros(3)}, smooth=4, ax=ax)


def test_without_axes_a_figure_is_made():
    pyplot = style.pyplot()
    ax = training_curve({"loss": np.zeros(3)})
    assert ax.figure.number in pyplot.get_fignums()
    pyplot.close(ax.figure)


def test_a_missing_matplotlib_is_named_with_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"posterium\[plots\]"):
        training_curve({"loss": np.zeros(3)})


def test_the_confusion_has_a_cell_for_every_pair_shaded_by_the_share_of_its_row(ax):
    assert confusion(np.array([[3, 1], [0, 8]]), ["a", "b"], ax=ax) is ax
    assert [text.get_text() for text in ax.texts] == ["3", "1", "8"]
    assert [text.get_position() for text in ax.texts] == [(0, 0), (1, 0), (1, 1)]
    shades = [part.get_alpha() for part in ax.collections]
    np.testing.assert_allclose(shades, 0.06 + 0.94 * np.array([0.75, 0.25, 0, 1]))
    with pytest.raises(ValueError, match="counts"):
        confusion(np.zeros((2, 3)), ["a", "b"], ax=ax)


def test_names_are_cut_in_the_middle():
    assert style.short("short") == "short"
    cut = style.short("a" * 30 + "b" * 30, 10)
    assert cut == "aaaaa…bbbb"
