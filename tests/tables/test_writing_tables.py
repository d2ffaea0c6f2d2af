import csv
import io
import os

import numpy as np
import pytest

from posterium.tables.errors import UserError
from posterium.tables.write import (
    as_csv,
    check_output,
    classification_columns,
    regression_columns,
    write_table,
)


def test_numbers_come_back_to_the_last_bit():
    x = np.random.default_rng(0).standard_normal(100) * 10.0 ** np.linspace(-30, 30, 100)
    y = x.astype(np.float32)
    rows = list(csv.reader(io.StringIO(as_csv({"x": x, "y": y}))))
    np.testing.assert_array_equal([float(r[0]) for r in rows[1:]], x)
    np.testing.assert_array_equal(np.array([r[1] for r in rows[1:]], np.float32), y)
    assert as_csv({"x": np.array([0.1]), "y": np.array([0.1], np.float32)}) == "x,y\n0.1,0.1\n"


def test_text_comes_back_as_it_was_and_formulas_are_quoted():
    labels = ["plain", "=1+1", "@a", "+b", "-c", 'q"q', "a,b", "two\nlines", ""]
    text = as_csv({"label": np.array(labels, object), "n": np.arange(9)})
    assert [row[0] for row in csv.reader(io.StringIO(text))][1:] == labels
    assert '\n"=1+1",1\n"@a",2\n"+b",3\n"-c",4\n' in text
    assert text.startswith("label,n\nplain,0\n")


def test_none_is_an_empty_cell():
    columns = {"mean": np.array([0.5, None], object), "label": np.array([None, "a,b"], object)}
    assert as_csv(columns) == 'mean,label\n0.5,\n,"a,b"\n'


def test_no_rows_give_the_names_alone():
    assert as_csv(regression_columns(*[np.empty(0)] * 6)) == (
        "mean,sd,aleatoric_sd,epistemic_sd,lower,upper\n"
    )


@pytest.mark.parametrize(
    ("classes", "written"),
    [((1, 2), "2"), ((False, True), "True"), (("=a", "b"), "b"), ((0.5, 1.0), "1.0")],
)
def test_the_most_probable_label_is_written_as_it_was(classes, written):
    probs = np.array([[0.25, 0.75]])
    columns = classification_columns(classes, probs, np.array([0.5]), np.array([0.1]))
    names, values = csv.reader(io.StringIO(as_csv(columns)))
    assert names == ["label", f"p_{classes[0]}", f"p_{classes[1]}", "entropy", "mutual_information"]
    assert values == [written, "0.25", "0.75", "0.5", "0.1"]


def test_columns_of_unequal_length_are_an_error():
    with pytest.raises(ValueError, match="shorter"):
        as_csv({"a": np.zeros(2), "b": np.zeros(1)})


def test_standard_output_is_taken_without_a_path(capsysbinary):
    write_table({"é": np.array([1.0])})
    assert capsysbinary.readouterr().out == "é\n1.0\n".encode()


def test_a_file_is_replaced_only_when_told_so(tmp_path):
    path = tmp_path / "p.csv"
    write_table({"a": np.array([1.0])}, path)
    with pytest.raises(UserError, match="exists already"):
        write_table({"a": np.array([2.0])}, path)
    assert path.read_text() == "a\n1.0\n"
    write_table({"a": np.array([2.0])}, path, overwrite=True)
    assert path.read_text() == "a\n2.0\n"


def test_a_failed_write_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "p.csv"
    write_table({"a": np.array([1.0])}, path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        write_table({"a": np.array([2.0])}, path, overwrite=True)
    assert path.read_text() == "a\n1.0\n"
    assert os.listdir(tmp_path) == ["p.csv"]


def test_paths_that_cannot_be_written_are_refused_beforehand(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        check_output(tmp_path / "gone" / "p.csv")
    with pytest.raises(UserError, match="is not a plain file"):
        check_output(tmp_path, overwrite=True)
    with pytest.raises(UserError, match="is not a plain file"):
        check_output("/dev/null", overwrite=True)
    check_output(tmp_path / "p.csv")
