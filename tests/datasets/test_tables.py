import numpy as np
import pytest

from posterium.datasets import tables

SHAPES = {"concrete": (1030, 8), "yacht": (308, 6)}


@pytest.mark.parametrize("name", SHAPES)
def test_a_bundled_table_has_its_published_shape_and_names(name):
    table = tables.load(name)
    rows, features = SHAPES[name]
    assert table.x.shape == (rows, features)
    assert table.y.shape == (rows,)
    assert table.x.dtype == table.y.dtype == np.float64
    assert len(set(table.feature_names) | {table.target_name}) == features + 1
    assert "CC BY 4.0" in table.source
    assert np.isfinite(table.x).all()
    assert np.isfinite(table.y).all()


@pytest.mark.parametrize(
    ("name", "first", "target"),
    [
        ("concrete", [540, 0, 0, 162, 2.5, 1040, 676, 28], ("strength_mpa", 79.99)),
        ("yacht", [-2.3, 0.568, 4.78, 3.99, 3.17, 0.125], ("residuary_resistance", 0.11)),
    ],
)
def test_the_first_row_is_the_published_one(name, first, target):
    table = tables.load(name)
    np.testing.assert_array_equal(table.x[0], first)
    assert (table.target_name, table.y[0]) == target


@pytest.mark.parametrize(
    ("name", "published"), [("concrete", (10.314, 0.14)), ("yacht", (8.97, 0.27))]
)
def test_least_squares_misses_by_the_published_amount(name, published):
    table = tables.load(name)
    rng = np.random.default_rng(0)
    inputs = np.column_stack([table.x, np.ones(len(table.y))])
    rmse = []
    for _ in range(20):
        order = rng.permutation(len(table.y))
        train, test = np.split(order, [round(0.9 * len(order))])
        coefficients = np.linalg.lstsq(inputs[train], table.y[train], rcond=None)[0]
        rmse.append(np.sqrt(np.mean((inputs[test] @ coefficients - table.y[test]) ** 2)))
    error = np.sqrt(2) * published[1]  # two means of 20 random splits, ours and the published one
    assert abs(np.mean(rmse) - published[0]) < 4 * error


def test_the_path_leads_to_a_file():
    assert tables.path("yacht").is_file()


def test_an_unknown_table_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"one of concrete, yacht; got 'boston'"):
        tables.load("boston")
