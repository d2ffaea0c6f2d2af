"""Landscapes over two weights: several posteriors with their draws, losses with what was chosen."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from posterium.plots.weights import landscape, loss_landscape

AXIS = np.linspace(-3, 3, 25)
SQUARES = AXIS[:, None] ** 2 + AXIS[None, :] ** 2
DRAWS = np.array([[0.1, 0.2], [-1.0, 0.5], [2.0, 2.0]])


@pytest.fixture
def ax():
    return Figure().subplots()


def entries(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def labelled(ax, label):
    return next(part for part in ax.collections if part.get_label() == label)


def test_draws_have_the_colour_of_the_gaussian_of_their_name(ax):
    gaussians = {"exact": (np.zeros(2), np.eye(2)), "VI": (np.ones(2), 0.1 * np.eye(2))}
    samples = {"VI": DRAWS, "NUTS": DRAWS + 1}
    landscape(AXIS, AXIS, -SQUARES, gaussians=gaussians, samples=samples, sds=(1,), ax=ax)
    of_vi, of_nuts = labelled(ax, "VI: 3 draws"), labelled(ax, "NUTS: 3 draws")
    np.testing.assert_array_equal(of_vi.get_offsets(), DRAWS)
    np.testing.assert_array_equal(of_nuts.get_offsets(), DRAWS + 1)
    np.testing.assert_allclose(of_vi.get_facecolors()[0][:3], to_rgb(ax.lines[1].get_color()))
    taken = {line.get_color() for line in ax.lines}
    assert not any(np.allclose(of_nuts.get_facecolors()[0][:3], to_rgb(c)) for c in taken)
    assert entries(ax) == ["VI: 3 draws", "NUTS: 3 draws", "exact: 1 sd", "VI: 1 sd"]


def test_a_loss_is_darkest_where_it_is_lowest_with_rings_at_equal_distances(ax):
    loss_landscape(AXIS, AXIS, 5 + SQUARES, highest=14.0, label="squared error", ax=ax)
    ground = ax.collections[0]
    np.testing.assert_allclose(np.diff(np.sqrt(ground.levels - 5)), 0.1)
    shade = ground.get_facecolors()[:, 0]
    assert np.all(np.diff(shade) > 0)
    assert ground.zmax == 14.0
    bar = ground.colorbar
    assert bar.ax.get_ylabel() == "squared error"
    assert [text.get_text() for text in bar.ax.get_yticklabels()][:2] == ["5", "5.36"]


def test_chosen_weights_and_the_way_to_them_lie_on_the_loss(ax):
    points = {"least squares": [0.0, 0.5], "by hand": DRAWS}
    loss_landscape(AXIS, AXIS, SQUARES, points=points, paths={"Adam": DRAWS}, ax=ax)
    np.testing.assert_array_equal(labelled(ax, "least squares").get_offsets(), [[0, 0.5]])
    np.testing.assert_array_equal(labelled(ax, "by hand").get_offsets(), DRAWS)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), DRAWS)
    assert entries(ax) == ["Adam", "least squares", "by hand"]


def test_no_lines_by_hand_are_no_points(ax):
    loss_landscape(AXIS, AXIS, SQUARES, points={"by hand": np.empty((0, 2))}, ax=ax)
    assert len(labelled(ax, "by hand").get_offsets()) == 0


def test_what_cannot_be_drawn_is_refused(ax):
    with pytest.raises(ValueError, match=r"'mode' must be pairs.*got shape \(3,\)"):
        landscape(AXIS, AXIS, -SQUARES, points={"mode": [1.0, 2.0, 3.0]}, ax=ax)
    with pytest.raises(ValueError, match="highest must be above the lowest loss, 0; got -1"):
        loss_landscape(AXIS, AXIS, SQUARES, highest=-1.0, ax=ax)
    with pytest.raises(ValueError, match="loss must have shape"):
        loss_landscape(AXIS, AXIS[:-1], SQUARES, ax=ax)
