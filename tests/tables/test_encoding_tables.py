import re

import numpy as np
import pytest

from posterium._struct import is_record
from posterium.posterior.store import load, save
from posterium.tables.encode import TableSpec, fit_spec
from posterium.tables.encoders import BooleanColumn, CategoricalColumn, NumberColumn
from posterium.tables.errors import UserError
from posterium.tables.features import Features


def column(name, values):
    """A table of two columns, the second of them a plain target."""
    return f"{name},y\n" + "".join(f"{v},{i * i}\n" for i, v in enumerate(values))


def target(values):
    return "x,y\n" + "".join(f"{i * 0.5},{v}\n" for i, v in enumerate(values))


def refused(table, text, target="y", task=None):
    with pytest.raises(UserError) as refusal:
        fit_spec(table(text), target, task)
    what, fix = str(refusal.value).split("\n")
    assert "t.csv" in what
    assert fix
    return what


def test_numbers_and_booleans_become_float64_by_name(table):
    spec, notes = fit_spec(table("a,on,y\n1e12,True,1\n-.5e-12,false,2\n3,TRUE,4\n"), "y")
    assert [(c.name, c.kind) for c in spec.features.columns] == [("a", "number"), ("on", "boolean")]
    assert spec.features.names == spec.features.sources == ("a", "on")
    assert spec.task == "regression"
    assert any('Read as 1 (true, yes) and 0 (false, no): "on"' in note for note in notes)
    other = table("extra,on,y,a\ntext,yes,4,7\nNA,no,5,8\n")
    np.testing.assert_array_equal(spec.features.encode(other), [[7.0, 1.0], [8.0, 0.0]])
    np.testing.assert_array_equal(spec.target(other), [4.0, 5.0])
    assert spec.unused(other) == [f'{other.source}: columns not used: "extra", "y".']
    assert is_record(spec)
    assert {spec: 1}[fit_spec(table("a,on,y\n1e12,True,1\n-.5e-12,false,2\n3,TRUE,4\n"), "y")[0]]


def test_a_table_without_rows_has_features_of_shape_zero_by_d(table):
    spec, _ = fit_spec(table("a,b,y\n1,2,1\n2,3,2\n"), "y")
    empty = table("b,a\n")
    assert spec.features.encode(empty).shape == (0, 2)
    assert spec.features.outside(empty).shape == (0,)


@pytest.mark.parametrize(
    ("written", "classes"),
    [
        (["2", "1", "3", "1"], (1, 2, 3)),
        (["-1", "1", "+1", "-1"], (-1, 1)),
        (["0.5", "1", "0.5", "1.0"], (0.5, 1.0)),
        (["yes", "no", "yes", "no"], ("no", "yes")),
        (["True", "False", "True", "False"], (False, True)),
        (["true", "false", "true", "false"], ("false", "true")),
        (["b", "7", "=a", "b"], ("7", "=a", "b")),
    ],
)
def test_labels_keep_their_text_or_type(table, written, classes):
    spec, _ = fit_spec(table(target(written)), "y", "classification")
    assert spec.classes == classes
    assert {type(label) for label in spec.classes} == {type(classes[0])}
    index = spec.target(table(target(written)))
    kind = type(classes[0])
    read = [w == "True" if kind is bool else kind(w) for w in written]
    assert [spec.classes[i] for i in index] == read


@pytest.mark.parametrize("labels", [(1, 2), (0.5, 1.0), ("=a", "é"), (False, True)])
def test_a_model_file_gives_back_how_a_table_is_encoded(tmp_path, labels):
    columns = (
        NumberColumn("a", True, -0.1, 1e300, 1 / 3, 5e-324),
        BooleanColumn("on", fill=1.0),
        CategoricalColumn("é = x", True, ("=1", "b"), ("c",), (0.1, 0.2, 0.7)),
    )
    spec = TableSpec(Features(columns, "impute", "other"), "y", "classification", labels)
    save(spec, tmp_path / "spec.posterium")
    read = load(tmp_path / "spec.posterium")
    assert read == spec
    assert [type(label) for label in read.classes] == [type(label) for label in labels]


def test_text_and_boolean_targets_are_classified_and_numbers_regressed(table):
    assert fit_spec(table(target("abab")), "y")[0].task == "classification"
    assert fit_spec(table(target(["yes", "no"])), "y")[0].task == "classification"
    assert fit_spec(table(target("0101")), "y")[0].task == "regression"


def test_an_unknown_label_is_refused_with_its_line(table):
    spec, _ = fit_spec(table(target("abab")), "y")
    with pytest.raises(UserError, match='line 4, column "y": "c" is no class'):
        spec.target(table(target("abc")))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["1", "2", '"1,5"'], 'line 4, column "v": "1,5" found'),
        (['"1,200"', "2", "3"], 'line 2, column "v": "1,200" found'),
        (["", "1", "5 kg"], 'line 4, column "v": "5 kg" found'),
        (["yes", "", "no"], 'missing values in "v" (1, first in line 3)'),
        (["5 kg", "6 kg"], '"5 kg" found'),
        (["$5", "$6"], '"$5" found'),
        (["1", "1e400"], 'line 3, column "v": "1e400" found: a finite'),
        (["-inf", "1"], '"-inf" found: a finite'),
        (["1", "", "NA", "?"], 'missing values in "v" (3, first in line 3)'),
        (["2024-01-31", "2024-02-01"], "looks like dates"),
        (["31.1.2024 10:00", "1.2.2024"], "looks like dates"),
        (["2024-01", "2024-02"], "looks like dates"),
        (["10:30", "23:59:59.5"], "looks like dates"),
        (["3 Jan 2024", "14. March 24"], "looks like dates"),
        (['"Jan 3, 2024"', "March 14 2024"], "looks like dates"),
        ([f"t{i % 51}" for i in range(60)], '"v" (51 different values)'),
        ([f"t{i}" for i in range(20)], '"v" (20 different values)'),
        (
            ["1", "x", "x"],
            'line 3, column "v": "x" found: a number was expected; numbers are mixed',
        ),
        (["1", "x", "x"], 'mixed with text in "v" (2 levels)'),
        (["", "", "NA"], 'missing values in "v" (3'),
        (["1_000", "2"], '"1_000" found'),
        (["0x10", "2"], '"0x10" found'),
    ],
)
def test_cells_that_are_no_numbers_are_refused_with_their_place(table, cells, message):
    assert message in refused(table, column("v", cells))


@pytest.mark.parametrize(
    ("text", "target", "task", "message"),
    [
        ("a,y\n", "y", None, "at least 2 rows are needed to fit, 0 found"),
        ("a,y\n1,2\n", "y", None, "1 found"),
        ("y\n1\n2\n", "y", None, "the only column"),
        ("a,strength\n1,2\n2,3\n", "strenght", None, 'there are "strength", "a"'),
        (target(["1", "", "3"]), "y", None, 'missing values in "y" (1, first in line 3)'),
        (target(["1", "NA", "2"]), "y", "classification", 'missing values in "y" (1'),
        (target(["1", '"1,200"']), "y", None, '"1,200" found'),
        (target("abab"), "y", "regression", 'the target "y" is text, with "a"'),
        (target(["no", "yes"]), "y", "regression", "a number was expected"),
        (target("aaa"), "y", None, 'every row is of the class "a"'),
        (target("111"), "y", "classification", 'every row is of the class "1"'),
        (target([f"id{i}" for i in range(50)]), "y", None, "50 classes in 50 rows"),
        (target(["1", "1e999"]), "y", "classification", "a finite number"),
    ],
)
def test_tables_that_cannot_be_fitted_are_refused(table, text, target, task, message):
    assert message in refused(table, text, target, task)


def test_a_table_without_names_is_refused_with_a_hint(table):
    with pytest.raises(UserError, match="holds numbers: put a line with the names"):
        fit_spec(table("1,2\n3,4\n5,6\n"), "y")


def test_an_unknown_task_is_refused(table):
    with pytest.raises(UserError, match='not "ranking"'):
        fit_spec(table(target("12")), "y", "ranking")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("b\n1\n", '1 of the model\'s 2 features is not among the columns: "a"'),
        ("a,b\n2,3\n", 'line 2, column "a": "2" found: true/false was expected'),
        ("a,b\nyes,yes\n", 'line 2, column "b": "yes" found: a number was expected'),
        ("a,b\nno,1\nno,x\n", 'line 3, column "b": "x" found: a number'),
        ("a,b\nno,1\nmaybe,1\n", 'line 3, column "a": "maybe" found: a number or true/false was'),
        ("a,b\nno,2024-01-31\n", "Replace dates by numbers (days since a start, the month)."),
    ],
)
def test_predicting_refuses_columns_unlike_those_fitted(table, text, message):
    spec, _ = fit_spec(table("a,b,y\nyes,1,1\nno,2,2\n"), "y")
    with pytest.raises(UserError) as refusal:
        spec.features.encode(table(text))
    assert message in str(refusal.value)


def test_sizes_near_the_ends_of_float64_neither_warn_nor_fail(table):
    spec, notes = fit_spec(table(column("v", ["1.7e308", "-1.7e308", "5e-324"])), "y")
    assert notes == []
    assert spec.features.encode(table(column("v", ["5e-324", "0"]))).shape == (2, 1)


def test_a_target_whose_squares_overflow_is_refused(table):
    assert 'line 3, column "y": "-2e200" found: a number of at most' in refused(
        table, "x,y\n1,1\n2,-2e200\n"
    )


def test_all_columns_that_cannot_be_used_are_refused_together(table):
    rows = (f"K{i},2024-01-{i:02},1/{i}/2024,{i}\n" for i in range(1, 29))
    with pytest.raises(UserError) as refusal:
        fit_spec(table("id,sold,built,y\n" + "".join(rows)), "y")
    what, fix = str(refusal.value).split("\n")
    assert (
        'column "sold": "2024-01-01" found: the column looks like dates, and so do "built"' in what
    )
    assert fix.endswith("or --drop sold --drop built --drop id.")


@pytest.mark.parametrize("option", ["drop", "categorical"])
def test_names_with_commas_between_are_answered_with_the_option_once_for_each(table, option):
    with pytest.raises(UserError, match=f"by itself: --{option} a --{option} b."):
        fit_spec(table("a,b,c,y\n1,2,3,4\n5,6,7,8\n"), "y", **{option: ("a, b",)})


@pytest.mark.parametrize(
    ("text", "missing", "fix"),
    [
        ("Area M2,age\n1,2\n", "refuse", 'fitted to (rename "Area M2" to "aream2").'),
        ("age\n2\n", "refuse", "Add these columns, or name them as in the table"),
        ("age\n2\n", "impute", "Add these columns, with empty cells where the values are not"),
    ],
)
def test_a_column_that_is_not_there_is_answered_with_what_may_be_it(table, text, missing, fix):
    spec, _ = fit_spec(table("aream2,age,y\n1,2,1\n3,4,2\n"), "y", missing=missing)
    with pytest.raises(UserError, match=re.escape(fix)):
        spec.features.encode(table(text))
