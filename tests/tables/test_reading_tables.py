import csv
import gzip
import io
import os
import random
import sys

import numpy as np
import pytest

from posterium.tables import content
from posterium.tables.errors import UserError
from posterium.tables.read import read_table

PLAIN = b"a,b\n1,x\n2,y\n"


@pytest.fixture
def table(tmp_path):
    def make(content, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(content)
        return read_table(path)

    return make


def rows(table):
    return [table.names, *zip(*(table.column(name).cells for name in table.names), strict=True)]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN[:-1],
        b"\xef\xbb\xbf" + PLAIN,
        PLAIN.replace(b"\n", b"\r\n"),
        PLAIN.replace(b"\n", b"\r"),
        b"\n" + PLAIN.replace(b"\n", b"\n\n") + b"  \n",
        PLAIN + b"\n",
        PLAIN + b"\n \t\n  ",
        gzip.compress(PLAIN, mtime=0),
        b'"a", b\n"1",x \n 2,y',
        b"a,b,\n1,x,\n2,y,\n",
    ],
    ids=[
        "plain", "no end", "mark", "crlf", "cr", "blank", "blank end", "blank ends", "gzip",
        "quoted", "trailing comma",
    ],
)  # fmt: skip
def test_the_same_table_is_read_from_every_way_of_writing_it(table, content):
    assert rows(table(content)) == [("a", "b"), ("1", "x"), ("2", "y")]


def test_rows_remember_their_line_behind_blank_lines_and_cells_of_many_lines(table):
    read = table(b'a,b\n\n1,"p\nq"\r\n\r\n2,r\n')
    assert read.lines.tolist() == [3, 6]
    assert rows(read)[1:] == [("1", "p\nq"), ("2", "r")]


def test_quoted_cells_are_read_as_the_csv_module_reads_them(table):
    draw = random.Random(1)
    cells = [
        ["".join(draw.choices('ab",\n=', k=draw.randint(0, 5))) for _ in "abc"] for _ in "r" * 60
    ]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([["x", "y", "z"], *cells])
    stripped = [tuple(cell.strip() for cell in row) for row in cells]
    assert rows(table(out.getvalue().encode()))[1:] == stripped


def test_an_empty_column_behind_trailing_commas_is_noted(table):
    assert "empty column" in table(b"a,\n1,\n").notes[0]


def test_a_table_may_have_no_rows(table):
    assert len(table(b"a,b\n")) == 0


def test_standard_input_is_read_for_a_dash(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PLAIN)))
    assert rows(read_table("-"))[0] == ("a", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "blank lines"),
        (b"\n\n", "blank lines"),
        (b"a,b\n1,2\n\n3\n", "line 4: 2 cells expected as in the line of names, 1 found"),
        (b"a,b\n1,2\n3,4,5\n", "line 3: 2 cells expected as in the line of names, 3 found"),
        (b"a,b\n1,2,\n", "line 2: 2 cells expected as in the line of names, 3 found"),
        (b"a,b,a\n1,2,3\n", '"a" (columns 1, 3)'),
        (b"a,,b\n1,2,3\n", "column 2 of 3 has no name"),
        (b"a;b\n1;2\n3\n", "look separated by semicolons, not commas"),
        (b"a\tb\n1\t2\n3\n", "look separated by tabs, not commas"),
        (b"a,b\n1,caf\xe9\n", "byte 0xe9 at offset 9, line 2"),
        (b"a,b\n1,\x00\n", "NUL bytes, the first at offset 6"),
        (b"\x89PNG\r\n\x1a\n\x00", "a PNG image"),
        (b"PK\x03\x04\x00\x00", "spreadsheet"),
        ("a,b\n".encode("utf-16"), "UTF-16"),
        (b'a,b\n1,"x\n2,y\n', "line 2: the quote"),
        (b'a,b\n1,"x\n2,"y"\n', "line 2: the quote"),
        (b'a,b\n1,2\n5" pipe,6"\n', "line 3: the quote"),
        (gzip.compress(PLAIN, mtime=0)[:-9], "damaged or cut short"),
    ],
)
def test_what_is_no_table_is_refused_in_two_lines(table, content, message):
    with pytest.raises(UserError) as refusal:
        table(content)
    what, fix = str(refusal.value).split("\n")
    assert message in what
    assert "t.csv" in what
    assert fix.endswith(".")


def test_files_that_cannot_be_opened_are_refused_with_the_path_as_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^gone.csv: there is no such file"):
        read_table("gone.csv")
    with pytest.raises(UserError, match="is a directory"):
        read_table(".")
    with pytest.raises(UserError, match=r"a\\x00b cannot be read"):
        read_table("a\0b")
    monkeypatch.setattr("builtins.open", lambda *_: (_ for _ in ()).throw(PermissionError()))
    with pytest.raises(UserError, match="you may not read it"):
        read_table("locked.csv")


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_bytes(PLAIN)
    fstat = os.fstat

    def grow_after(handle):
        seen = fstat(handle)
        path.write_bytes(PLAIN + b"3,z\n")
        return seen

    monkeypatch.setattr(os, "fstat", grow_after)
    with pytest.raises(UserError, match="changed while it was read"):
        read_table(path)


@pytest.mark.parametrize("written", [PLAIN, gzip.compress(PLAIN, mtime=0)], ids=["plain", "gzip"])
def test_tables_beyond_the_limit_are_refused(table, monkeypatch, written):
    monkeypatch.setattr(content, "MAX_BYTES", len(PLAIN) - 1)
    with pytest.raises(UserError, match=f"at most {len(PLAIN) - 1} are read"):
        table(written)


def test_a_small_file_that_expands_beyond_the_limit_is_refused(table, monkeypatch):
    monkeypatch.setattr(content, "MAX_BYTES", 1_000_000)
    bomb = gzip.compress(b"a,b\n" + b"1,2\n" * 1_000_000, mtime=0)
    assert len(bomb) < 10_000
    with pytest.raises(UserError, match="holds more than 1,000,000 bytes"):
        table(bomb)


def test_a_table_larger_than_the_free_memory_is_refused_with_both_sizes(table, monkeypatch):
    free = content.MEMORY_PER_BYTE * (len(PLAIN) - 1)
    monkeypatch.setattr(content, "available_memory", lambda: free)
    with pytest.raises(UserError, match=r"holds 12 bytes .* at most 11 are read, in the memory"):
        table(PLAIN)
    monkeypatch.setattr(content, "available_memory", lambda: free + content.MEMORY_PER_BYTE)
    assert len(table(PLAIN)) == 2


def test_polars_missing_is_refused_with_the_extra_to_install(table, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(UserError, match=r'pip install "posterium\[tables\]"'):
        table(PLAIN)


def test_numbers_are_read_to_the_last_bit(table):
    values = np.random.default_rng(0).standard_normal(500) * 10.0 ** np.arange(-250, 250)
    text = "a\n" + "".join(f"{v!r}\n" for v in values.tolist())
    np.testing.assert_array_equal(table(text.encode()).column("a").values, values)
