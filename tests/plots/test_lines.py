"""Lines by hand: what is kept, where it is drawn, and that sliders and button move and keep it."""

import numpy as np
import pytest
from matplotlib.backend_bases import MouseEvent
from matplotlib.figure import Figure

from posterium.plots import style
from posterium.plots.lines import LineBoard, Lines, draw_lines

X, Y = np.array([1.0, 2.0, 4.0]), np.array([0.5, -1.0, 2.0])


@pytest.fixture
def board():
    made = LineBoard(X, Y)
    yield made
    style.pyplot().close(made.ax.figure)


def test_lines_are_kept_in_their_order_as_bias_and_weight():
    lines = Lines()
    assert lines.points.shape == (0, 2)
    lines.keep(1, -2)
    lines.keep(0.5, 3)
    np.testing.assert_array_equal(lines.points, [[1, -2], [0.5, 3]])
    np.testing.assert_array_equal(lines([[0.0], [2.0]]), [[1, -3], [0.5, 6.5]])
    assert len(lines) == 2
    with pytest.raises(ValueError, match="finite numbers as bias and weight; got nan"):
        lines.keep(float("nan"), 0)


def test_kept_lines_run_a_little_beyond_the_range_of_x_with_a_number_each():
    lines, ax = Lines([(1.0, 0.0), (0.0, 2.0)]), Figure().subplots()
    assert draw_lines([3.0, -1.0, 0.0], lines, data=(X, Y), ax=ax) is ax
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[-1.2, 1], [3.2, 1]])
    np.testing.assert_allclose(ax.lines[1].get_xydata(), [[-1.2, -2.4], [3.2, 6.4]])
    np.testing.assert_allclose(ax.get_xlim(), (-1.2, 3.2))
    entries = [text.get_text() for text in ax.get_legend().get_texts()]
    assert entries == ["line 1", "line 2", "data"]


def test_many_lines_share_one_entry():
    ax = Figure().subplots()
    draw_lines([0.0, 1.0], Lines([(float(b), 1.0) for b in range(12)]), ax=ax)
    assert len(ax.lines) == 12
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["lines by hand"]


def test_the_line_follows_both_sliders(board):
    board.bias.set_val(1.5)
    board.weight.set_val(-2.0)
    x, y = board.ax.lines[0].get_data()
    np.testing.assert_allclose(y, 1.5 - 2 * np.asarray(x))
    np.testing.assert_allclose(x, [0.7, 4.3])
    assert len(board.lines) == 0


def test_a_click_on_the_button_keeps_the_line_as_it_stands(board):
    board.bias.set_val(2.0)
    canvas, box = board.ax.figure.canvas, board.button.ax.get_window_extent()
    place = (box.x0 + box.width / 2, box.y0 + box.height / 2)
    for name in ("button_press_event", "button_release_event"):
        canvas.callbacks.process(name, MouseEvent(name, canvas, *place, button=1))
    board.bias.set_val(0.0)
    np.testing.assert_array_equal(board.lines.points, [[2, 0]])
    np.testing.assert_array_equal(board.ax.lines[1].get_ydata(), [2, 2])


def test_a_board_goes_on_with_the_lines_of_before():
    lines = Lines([(1.0, 1.0)])
    board = LineBoard(X, Y, lines=lines, reach=3.0)
    np.testing.assert_allclose(board.ax.lines[1].get_ydata(), [1.7, 5.3])
    board.weight.set_val(3.0)
    board.keep()
    assert board.weight.valmax == 3.0
    np.testing.assert_array_equal(lines.points, [[1, 1], [0, 3]])
    style.pyplot().close(board.ax.figure)
