"""Cells and columns that are wrong or odd: refused with their place, or noted and fitted."""

import csv

import numpy as np
import pytest

EXACT = ("--target", "y", "--method", "exact", "--test-fraction", "0")
N = 24
VALUES = [(i * i * 7) % 23 + 0.5 for i in range(N)]


def table(*columns, names=None, y=None):
    """Return lines of a table with these columns and a target that is not made from them."""
    y = [(5 * i * i) % 19 + 0.25 for i in range(N)] if y is None else y
    names = names or [f"c{i}" for i in range(len(columns))]
    cells = zip(*columns, y, strict=True)
    return [",".join([*names, "y"]), *(",".join(map(str, row)) for row in cells)]


def put(values, **cells):
    """Return values with some replaced: `r3="x"` for the one in row 3."""
    return [cells.get(f"r{i}", value) for i, value in enumerate(values)]


def case(row, what, lines, *said, options=()):
    return pytest.param(lines, options, said, id=f"row-{row:02d} {what}")


DATES = [f"2024-01-{i + 1:02d}" for i in range(N)]
CODES = [f"{chr(97 + i)}{i * 7919}x" for i in range(N)]
MANY = [f"w{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(60)] * 2
CLASS = ("--task", "classification")


@pytest.mark.parametrize(
    ("lines", "options", "said"),
    [
        case(24, "gaps", table(put(VALUES, r3="NA", r5="?"), put(VALUES, r7="")),
             '"c0" (2, first in line 5)', '"c1" (1, first in line 9)', "--missing"),
        case(24, "NaN and null", table(put(VALUES, r3="NaN", r4="null")), '"c0" (2'),
        case(25, "target gaps", table(VALUES, y=put(VALUES, r2="", r9="NA")),
             '"y" (2, first in line 4)', "--missing drop"),
        case(26, "inf", table(put(VALUES, r3="inf")), '"inf"', "line 5", '"c0"'),
        case(26, "-inf", table(put(VALUES, r3="-inf")), '"-inf"', "line 5"),
        case(26, "1e400", table(put(VALUES, r3="1e400")), '"1e400"', "line 5"),
        case(27, "levels", ["c,y", *(f"{word},{i}" for i, word in enumerate(MANY))],
             '"c" (60', "--drop"),
        case(27, "mixed", table(put(VALUES, r3="red", r8="blue")), '"red"', "line 5", '"c0"'),
        case(29, "dates", table(DATES), "looks like dates", '"c0"'),
        case(34, "one class", table(VALUES, y=["a"] * N), 'every row is of the class "a"'),
        case(35, "text target", table(VALUES, y=["a", "b"] * (N // 2)), "classification", '"y"',
             options=("--task", "regression")),
        case(39, "10,000 classes", ["c,y", *(f"{i % 7},k{i % 10_000}" for i in range(10_500))],
             "10,000 classes in 10,500 rows", "identifier"),
        case(42, "unique text", ["c,y", *(f"u{i}x,{i % 9}" for i in range(60))],
             '"c" (60', "--drop"),
    ],
)  # fmt: skip
def test_cells_that_cannot_be_used_are_refused_with_their_place(
    lines, options, said, write, refused
):
    text = "\n".join(refused("fit", write(lines), "--target", "y", *options))
    for words in said:
        assert words in text, text


BIG = [2**54 * (i * i % 17) + i for i in range(N)]


@pytest.mark.parametrize(
    ("lines", "options", "said"),
    [
        case(30, "true/false", table(["true", "false", "FALSE"] * 8), "c0", "1 (true"),
        case(30, "yes/no", table(["yes", "no", "No"] * 8), "c0"),
        case(31, "constant", table(VALUES, [0.1] * N), "Constant", '"c1"'),
        case(32, "nearly constant", table(VALUES, [1 + 1e-8 * (i % 2) for i in range(N)]),
             "constant", '"c1"'),
        case(34, "constant target", table(VALUES, y=[3.5] * N), "constant", '"y"'),
        case(36, "few values", table(VALUES, y=[1, 2, 3] * 8), "3 different values",
             "classification"),
        case(41, "large integers", table(BIG), "identifier", '"c0"'),
        case(41, "integers that are one number", table([2**53 + i % 2 for i in range(N)]),
             "identifier", '"c0"'),
        case(42, "unique integers", table([(7 * i) % 24 for i in range(N)]), "identifier"),
        case(43, "leak", table(VALUES, y=[2 * v + 1 for v in VALUES]), "leak"),
    ],
)  # fmt: skip
def test_what_is_odd_is_noted_once_and_fitted(lines, options, said, write, accepted):
    _, _, err = accepted("fit", write(lines), *EXACT, *options)
    for words in said:
        assert words in err, err
    assert len(set(err.splitlines())) == len(err.splitlines())


def test_rows_with_gaps_are_dropped_when_asked(write, accepted):
    lines = table(put(VALUES, r3="NA"), VALUES, y=put(VALUES, r9=""))
    x, y, err = accepted("fit", write(lines), *EXACT, "--missing", "drop")
    kept = [i for i in range(N) if i not in (3, 9)]
    np.testing.assert_array_equal(x[:, 1], np.array(VALUES)[kept])
    np.testing.assert_array_equal(y, np.array(VALUES)[kept])
    assert "2 of 24 rows" in err


@pytest.mark.parametrize("seed", range(3))
def test_dropped_rows_leave_the_others_in_their_parts(seed, write, accepted):
    lines = table(list(range(N)), put(VALUES, r3="NA", r7="NA", r12=""), names=["row", "c"])
    options = (*EXACT[:4], "--test-fraction", "0.3", "--seed", seed)
    filled, _, _ = accepted("fit", write(lines), *options, "--missing", "impute")
    dropped, _, _ = accepted("fit", write(lines), *options, "--missing", "drop")
    assert set(dropped[:, 0]) == set(filled[:, 0]) - {3, 7, 12}


def test_held_out_rows_are_numbered_as_in_the_file_whatever_was_dropped(run, folder):
    path, held = folder / "gaps.csv", folder / "gaps-held.csv"
    y = [10.0 * i + 1 for i in range(N)]
    path.write_text("\n".join(table(put(VALUES, r0="NA", r7="NA"), y=y)) + "\n")
    options = ("--target", "y", "--method", "exact", "--test-fraction", "0.4")
    assert run("fit", path, *options, "--missing", "drop", "--predictions", held)[0] == 0
    rows = list(csv.DictReader(held.read_text().splitlines()))
    assert len(rows) > 5
    assert all(float(row["observed"]) == 10.0 * (int(row["row"]) - 1) + 1 for row in rows)


def test_gaps_are_filled_from_the_rows_fitted_and_marked(write, accepted):
    values = [*VALUES[:-6], *([1e6] * 6)]
    lines = table(list(range(N)), put(values, r3="NA"), names=["row", "c"])
    options = (*EXACT[:4], "--test-fraction", "0.3", "--missing", "impute")
    x, _, err = accepted("fit", write(lines), *options)
    used = [int(i) for i in x[:, 0]]
    assert 3 in used, "choose another row for the gap"
    fill = np.median([values[i] for i in used if i != 3])
    assert x[used.index(3), 1] == fill
    assert fill != np.median([v for i, v in enumerate(values) if i != 3])
    assert (x[:, 2] == np.isin(used, [3])).all()
    assert "c" in err


def test_text_becomes_categories_said_aloud(write, accepted):
    x, _, err = accepted("fit", write(table(["red", "blue", "green"] * 8)), *EXACT)
    assert x[:3].tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert '"c0"' in err
    assert "3" in err


def test_a_column_can_be_taken_as_categories_or_left_out(write, accepted):
    lines = table([1, 2, 3] * 8, CODES)
    options = ("--categorical", "c0", "--drop", "c1")
    x, _, _ = accepted("fit", write(lines), *EXACT, *options)
    assert x[:3].tolist() == np.eye(3).tolist()


@pytest.mark.parametrize("option", ["--categorical", "--drop"])
def test_a_column_to_be_treated_must_be_there(option, write, refused):
    assert '"bogus"' in refused("fit", write(table(VALUES)), *EXACT, option, "bogus")[0]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--missing", "bogus", "impute"),
        ("--unseen", "bogus", "other"),
        ("--separator", "ab", "semicolon"),
        ("--separator", '"', "semicolon"),
        ("--decimal", "x", "comma"),
        ("--encoding", "bogus", "latin-1"),
    ],
)
def test_an_option_for_tables_has_its_values(option, value, said, write, refused):
    assert said in "\n".join(refused("fit", write(table(VALUES)), *EXACT, option, value))


def test_a_class_of_one_row_is_noted_and_fitted(write, accepted):
    lines = table(VALUES, y=put(["a", "b"] * (N // 2), r5="lone"))
    x, y, err = accepted("fit", write(lines), "--target", "y", "--test-fraction", "0.25")
    assert '"lone"' in err
    assert len(x) == 18
    assert np.sum(y == 2) == 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("odd")


@pytest.mark.parametrize(
    "labels",
    [["1", "2"], ["-1", "1"], ["5", "7"], ["no", "yes"], ["False", "True"], ["0.5", "1.5"]],
    ids=lambda pair: f"row-38 {pair[0]} {pair[1]}",
)
def test_labels_come_back_as_they_were_written(labels, run, folder):
    path, held = folder / f"{labels[0]}.csv", folder / f"{labels[0]}-held.csv"
    y = [labels[v > 11] for v in VALUES]
    path.write_text("\n".join(table(VALUES, y=y)) + "\n")
    options = ("--target", "y", *CLASS, "--method", "map", "--set", "steps=40", "--draws", "1")
    status, _, err = run("fit", path, *options, "--predictions", held, "--overwrite")
    assert status == 0, err
    written = list(csv.DictReader(held.read_text().splitlines()))
    assert list(written[0])[:3] == ["label", *(f"p_{label}" for label in labels)]
    assert {row["label"] for row in written} | {row["observed"] for row in written} <= set(labels)


@pytest.mark.parametrize(
    ("scale", "what"),
    [(1e12, "row-40 large"), (1e-12, "row-40 small")],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_the_size_of_a_feature_changes_no_prediction(scale, what, run, folder):
    found = []
    for name, factor in (("plain", 1.0), ("scaled", scale)):
        path, held = folder / f"{name}{scale:g}.csv", folder / f"{name}{scale:g}-held.csv"
        x = [factor * (v - 3) for v in VALUES]
        y = [2 * v + (i % 3) for i, v in enumerate(VALUES)]
        path.write_text("\n".join(table(x, y=y)) + "\n")
        options = ("--target", "y", "--method", "exact", "--predictions", held)
        assert run("fit", path, *options)[0] == 0
        rows = list(csv.DictReader(held.read_text().splitlines()))
        found.append([[float(row["mean"]), float(row["sd"])] for row in rows])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9)


def test_columns_that_say_the_same_are_fitted_and_noted(run, folder):
    path = folder / "collinear.csv"
    path.write_text("\n".join(table(VALUES, [3 * v + 1 for v in VALUES], names=["a", "b"])) + "\n")
    status, out, err = run("fit", path, "--target", "y", "--method", "exact")
    assert status == 0
    assert "ok" in out
    assert '"b"' in err


def test_a_constant_target_is_fitted_with_the_noise_at_its_floor(run, folder):
    path, held = folder / "flat.csv", folder / "flat-held.csv"
    path.write_text("\n".join(table(VALUES, y=[3.5] * N)) + "\n")
    options = ("--target", "y", "--method", "exact", "--predictions", held)
    status, _, err = run("fit", path, *options)
    assert status == 0
    assert "constant" in err
    rows = list(csv.DictReader(held.read_text().splitlines()))
    assert all(abs(float(row["mean"]) - 3.5) < 1e-3 for row in rows)
    assert all(0 < float(row["sd"]) < 0.01 for row in rows)
