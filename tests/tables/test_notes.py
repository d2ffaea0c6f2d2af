"""What is said about a table that is accepted."""

import numpy as np
import polars as pl
import pytest

from posterium.tables.encode import fit_spec
from posterium.tables.frames import from_frame


def column(name, values):
    """A table of two columns, the second of them a plain target."""
    return f"{name},y\n" + "".join(f"{v},{i * i}\n" for i, v in enumerate(values))


def target(values):
    return "x,y\n" + "".join(f"{i * 0.5},{v}\n" for i, v in enumerate(values))


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (column("v", [3, 3, 3]), 'Constant columns, which tell nothing: "v"'),
        (column("v", ["p", "p", "p"]), 'Constant columns, which tell nothing: "v"'),
        (column("v", ["yes", "yes", "yes"]), 'Constant columns, which tell nothing: "v"'),
        (column("v", [1e9, 1e9 + 1, 1e9]), 'Nearly constant columns, treated as constant: "v"'),
        (
            column("v", [2**53 + 2, 5, 6]),
            'Integers too large to be exact in float64, likely identifiers: "v"',
        ),
        (column("v", range(30)), 'A different integer in every row, likely identifiers: "v"'),
        (target([5, 5, 5]), 'The target "y" is constant'),
        (target([1, 2] * 12), 'The target "y" has 2 different values'),
        (target([2, 3, 4]), "likely a leak"),
        (target("aab"), 'Classes of "y" with one row only: "b"'),
        ("a,b,c,y\n1,2,3,4\n5,7,2,1\n", "More columns (3) than rows (2)"),
    ],
)
def test_what_is_odd_is_noted_and_accepted(table, text, note):
    _, notes = fit_spec(table(text), "y")
    assert any(note in found for found in notes)


def test_nothing_is_noted_about_an_ordinary_table(table):
    assert fit_spec(table(column("v", [0.3, 1.7, -2.2, 1e12])), "y")[1] == []


def test_columns_that_are_the_same_up_to_scale_are_named_in_pairs():
    rng = np.random.default_rng(3)
    a = rng.standard_normal((4, 200))
    frame = {
        "p": a[0], "q": a[1], "r": 30 - 0.1 * a[0], "s": a[2], "t": a[0] * 7, "c": np.ones(200),
        "near": a[1] + 1e-4 * a[2], "on": a[3] > 0, "off": a[3] <= 0, "y": a[3],
    }  # fmt: skip
    _, notes = fit_spec(from_frame(pl.DataFrame(frame)), "y")
    (said,) = [note for note in notes if "collinear" in note]
    pairs = said.partition(": ")[2].rstrip(".").split(", ")
    found = {frozenset(pair.replace('"', "").split(" and ")) for pair in pairs}
    assert frozenset(("on", "off")) in found
    assert len(found) == 3
    assert set.union(*map(set, found)) == {"p", "r", "t", "on", "off"}


def test_columns_of_equal_length_along_the_direction_tried_are_not_taken_for_the_same():
    direction = np.random.default_rng(0).standard_normal(40)
    direction -= direction.mean()
    a = np.random.default_rng(5).standard_normal(40)
    a -= a.mean()
    b = 2 * direction * (direction @ a) / (direction @ direction) - a
    assert np.isclose(direction @ a, direction @ b)
    _, notes = fit_spec(from_frame(pl.DataFrame({"a": a, "b": b, "y": np.arange(40.0)})), "y")
    assert notes == []


@pytest.mark.parametrize("size", [1e-300, 1.0, 1e300])
def test_collinear_columns_are_found_at_every_size(size):
    a = np.random.default_rng(3).standard_normal((2, 50))
    frame = {"a": a[0] * size, "b": -a[0], "y": a[1]}
    _, notes = fit_spec(from_frame(pl.DataFrame(frame)), "y")
    assert any("collinear" in note for note in notes)


@pytest.mark.parametrize(
    ("feature", "leak"),
    [
        (["p" if i % 2 else "q" for i in range(30)], True),
        ([i % 2 * 5.0 for i in range(30)], True),
        (["no" if i % 2 else "yes" for i in range(30)], True),
        (["p" if i % 2 and i else "q" for i in range(29)] + ["q"], False),
        (["pq"[i % 2] + "st"[i % 3 == 0] for i in range(30)], False),
    ],
)
def test_a_column_that_stands_for_the_classes_is_noted_as_a_leak(table, feature, leak):
    text = "v,w,y\n" + "".join(f"{v},{i % 7},{'ab'[i % 2]}\n" for i, v in enumerate(feature))
    _, notes = fit_spec(table(text), "y")
    assert any('likely a leak: "v".' in note for note in notes) == leak


def test_types_of_a_frame_are_not_said_but_categories_are():
    frame = pl.DataFrame({"on": [True, False, True], "c": ["a", "b", "a"], "y": [0.1, 0.7, 0.2]})
    _, notes = fit_spec(from_frame(frame), "y", drop=["c"])
    assert notes == []
    assert fit_spec(from_frame(frame), "y", drop=["on"])[1] == [
        'Read as categories: "c" (2 levels).'
    ]


def test_identifiers_are_noted_in_typed_columns_too():
    frame = pl.DataFrame({"id": range(2**53 + 1, 2**53 + 31), "k": range(30), "y": [0.5, 1] * 15})
    _, notes = fit_spec(from_frame(frame), "y")
    assert any(n.startswith("Integers too large") and '"id"' in n for n in notes)
    assert any(n.startswith("A different integer in every row") and '"k"' in n for n in notes)


def test_constant_columns_with_gaps_that_are_filled_are_noted(table):
    text = "a,b,c,y\n0,yes,p,1\n,,,2\n0,yes,p,4\n"
    _, notes = fit_spec(table(text), "y", missing="impute")
    assert 'Constant columns, which tell nothing: "a", "b", "c".' in notes
