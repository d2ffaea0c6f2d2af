"""Separators, decimal commas, encodings and missing headers."""

import numpy as np
import pytest

from posterium.tables.encode import fit_spec
from posterium.tables.errors import UserError
from posterium.tables.read import read_table


@pytest.fixture
def table(tmp_path):
    def make(content, **options):
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path, **options)

    return make


def rows(table):
    return [table.names, *zip(*(table.column(name).cells for name in table.names), strict=True)]


@pytest.mark.parametrize(
    ("mark", "word", "name"),
    [(";", "semicolons", "semicolon"), ("\t", "tabs", "tab"), ("|", "bars", "bar")],
)
def test_the_separator_by_which_all_rows_agree_is_taken_and_said(table, mark, word, name):
    text = "\n".join(mark.join(row) for row in [("a", "b", "y"), ("1", "2,5", "x"), ("", "4", "z")])
    found = table(text, target="y")
    assert rows(found) == [("a", "b", "y"), ("1", "2,5", "x"), ("", "4", "z")]
    assert found.notes == (f"{found.source}: cells are separated by {word}, as all rows agree.",)
    for given in (mark, name):
        assert rows(table(text, separator=given)) == rows(found)
        assert table(text, separator=given).notes == ()


def test_commas_are_taken_without_a_word_where_they_give_the_target(table):
    found = table("a;b,y\n1;2,3\n", target="y")
    assert (found.names, found.notes) == (("a;b", "y"), ())


def test_another_separator_is_taken_when_only_it_gives_the_target(table):
    found = table("price, eur;weight\n1,5;2\n3,5;4\n", target="weight")
    assert rows(found)[1:] == [("1,5", "2"), ("3,5", "4")]
    assert found.names == ("price, eur", "weight")


def test_one_column_needs_no_separator(table):
    assert rows(table("y\n1\n2\n", target="y")) == [("y",), ("1",), ("2",)]
    assert table("a;b\n1\n2\n", separator=",").names == ("a;b",)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a;b|c\n1;2|3\n", {}, "separated by semicolons or bars, not commas, but either gives"),
        ("a;y\n1;2\n3;4;5\n", {"target": "y"}, "--separator"),
        ("a,b\n1,2\n3\n", {"target": "y"}, "line 3: 2 cells expected"),
        ("a b\n1  2\n", {"separator": "space"}, "line 2: 2 cells expected"),
        ("a;b\n1;2\n", {"separator": "ab"}, 'one sign that is not part of a number; got "ab"'),
        ("a;b\n1;2\n", {"separator": "e"}, "one sign"),
        ("a;b\n1;2\n", {"separator": '"'}, "one sign"),
        ("a;b\n1;2\n", {"separator": ""}, "one sign"),
        ("a;b\n1;2\n", {"separator": "§"}, "one sign"),
        ("a;b\n1;2\n", {"separator": ",", "decimal": ","}, "both"),
        ("a;b\n1;2\n", {"decimal": "'"}, "a point or a comma"),
        ("a,y\n1,2\n", {"encoding": "latin-0"}, 'no encoding "latin-0"'),
        ("a,y\n1,2\n", {"encoding": "base64"}, 'no encoding "base64"'),
        ("a,y\n1,2\n", {"encoding": "a\0b"}, "no encoding"),
        ("a,y\n1,2\n", {"encoding": "undefined"}, 'not text in the encoding "undefined"'),
        ("a,y\n1,é\n".encode("latin-1"), {}, "byte 0xe9 at offset 6, line 2"),
        ("a,y\n1,é\n", {"encoding": "ascii"}, "not ascii text: byte 0xc3 at offset 6, line 2"),
        (b"a,y\n1\0,2\n", {"encoding": "latin-1"}, "NUL"),
    ],
)
def test_what_cannot_be_read_so_is_refused_with_the_option(table, text, options, message):
    with pytest.raises(UserError) as refusal:
        table(text, **options)
    assert message in str(refusal.value)
    assert len(str(refusal.value).split("\n")) == 2


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "UTF8", "utf_8", "utf-8-sig"])
def test_text_in_another_encoding_is_read_when_it_is_named(table, encoding):
    found = table("größe,y\n1,ü\n".encode(encoding), encoding=encoding)
    assert rows(found) == [("größe", "y"), ("1", "ü")]


def test_decimal_commas_are_read_when_asked_for(table):
    found = table("a;b;y\n1,5;-,25e2;1\n+2;1.5;2\n", decimal=",", target="y")
    np.testing.assert_array_equal(found.column("a").values, [1.5, 2.0])
    np.testing.assert_array_equal(found.column("b").values, [-25.0, np.nan])
    assert [found.column(name).kind for name in "aby"] == ["number", "text", "number"]
    quoted = table('a,y\n"1,5",1\n"0,5",2\n', decimal=",")
    np.testing.assert_array_equal(quoted.column("a").values, [1.5, 0.5])


def test_decimal_commas_are_no_separators_where_another_sign_separates_cells(table):
    found = table("1,5;2,5\n3,5;4,5\n", decimal=",", header=False, target="2")
    assert rows(found)[0] == ("1", "2")
    np.testing.assert_array_equal(found.column("2").values, [2.5, 4.5])


def test_decimal_commas_give_labels_and_categories_by_value(table):
    found = table("a;y\n1,5;0,5\n2;1,5\n1,50;0,50\n", decimal=",")
    spec, _ = fit_spec(found, "y", "classification", categorical=["a"])
    assert spec.classes == (0.5, 1.5)
    assert spec.features.names == ("a = 1.5", "a = 2")


def test_a_decimal_comma_is_refused_with_the_option_that_reads_it(table):
    with pytest.raises(UserError, match='"1,5" found') as refusal:
        fit_spec(table("a;y\n1,5;1\n2;2\n", target="y"), "y")
    assert "--decimal ," in str(refusal.value)


def test_columns_are_called_by_their_numbers_without_a_header(table):
    found = table("5,6,7\n\n1,2,3\n", header=False, target="3")
    assert rows(found) == [("1", "2", "3"), ("5", "6", "7"), ("1", "2", "3")]
    assert found.lines.tolist() == [1, 3]
    assert table("5;6\n1;2\n", header=False, target="2").names == ("1", "2")
    assert table("5,6,\n1,2,\n", header=False).names == ("1", "2")


def test_names_that_are_numbers_suggest_the_option_for_no_header(table):
    with pytest.raises(UserError, match="--no-header and the column's number, from 1 to 3"):
        fit_spec(table("5,6,7\n1,2,3\n4,5,6\n"), "y")


def test_semicolons_are_found_where_the_target_is_misspelt(table):
    assert table("a;b\n1;2\n", target="y").names == ("a", "b")
