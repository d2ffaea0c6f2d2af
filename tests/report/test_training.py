"""Training curves: which terms of which phases, and over what range."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from posterium.report.training import SHORTEST, WINDOWS, curves


class Recorder:
    """Draws on axes that are kept."""

    def __init__(self):
        self.drawn = {}

    def figure(self, title, draw, caption=""):
        self.drawn[title] = draw(Figure().subplots())
        return title, caption


def terms(values):
    return {"log_likelihood": values, "log_prior": -values, "objective": values}


@pytest.fixture
def sheet():
    return Recorder()


def test_both_terms_are_drawn_and_the_objective_is_not(sheet):
    curves({"descent": terms(np.arange(10.0)), "log_evidence": 3.0}, sheet)
    assert list(sheet.drawn) == ["Log likelihood", "Log prior"]


def test_the_rounds_of_a_phase_make_one_curve_and_say_so(sheet):
    ramp = np.arange(10.0)
    found = curves(
        {"descent": terms(ramp), "descent_4": terms(10 + ramp), "chains_2": terms(ramp)}, sheet
    )
    assert list(sheet.drawn) == [
        "Log likelihood, descent", "Log prior, descent",
        "Log likelihood, chains 2", "Log prior, chains 2",
    ]  # fmt: skip
    line = sheet.drawn["Log likelihood, descent"].lines[0]
    np.testing.assert_array_equal(line.get_ydata(), np.arange(20.0))
    assert "2 rounds" in found[0][1]
    assert "round" not in found[2][1]


def test_other_phases_of_the_same_name_are_drawn_apart(sheet):
    ramp = np.arange(10.0)
    curves({"descent": terms(ramp), "descent_2": terms(np.stack([ramp, ramp], 1))}, sheet)
    assert "Log likelihood, descent 2" in sheet.drawn


def test_of_the_rows_left_out_the_last_round_is_drawn(sheet):
    first, last = np.r_[-5, -4, -3, -2, -1, -6.0], np.r_[-9, -8, -7.5, -7, -7.2, -8]
    ((_, caption),) = curves(
        {"descent": {"held_out": first}, "descent_3": {"held_out": last}}, sheet
    )
    ax = sheet.drawn["Rows left out for stopping"]
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), [[4, -7]])
    assert "last of 2 rounds" in caption


def test_phases_of_a_single_step_have_no_curve(sheet):
    assert curves({"solve": terms(np.zeros(SHORTEST - 1))}, sheet) == []


def test_long_records_are_drawn_as_means_and_say_so(sheet):
    values = np.random.default_rng(0).normal(size=(10 * WINDOWS, 3))
    ((_, caption), _) = curves({"descent": terms(values)}, sheet)
    lines = sheet.drawn["Log likelihood"].lines
    assert [len(line.get_ydata()) for line in lines] == [WINDOWS] * 3
    np.testing.assert_allclose(lines[1].get_ydata(), values.reshape(WINDOWS, 10, 3).mean(1)[:, 1])
    assert "3 lines" in caption
    assert "mean of 10 steps" in caption


def test_the_first_steps_do_not_set_the_range(sheet):
    values = np.r_[-1e6, np.linspace(-5, 5, 99)]
    curves({"descent": terms(values)}, sheet)
    low, high = sheet.drawn["Log likelihood"].get_ylim()
    assert -7 < low < -4.4
    assert 5 < high < 6


def test_a_level_line_is_not_blown_up(sheet):
    curves({"descent": terms(7 + 1e-9 * np.arange(50))}, sheet)
    low, high = sheet.drawn["Log likelihood"].get_ylim()
    assert high - low > 1


def test_the_best_of_the_rows_left_out_is_marked_where_it_is(sheet):
    values = np.r_[-np.inf, -2, -1.5, -1, -1.2, -9, -50, -200]
    curves({"descent": {"held_out": values}}, sheet)
    ax = sheet.drawn["Rows left out for stopping"]
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), [[4, -1]])
    low, high = ax.get_ylim()
    assert -10 < low < -2
    assert -1 < high


def test_a_record_that_is_never_finite_is_drawn(sheet):
    curves({"descent": {"held_out": np.full(9, -np.inf)}}, sheet)
    assert "Rows left out for stopping" in sheet.drawn
