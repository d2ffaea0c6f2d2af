"""Effects against what is known of the function that predicts."""

import numpy as np
import pytest
from tests.report.cases import SLOPES, labels, numbers

from posterium.posterior.components.gaussian import GaussianComponents
from posterium.posterior.predictive import RegressionPredictive
from posterium.report.columns import InputColumn
from posterium.report.effects import GRID, effects, settings_of

ONE = np.ones(1)


def column(*slots, name="a", kind="number", levels=(), indicator=None):
    return InputColumn(name, kind, slots, levels, indicator)


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(50, 3))


def test_the_effect_of_a_slope_is_its_line_and_the_band_the_sd_over_functions(x):
    (found,) = effects(numbers, [column(0)], x, most=3, rows=50, unit=ONE)
    np.testing.assert_allclose(found.mean[:, 0], SLOPES.mean() * found.settings)
    np.testing.assert_allclose(found.sd[:, 0], SLOPES.std() * np.abs(found.settings))
    assert len(found.settings) == GRID


def test_a_column_without_effect_moves_nothing_and_comes_last(x):
    found = effects(numbers, [column(2, name="b"), column(0)], x, most=3, rows=50, unit=ONE)
    assert [one.column.name for one in found] == ["a", "b"]
    np.testing.assert_allclose(found[1].moves(), 0, atol=1e-12)


def test_of_many_columns_the_most_influential_are_kept(x):
    many = [column(2, name=f"idle {i}") for i in range(20)] + [column(0)]
    found = effects(numbers, many, x, most=2, rows=50, unit=ONE)
    assert len(found) == 2
    assert found[0].column.name == "a"


def test_the_average_is_over_the_other_columns(x):
    def product(x):
        components = GaussianComponents((x[:, :1] * x[:, 1:2])[None], 1.0)
        return RegressionPredictive(lambda: [components], (len(x), 1))

    (found,) = effects(product, [column(0)], x, most=1, rows=50, unit=ONE)
    np.testing.assert_allclose(found.mean[:, 0], found.settings * x[:, 1].mean())
    np.testing.assert_allclose(found.sd, 0, atol=1e-12)


def test_a_closed_form_is_taken_as_shared_by_the_rows(x):
    def closed(x):
        components = GaussianComponents(np.zeros((1, len(x), 1)), 1.0, (x[None, :, :1] + 9) ** 2)
        return RegressionPredictive(lambda: [components], (len(x), 1))

    (found,) = effects(closed, [column(0)], x, most=1, rows=50, unit=ONE)
    np.testing.assert_allclose(found.sd[:, 0], found.settings + 9)


def test_effects_of_classes_are_mean_probabilities(x):
    def predict(x):
        return labels(x, 3)

    (found,) = effects(predict, [column(0)], x, most=1, rows=50, unit=np.ones(3))
    np.testing.assert_allclose(found.mean.sum(axis=1), 1)
    rows = np.tile(x[:1], (len(found.settings), 1))
    rows[:, 0] = found.settings
    np.testing.assert_allclose(found.mean, predict(rows).probs)


def test_a_level_is_put_by_its_column_and_a_number_takes_its_gap_away():
    x = np.array([[0.0, 1.0, 0.0, 5.0, 1.0]])
    levels = column(0, 1, 2, kind="categorical", levels=("r", "g", "b"))
    np.testing.assert_array_equal(levels.values(x), [1])
    np.testing.assert_array_equal(levels.put(x, 2), [[0, 0, 1, 5, 1]])
    np.testing.assert_array_equal(column(3, indicator=4).put(x, 7.0), [[0, 1, 0, 7, 0]])
    np.testing.assert_array_equal(x, [[0, 1, 0, 5, 1]])


def test_few_values_are_all_set_and_many_are_an_even_grid_without_the_ends():
    few, many = np.repeat([1.0, 4.0, 9.0], 5)[:, None], np.arange(101.0)[:, None]
    np.testing.assert_array_equal(settings_of(column(0), few, 16), [1, 4, 9])
    np.testing.assert_allclose(settings_of(column(0), many, 5), np.linspace(2, 98, 5))


def test_a_column_that_never_changes_has_no_effect_to_show():
    x = np.column_stack([np.ones(9), np.arange(9.0)])
    found = effects(numbers, [column(0)], x, most=3, rows=9, unit=ONE)
    assert found == []
