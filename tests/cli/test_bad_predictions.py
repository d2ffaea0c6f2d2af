"""Rows that a saved model did not expect, and models that this version does not."""

import csv
import re

import numpy as np
import polars
import pytest

from posterium import BayesianRegressor
from posterium.cli import main

N = 30
COLOURS = ["red", "green", "blue"]


def rows_of(text):
    return list(csv.DictReader(text.splitlines()))


def lines(columns):
    names, values = list(columns), zip(*columns.values(), strict=True)
    return [",".join(names), *(",".join(map(str, row)) for row in values)]


@pytest.fixture(scope="module")
def columns():
    size = [(i * i * 7) % 23 + 0.5 for i in range(N)]
    age = [(5 * i * i) % 19 + 0.25 for i in range(N)]
    colour = [COLOURS[i % 3] for i in range(N)]
    each = enumerate(zip(size, age, strict=True))
    y = [a + 2 * b + (i % 3) + (i * i % 5) / 7 for i, (a, b) in each]
    return {"size": size, "age": age, "colour": colour, "y": y}


@pytest.fixture(scope="module")
def fit(columns, tmp_path_factory):
    """Return a function that fits the table with some options; it returns the model file."""
    folder = tmp_path_factory.mktemp("models")
    path = folder / "t.csv"
    path.write_text("\n".join(lines(columns)) + "\n")

    def call(*options):
        model = folder / f"{'-'.join(options) or 'plain'}.posterium"
        if not model.exists():
            argv = ["fit", str(path), "--target", "y", "--method", "exact", "--out", str(model)]
            assert main([*argv, "--test-fraction", "0", *options]) == 0
        return model

    return call


@pytest.fixture
def predicted(run, write):
    """Return a function that predicts columns; it returns the rows and the complaints."""

    def call(model, columns, *options):
        status, out, err = run("predict", model, write(lines(columns)), *options)
        assert status == 0, err
        return rows_of(out), err

    return call


def test_columns_are_found_by_name_in_any_order(fit, columns, predicted):
    turned = dict(reversed(columns.items()))
    assert predicted(fit(), turned)[0] == predicted(fit(), columns)[0]


def test_a_column_that_is_missing_is_named(fit, columns, write, refused):
    rest = {name: values for name, values in columns.items() if name != "age"}
    what, _ = refused("predict", fit(), write(lines(rest)))
    assert '"age"' in what
    assert '"size"' not in what


def test_columns_that_are_extra_are_noted_and_ignored(fit, columns, predicted):
    found, err = predicted(fit(), columns | {"extra": ["x"] * N})
    assert '"y"' in err
    assert '"extra"' in err
    assert found == predicted(fit(), columns)[0]


def test_rows_far_outside_are_flagged_with_their_distance(fit, columns, predicted):
    size = [*columns["size"][:-2], 1e4, -1e4]
    found, err = predicted(fit(), columns | {"size": size})
    outside = np.array([float(row["outside"]) for row in found])
    low, high = min(columns["size"]), max(columns["size"])
    expected = np.array([1e4 - high, low + 1e4]) / np.std(columns["size"])
    np.testing.assert_allclose(outside[-2:], expected)
    assert (outside[:-2] == 0).all()
    assert "2 of 30" in err


def test_no_rows_give_a_header(fit, predicted, run, write, columns):
    status, out, err = run("predict", fit(), write("size,age,colour\n"))
    assert (status, err) == (0, "")
    assert out == ",".join(predicted(fit(), columns)[0][0]) + "\n"


def test_a_category_that_was_not_fitted_is_refused(fit, columns, write, refused):
    colour = ["mauve", *columns["colour"][1:]]
    what, fix = refused("predict", fit(), write(lines(columns | {"colour": colour})))
    assert '"mauve"' in what
    assert "line 2" in what
    assert "--unseen other" in fix


def test_a_category_that_was_not_fitted_is_taken_as_other_when_asked(fit, columns, predicted):
    """Without rare levels in the table it is the average over the levels: never all zeros."""
    colour = ["mauve", *columns["colour"][1:]]
    found, err = predicted(fit(), columns | {"colour": colour}, "--unseen", "other")
    assert '"colour" (1)' in err
    first = {name: values[:1] for name, values in columns.items()}
    means = [float(predicted(fit(), first | {"colour": [one]})[0][0]["mean"]) for one in COLOURS]
    assert float(found[0]["mean"]) == pytest.approx(np.mean(means))


def test_what_a_fit_was_told_of_categories_holds_for_its_predictions(fit, columns, predicted):
    colour = ["mauve", *columns["colour"][1:]]
    found, _ = predicted(fit("--unseen", "other"), columns | {"colour": colour})
    assert len(found) == N


@pytest.mark.parametrize("command", ["predict", "evaluate", "report"])
@pytest.mark.parametrize("option", ["--missing", "--unseen"])
@pytest.mark.parametrize("rule", ["none", ""])
def test_a_rule_that_there_is_not_is_refused(command, option, rule, fit, columns, write, refused):
    data = write(lines(columns))
    what, _ = refused(command, fit(), data, option, rule)
    assert option[2:] in what
    refused("fit", data, "--target", "size", option, rule)


def test_rows_with_gaps_keep_their_place_and_stay_empty(fit, columns, predicted, write, refused):
    age = [*columns["age"][:4], "NA", *columns["age"][5:]]
    gappy = columns | {"age": age}
    assert "--missing" in refused("predict", fit(), write(lines(gappy)))[1]
    found, err = predicted(fit(), gappy, "--missing", "drop")
    whole, _ = predicted(fit(), columns)
    assert set(found[4].values()) == {""}
    assert found[:4] + found[5:] == whole[:4] + whole[5:]
    assert "1 of 30 rows have missing cells and get no prediction" in err


def test_gaps_are_filled_where_the_fit_filled_them(fit, columns, predicted, write):
    model = fit("--missing", "impute")
    gap = {name: values[:1] for name, values in columns.items()} | {"age": ["NA"]}
    full = gap | {"age": [float(np.median(columns["age"]))]}
    found, err = predicted(model, gap)
    assert found == predicted(model, full)[0]
    assert '"age"' in err


def test_evaluation_leaves_out_rows_with_gaps_when_asked(fit, columns, run, write):
    gappy = columns | {"y": ["", *columns["y"][1:]]}
    assert run("evaluate", fit(), write(lines(gappy)))[0] == 2
    status, out, err = run("evaluate", fit(), write(lines(gappy)), "--missing", "drop")
    assert status == 0
    assert re.search(r"n_test +29\n", out)
    assert "1 of 30 rows" in err


def test_a_model_remembers_how_its_table_was_read(columns, run, write, tmp_path):
    text = "\n".join(lines({n: v for n, v in columns.items() if n != "colour"})[1:])
    path = write(text.replace(",", ";").replace(".", ","))
    model = tmp_path / "m.posterium"
    reading = ("--no-header", "--separator", ";", "--decimal", ",")
    fitted = ("--target", "3", "--method", "exact", "--out", model, "--test-fraction", "0")
    assert run("fit", path, *fitted, *reading)[0] == 0
    status, out, _ = run("predict", model, path)
    assert status == 0
    comma = write("1,2\n" + text, "comma.csv")
    given = ("--header", "--separator", ",", "--decimal", ".")
    comma.write_text("1,2,3\n" + text + "\n")
    assert run("predict", model, comma, *given)[:2] == (0, out)
    assert "separator" in run("info", model)[1]


def test_a_file_of_an_estimator_fitted_on_named_columns_is_a_model(
    columns, predicted, run, write, tmp_path
):
    frame, path = polars.DataFrame(columns), tmp_path / "m.posterium"
    estimator = BayesianRegressor(method="exact").fit(frame.drop("y"), frame["y"])
    estimator.save(path)
    found, _ = predicted(path, {name: v for name, v in columns.items() if name != "y"})
    assert [float(row["mean"]) for row in found] == estimator.predict(frame.drop("y")).tolist()
    assert run("info", path)[0] == 0
    assert run("evaluate", path, write(lines(columns)))[0] == 0


def test_a_model_of_a_newer_format_is_refused_with_both_versions(
    columns, run, refused, write, tmp_path, monkeypatch
):
    from posterium.posterior import container

    model, now = tmp_path / "m.posterium", container.FORMAT
    with monkeypatch.context() as patch:
        patch.setattr(container, "FORMAT", now + 1)
        table = write(lines(columns))
        options = ("--target", "y", "--method", "exact", "--test-fraction", "0", "--out", model)
        assert run("fit", table, *options)[0] == 0
    for argv in (("info", model), ("predict", model, table)):
        text = "\n".join(refused(*argv))
        assert f"format {now + 1}" in text
        assert f"format {now}" in text


def test_a_target_of_another_task_is_refused(fit, columns, write, refused):
    words = columns | {"y": ["low", "high"] * (N // 2)}
    what, _ = refused("evaluate", fit(), write(lines(words)))
    assert '"low"' in what
    assert '"y"' in what


def test_cells_that_look_like_formulas_are_text_and_quoted_when_written(run, write, tmp_path):
    labels = ["=1+1", "@sum", "-x"]
    text = [f"{i % 7}.5,{labels[i % 3]}" for i in range(N)]
    path, held = write(["a,y", *text]), tmp_path / "held.csv"
    options = ("--target", "y", "--method", "map", "--set", "steps=20", "--draws", "1")
    assert run("fit", path, *options, "--predictions", held)[0] == 0
    written = held.read_text()
    assert '"=1+1"' in written
    assert {row["observed"] for row in rows_of(written)} <= set(labels)
    for label in labels:
        assert f",{label}" not in written
