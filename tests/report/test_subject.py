"""From a fit and rows of every kind to what a report is on."""

import jax
import numpy as np
import pandas
import pytest

import posterium
from posterium import (
    MAP,
    BayesianClassifier,
    BayesianRegressor,
    Gaussian,
    Linear,
    Model,
    Normal,
    as_data,
    fit,
)
from posterium.report.page import report
from posterium.report.subject import subject


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2))
    return x, x @ [1.0, -2.0] + 0.1 * rng.normal(size=40)


@pytest.fixture(scope="module")
def regressor(rows):
    return BayesianRegressor(method="exact").fit(*rows)


def test_an_estimator_is_reported_in_the_units_of_its_target(rows, regressor):
    x, y = rows
    found = subject(regressor, (x, 1000 + y), target="price")
    assert found.targets == ("price",)
    assert [column.name for column in found.columns] == ["x1", "x2"]
    np.testing.assert_array_equal(found.y[:, 0], 1000 + y)
    np.testing.assert_array_equal(found.predict(x).mean, regressor.predict(x))
    assert found.held is None
    assert found.seed == 0


def test_a_frame_gives_its_columns_their_names_and_levels(rows):
    x, y = rows
    frame = pandas.DataFrame({"size": x[:, 0], "colour": np.where(x[:, 1] > 0, "red", "blue")})
    found = subject(BayesianRegressor(method="exact").fit(frame, y), (frame, y))
    size, colour = found.columns
    assert (size.name, size.kind, colour.kind) == ("size", "number", "categorical")
    assert [colour.levels[int(place)] for place in colour.values(found.x)] == list(frame["colour"])
    assert found.predict(found.x).mean.shape == (40,)


def test_labels_become_indices_and_unknown_ones_are_refused(rows):
    x, y = rows
    label = np.where(y > 0, "yes", "no")
    model = BayesianClassifier(method=MAP(steps=20)).fit(x, label)
    found = subject(model, (x, label))
    assert found.classes == ("no", "yes")
    np.testing.assert_array_equal(found.y, y > 0)
    with pytest.raises(ValueError, match="'maybe' is no class"):
        subject(model, (x, np.where(y > 0, "maybe", "no")))


def test_a_bare_fit_takes_its_own_units(rows, tmp_path):
    x, y = rows
    data = as_data(x, y)
    result = fit(jax.random.key(0), Model(Linear(), Normal(), Gaussian(0.1)), data, MAP(steps=20))
    found = subject(result, data, held_out=False)
    assert found.seed is None
    assert found.y.shape == (40, 1)
    assert not found.held.any()


def test_several_targets_are_named_after_one(rows, regressor):
    x, y = rows
    both = BayesianRegressor(method="exact").fit(x, np.column_stack([y, -y]))
    found = subject(both, (x, np.column_stack([y, -y])), target="z")
    assert found.targets == ("z1", "z2")
    assert found.target_scale.shape == (2,)


def test_what_does_not_go_together_is_refused(rows, regressor):
    x, y = rows
    for given, complaint in [
        ((x[:5], y), "5 rows and 40"),
        ((x[:0], y[:0]), "at least one"),
        ((x[:, :1], y), "fitted to 2 columns"),
        ((x[:, 0], y), r"\(n, d\); got \(40,\)"),
    ]:
        with pytest.raises(ValueError, match=complaint):
            subject(regressor, given)
    with pytest.raises(ValueError, match="one boolean for each of the 40 rows"):
        subject(regressor, rows, held_out=[True])
    with pytest.raises(ValueError, match="2 names of columns"):
        subject(regressor, rows, names=["a"])
    with pytest.raises(TypeError, match="pair"):
        subject(regressor, x)
    with pytest.raises(TypeError, match="str"):
        subject("fit", rows)


def test_the_report_is_written_once_and_the_same_again(rows, regressor, tmp_path):
    path = tmp_path / "r.html"
    posterium.report.report(regressor, rows, path, held_out=np.arange(40) < 10)
    first = path.read_bytes()
    assert b"10 rows held out" in first
    with pytest.raises(ValueError, match="exists"):
        report(regressor, rows, path)
    report(regressor, rows, path, held_out=np.arange(40) < 10, overwrite=True)
    assert path.read_bytes() == first
