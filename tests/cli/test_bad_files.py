"""Files that are no tables, or odd ones: what is refused, and what is read as if it were plain."""

import gzip
import os
import re
import subprocess
import sys
import threading

import numpy as np
import pytest

FIT = ("--target", "y")
LINES = ["a,b,y", *(f"{i},{(7 * i) % 11}.5,{i * i % 7}.25" for i in range(12))]
TEXT = "\n".join(LINES) + "\n"
EXACT = ("--target", "y", "--method", "exact", "--test-fraction", "0")


def case(row, what, content, said, *options):
    """Return a refused file: the number in the list, its content, and what must be said."""
    return pytest.param(content, options, said, id=f"row-{row:02d} {what}")


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        case(4, "empty file", "", ["empty"]),
        case(5, "names only", "a,b,y\n", ["2 rows", "0 found"]),
        case(6, "one row", "a,b,y\n1,2,3\n", ["at least 2 rows", "1 found"]),
        case(7, "no such target", TEXT.replace("y", "z"), ['"y"', '"a", "b", "z"']),
        case(8, "target twice", TEXT.replace("a,b,y", "y,b,y"), ['"y"', "1, 3"]),
        case(9, "names twice", TEXT.replace("a,b,y", "a,a,y"), ['"a"', "1, 2"]),
        case(10, "no names", LINES[1:], ["--no-header", "number"]),
        case(11, "short row", [*LINES, "1,2"], ["line 14", "3 cells expected", "2 found"]),
        case(11, "long row", [*LINES[:3], "1,2,3,4", *LINES[3:]], ["line 4", "4 found"]),
        case(13, "full last cell", [f"{i}," for i in LINES[:5]] + ["1,2,3,4"], ["4 of 4", "name"]),
        case(13, "names without", LINES[:1] + [f"{i}," for i in LINES[1:]], ["line 2", "4 found"]),
        case(16, "bars uneven", ["a|b|y", "1|2|3", "1|2"], ["bars", "--separator"]),
        case(16, "one column", ["a:b:y", "1:2:3", "1:2:3"], ["--separator"]),
        case(17, "decimal comma", ["a;y", '1,5;2', '2,5;3'], ['"1,5"', "line 2", "--decimal"]),
        case(18, "thousands", ["a,y", '"1,200",2', '"2,500",3'], ['"1,200"', "line 2"]),
        case(18, "unit", ["a,y", "5 kg,2", "6 kg,3"], ['"5 kg"', "line 2", '"a"']),
        case(18, "currency", ["a,y", "$5.00,2", "$6.00,3"], ['"$5.00"', "line 2"]),
        case(19, "latin", b"a,y\n\xe9,1\n", ["offset 4", "--encoding"]),
        case(20, "NUL bytes", "a,y\n1\0,2\n", ["binary", "offset 5"]),
        case(20, "a picture", b"\x89PNG\r\n\x1a\n\0\0\0", ["PNG image"]),
        case(20, "an archive", b"PK\x03\x04\x14\0\0\0\xff", ["spreadsheet", "ZIP"]),
        case(21, "gzip cut short", gzip.compress(TEXT.encode(), mtime=0)[:-9], ["gzip", "short"]),
        case(22, "open quote", [*LINES[:4], '"1,2,3', *LINES[4:]], ["line 5", "quote"]),
        case(46, "a long line", "a,y\n" + "1" * 11_000_000 + ",2\n1,2\n", ["line 2", "10,000,000"]),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused_with_what_and_where(
    content, options, said, write, refused
):
    path = write(content)
    text = "\n".join(refused("fit", path, *FIT, *options))
    assert str(path) in text
    for words in said:
        assert words in text, text


def test_a_file_that_is_not_there_is_named_as_given(refused):
    assert refused("fit", "no/./such.csv", *FIT)[0].startswith("no/./such.csv: there is no such")


def test_a_directory_is_said_to_be_one(tmp_path, refused):
    assert "is a directory" in refused("fit", tmp_path, *FIT)[0]


def test_a_file_that_may_not_be_read_is_not_called_missing(write, refused, monkeypatch):
    path = write(LINES)
    if os.geteuid():
        path.chmod(0)
    else:
        monkeypatch.setattr("builtins.open", denied(str(path)))
    assert "may not read" in refused("fit", path, *FIT)[0]


def denied(path):
    """Return an `open` that lets nobody open this path: for the superuser, who may read all."""

    def opened(file, *given, real=open, **options):
        if str(file) == path:
            raise PermissionError(13, "Permission denied", path)
        return real(file, *given, **options)

    return opened


def test_the_name_most_alike_comes_first(write, refused):
    path = write(["age,height,weight", "1,2,3", "2,3,5"])
    assert '"height", ' in refused("fit", path, "--target", "heihgt")[0].split("there are")[1][:12]


@pytest.mark.parametrize(
    ("content", "options", "notes"),
    [
        pytest.param(LINES, (), 0, id="row-12 plain"),
        pytest.param(["", *LINES[:5], "", "  ", *LINES[5:], ""], (), 0, id="row-12 blank lines"),
        pytest.param(TEXT[:-1], (), 0, id="row-12 no newline at the end"),
        pytest.param([f"{line}," for line in LINES], (), 1, id="row-13 comma at each end"),
        pytest.param("\ufeff" + TEXT, (), 0, id="row-14 byte-order mark"),
        pytest.param(TEXT.replace("\n", "\r\n"), (), 0, id="row-15 CRLF"),
        pytest.param(TEXT.replace("\n", "\r"), (), 0, id="row-15 CR"),
        pytest.param(TEXT.replace(",", ";"), (), 1, id="row-16 semicolons"),
        pytest.param(TEXT.replace(",", "\t"), (), 1, id="row-16 tabs"),
        pytest.param(TEXT.replace(",", ":"), ("--separator", ":"), 0, id="row-16 said"),
        pytest.param(
            TEXT.replace(",", ";").replace(".", ","),
            ("--separator", ";", "--decimal", ","),
            0,
            id="row-17 decimal comma, said",
        ),
        pytest.param(
            TEXT.encode("utf-16"), ("--encoding", "utf-16"), 0, id="row-19 encoding, said"
        ),
        pytest.param(gzip.compress(TEXT.encode(), mtime=0), (), 0, id="row-21 gzip"),
        pytest.param(
            [",".join(f'"{cell}"' for cell in line.split(",")) for line in LINES],
            (),
            0,
            id="row-23 quotes",
        ),
    ],
)
def test_an_odd_file_gives_the_numbers_of_a_plain_one(content, options, notes, write, accepted):
    x, y, said = accepted("fit", write(content), *EXACT, *options)
    plain = np.array([line.split(",") for line in LINES[1:]], float)
    np.testing.assert_array_equal(x, plain[:, :2])
    np.testing.assert_array_equal(y, plain[:, 2])
    more = [line for line in said.splitlines() if "identifier" not in line]
    assert len(more) == notes, said


def test_columns_without_names_go_by_their_numbers(write, accepted):
    x, y, _ = accepted("fit", write(LINES[1:]), "--target", "3", "--no-header", *EXACT[2:])
    assert (x.shape, y[1]) == ((12, 2), 1.25)


def test_a_file_that_expands_past_the_limit_is_refused(write, refused, monkeypatch):
    monkeypatch.setattr("posterium.tables.content.MAX_BYTES", 10_000)
    bomb = gzip.compress(b"a,y\n" + b"1,2\n" * 5000, mtime=0)
    assert len(bomb) < 200
    assert "10,000" in refused("fit", write(bomb), *FIT)[0]


def test_quoted_cells_may_hold_commas_and_newlines(write, accepted):
    path = write('kind,y\n"red, dark",1\n"two\nlines",2\n"red, dark",3\n"two\nlines",5\n')
    x, _, said = accepted("fit", path, *EXACT)
    assert x.tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]
    assert "kind" in said


def test_more_columns_than_rows_are_noted(write, accepted):
    names = [f"c{i}" for i in range(8)]
    rows = [",".join(str((i * 7 + j * j * (i + 3)) % 13 + 0.5) for j in range(9)) for i in range(5)]
    _, _, said = accepted("fit", write([",".join([*names, "y"]), *rows]), *EXACT)
    assert "More columns" in said


MEMORY = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, 6 * 2**30))
from posterium.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_file_larger_than_memory_is_refused_early_with_its_size(tmp_path):
    path = tmp_path / "large.csv"
    path.write_text("a,y\n1,2\n")
    os.truncate(path, 2**40)
    argv = [sys.executable, "-c", MEMORY, "fit", str(path), *FIT]
    found = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert found.returncode == 2
    assert len(found.stderr.splitlines()) == 2
    assert f"{2**40:,}" in found.stderr


def test_a_file_that_changes_while_it_is_read_is_refused(write, refused, monkeypatch):
    path = write(LINES)
    real, done = os.fstat, threading.Event()

    def fstat(number):
        found = real(number)
        if os.path.samestat(found, os.stat(path)) and not done.is_set():
            done.set()
            with open(path, "a") as file:
                file.write("1,2,3\n")
        return found

    monkeypatch.setattr(os, "fstat", fstat)
    assert "changed while it was read" in refused("fit", path, *FIT)[0]


def test_standard_input_is_read_and_named(write, accepted, monkeypatch):
    with open(write(LINES), "rb") as file, open(file.fileno(), closefd=False) as text:
        monkeypatch.setattr(sys, "stdin", text)
        x, _, _ = accepted("fit", "-", *EXACT)
    assert x.shape == (12, 2)


def test_a_fit_of_standard_input_cannot_be_resumed(refused, tmp_path):
    what, _ = refused("fit", "-", *FIT, "--checkpoint", tmp_path / "c")
    assert re.search("--checkpoint.*standard input", what)
