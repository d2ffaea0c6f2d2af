"""Categories, missing cells, ranges: what becomes of a table's columns, by hand."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from posterium._struct import replace
from posterium.posterior import store
from posterium.tables.encode import fit_spec
from posterium.tables.errors import UserError
from posterium.tables.features import fit_features
from posterium.tables.read import read_table


def columns(**cells):
    lines = [",".join(cells), *map(",".join, zip(*cells.values(), strict=True))]
    return "\n".join(lines) + "\n"


def fitted(table, text, names=None, **options):
    read = table(text)
    features, notes = fit_features(read, names or list(read.names), **options)
    return features, notes, features.encode(read)


def test_text_becomes_a_column_of_0_and_1_for_each_level_said_aloud(table):
    features, notes, x = fitted(
        table, columns(c=["red", "=1", "red", "blue", "=1"], v=list("12345"))
    )
    assert features.names == ("c = =1", "c = blue", "c = red", "v")
    np.testing.assert_array_equal(
        x, [[0, 0, 1, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 1, 0, 4], [1, 0, 0, 5]]
    )
    assert 'Read as categories: "c" (3 levels).' in notes


@pytest.mark.parametrize("count", [50, 51])
def test_text_of_more_than_50_levels_is_a_category_only_when_it_is_said_to_be(table, count):
    text = columns(**{"my c": [f"t{i % count}" for i in range(2 * count)]})
    if count == 50:
        assert len(fitted(table, text)[0].names) == 50
        return
    with pytest.raises(UserError, match=r'"my c" \(51 different values\)') as refusal:
        fitted(table, text)
    assert '--drop "my c"' in str(refusal.value)
    assert '--categorical "my c"' in str(refusal.value)
    assert len(fitted(table, text, categorical=["my c"])[0].names) == 51


def test_a_category_of_more_than_1000_levels_is_refused(table):
    text = columns(c=[f"t{i % 1001}" for i in range(2 * 1001)])
    with pytest.raises(UserError, match="1,001 levels in the categorical column"):
        fitted(table, text, categorical=["c"])


def test_a_category_of_more_than_10000_levels_is_refused_however_rare_they_are(table):
    text = columns(c=["a"] * 9000 + [f"t{i}" for i in range(10_000)])
    with pytest.raises(UserError, match="10,001 levels in the categorical column"):
        fitted(table, text, categorical=["c"])


def test_a_table_without_rows_has_inputs_of_shape_zero_by_d(table):
    features, _, x = fitted(table, columns(c=list("aabb"), on=["yes", "no"] * 2, v=list("1234")))
    empty = table("v,c,on\n")
    assert features.encode(empty).shape == (0, x.shape[1]) == (0, 4)
    assert features.outside(empty).shape == features.complete(empty).shape == (0,)
    assert features.remarks(empty) == []


def test_integer_codes_become_categories_when_they_are_said_to_be_and_sort_as_numbers(table):
    features, _, x = fitted(table, columns(c=["10", "9", "1e1", "+9.0"]), categorical=["c"])
    assert features.names == ("c = 9", "c = 10")
    np.testing.assert_array_equal(x, [[0, 1], [1, 0], [0, 1], [1, 0]])


def test_integer_codes_that_float64_does_not_tell_apart_are_different_categories(table):
    codes = [str(2**53 + i % 2) for i in range(20)]
    features, _, _ = fitted(table, columns(c=codes, d=codes), categorical=["c"])
    assert features.names == (f"c = {2**53}", f"c = {2**53 + 1}", "d")
    x = features.encode(table(columns(c=[f"0{2**53 + 1}", str(2**53)], d=["1", "2"])))
    np.testing.assert_array_equal(x[:, :2], [[0, 1], [1, 0]])


def test_mixed_codes_and_words_become_categories_when_they_are_said_to_be(table):
    features, _, _ = fitted(table, columns(c=["10", "x", "9", "x", "9"]), categorical=["c"])
    assert features.names == ("c = 9", "c = 10", "c = x")
    np.testing.assert_array_equal(
        features.encode(table(columns(c=["9.0", "10"]))), [[1, 0, 0], [0, 1, 0]]
    )


def test_rare_levels_share_one_column(table):
    cells = ["a"] * 500 + ["b"] * 494 + ["c"] * 4 + ["d", "e"]
    features, notes, x = fitted(table, columns(c=cells))
    assert features.names == ("c = a", "c = b", "c = (other)")
    assert features.columns[0].rare == ("c", "d", "e")
    np.testing.assert_array_equal(x.sum(axis=0), [500, 494, 6])
    assert features.columns[0].shares == (0.5, 0.494, 0.006)
    assert 'Read as categories: "c" (5 levels, 3 rare ones as one).' in notes
    kept = fitted(table, columns(c=["a"] * 500 + ["b"] * 495 + ["c"] * 5))[0]
    assert kept.names == ("c = a", "c = b", "c = c")


@pytest.mark.parametrize("cells", [["a", "a", "b"], ["a", "b", "c"]])
def test_one_rare_level_and_nothing_but_rare_levels_keep_their_columns(table, cells):
    assert fitted(table, columns(c=cells))[0].columns[0].rare == ()


def test_a_level_not_fitted_is_refused_unless_it_may_count_as_other(table):
    text = columns(c=["a"] * 6 + ["b"] * 2, v=list("12345678"))
    new = table(columns(v=["1", "2"], c=["b", "C"]))
    features, _, _ = fitted(table, text)
    with pytest.raises(UserError, match='line 3, column "c": "C" found: no level that was fitted'):
        features.encode(new)
    other = fitted(table, text, unseen="other")[0]
    np.testing.assert_array_equal(other.encode(new), [[0, 1, 1], [0.75, 0.25, 2]])
    assert other.remarks(new) == [
        f'{new.source}: levels that were not fitted, taken as other: "c" (1).'
    ]
    assert replace(features, unseen="other") == other


def test_a_level_not_fitted_counts_as_rare_where_there_are_rare_levels(table):
    text = columns(c=["a"] * 6 + ["b", "d"])
    other = fitted(table, text, unseen="other")[0]
    assert other.names == ("c = a", "c = (other)")
    np.testing.assert_array_equal(
        other.encode(table(columns(c=["new", "b", "a"]))), [[0, 1], [0, 1], [1, 0]]
    )


GAPS = columns(
    v=["1", "", "7", "3"], c=["a", "b", "NA", "b"], on=["yes", "yes", "?", "no"], w=list("1234")
)


def test_missing_cells_are_refused_with_their_count_and_first_line(table):
    with pytest.raises(UserError, match=r'"v" \(1, first in line 3\), "c" \(1, first in line 4\)'):
        fitted(table, GAPS)


def test_missing_cells_are_filled_and_marked_when_asked_for(table):
    features, notes, x = fitted(table, GAPS, missing="impute")
    assert features.names == (
        *("v", "v is missing", "c = a", "c = b", "c is missing", "on", "on is missing", "w"),
    )
    np.testing.assert_array_equal(
        x,
        [
            [1, 0, 1, 0, 0, 1, 0, 1],
            [3, 1, 0, 1, 0, 1, 0, 2],
            [7, 0, 0, 0, 1, 1, 1, 3],
            [3, 0, 0, 1, 0, 0, 0, 4],
        ],
    )
    assert any('missing cells filled in "v" (1), "c" (1), "on" (1)' in note for note in notes)


def test_gaps_in_columns_that_had_none_are_filled_and_said(table):
    text = columns(v=list("1239"), c=list("abbb"), on=["yes", "no", "no", "no"])
    features, _, _ = fitted(table, text, missing="impute")
    new = table(columns(v=["", "1"], c=["", "a"], on=["", "yes"]))
    np.testing.assert_array_equal(features.encode(new), [[2.5, 0, 1, 0], [1, 1, 0, 1]])
    assert "missing cells filled" in features.remarks(new)[0]
    np.testing.assert_array_equal(features.outside(new), [0, 0])
    again = features.refit(table(columns(v=list("111"), c=["", "a", "b"], on=["yes"] * 3)))
    assert again.columns[1].shares == (0.5, 0.5)


def test_rows_with_missing_cells_are_left_out_when_asked_for(table):
    read = table(columns(v=["1", "", "7", "3"], c=list("aabb")))
    features, _ = fit_features(read, read.names, missing="drop")
    assert (features.columns[0].low, features.columns[0].high) == (1.0, 7.0)
    assert features.columns[1].shares == (1 / 3, 2 / 3)
    new = table(columns(v=["1", "", "2"], c=["a", "a", ""]))
    assert features.complete(new).tolist() == [True, False, False]
    with pytest.raises(UserError, match="missing values"):
        features.encode(new)
    assert features.encode(new.take(features.complete(new))).tolist() == [[1, 1, 0]]


@pytest.mark.parametrize("missing", ["drop", "impute"])
def test_rows_without_a_target_are_left_out_under_either_rule(table, missing):
    read = table("v,y\n1,1\n,2\n3,\n4,3\n5,4\n")
    spec, _ = fit_spec(read, "y", missing=missing)
    kept = [0, 3, 4] if missing == "drop" else [0, 1, 3, 4]
    assert np.flatnonzero(spec.complete(read)).tolist() == kept
    used = read.take(spec.complete(read))
    assert used.lines.tolist() == [i + 2 for i in kept]
    assert spec.target(used).tolist() == ([1, 3, 4] if missing == "drop" else [1, 2, 3, 4])
    assert spec.features.encode(used)[:, 0].tolist() == (
        [1, 4, 5] if missing == "drop" else [1, 4, 4, 5]
    )


def test_classes_that_are_only_in_rows_left_out_are_no_classes(table):
    spec, _ = fit_spec(table("v,y\n1,a\n,c\n3,b\n4,a\n"), "y", missing="drop")
    assert spec.classes == ("a", "b")


@pytest.mark.parametrize(
    ("text", "missing", "message"),
    [
        ("v,w,y\n1,,1\n,2,2\n3,3,3\n", "drop", "1 found once 2 with missing cells are left out"),
        ("v,y\n1,\n2,\n3,3\n", "impute", "1 found once 2 with missing cells are left out"),
        ("v,w,y\n1,,1\n2,,2\n", "impute", 'every cell is missing in "w"'),
        ("v,y\n1,\n2,NA\n", "drop", 'every cell is missing in "y"'),
        ("v,y\n1,1\n2,2\n", "guess", 'missing is one of refuse, drop, impute; got "guess"'),
    ],
)
def test_tables_of_gaps_are_refused(table, text, missing, message):
    with pytest.raises(UserError, match=message):
        fit_spec(table(text), "y", missing=missing)


def test_distances_beyond_the_range_fitted_are_in_standard_deviations(table):
    text = columns(v=["0", "2", "4"], w=["5", "5", "5"], c=list("aba"), on=["yes", "no", "yes"])
    features, _, x = fitted(table, text)
    np.testing.assert_array_equal(features.outside(table(text)), 0)
    new = table(
        columns(v=["4", "8", "-2", "1"], w=["5", "5", "7.5", "5"], c=list("abab"), on=["yes"] * 4)
    )
    sd = math.sqrt(8 / 3)
    np.testing.assert_allclose(features.outside(new), [0, 4 / sd, 2.5, 0], rtol=1e-15)
    assert 2 / sd < 2.5
    assert x.shape == (3, 5)


def test_distances_of_sizes_near_the_ends_of_float64_do_not_warn(table):
    features, _, _ = fitted(table, columns(v=["1e-300", "2e-300", "4e-300"]))
    assert features.outside(table(columns(v=["1.7e308"]))) == [np.inf]


def test_fills_ranges_and_shares_can_be_those_of_some_rows(table):
    read = table(columns(v=["1", "", "9", "5"], c=list("abab"), y=list("1234")))
    spec, _ = fit_spec(read, "y", missing="impute")
    part = spec.refit(read.take(np.array([True, True, True, False])))
    v, c = part.features.columns
    assert (v.low, v.high, v.fill, v.gaps, v.scale) == (1, 9, 5, True, 4)
    assert c.shares == (2 / 3, 1 / 3)
    assert part.features.names == spec.features.names
    assert spec.refit(read) == spec
    empty = spec.refit(read.take(np.array([False, True, False, False])))
    assert empty.features.columns[0] == spec.features.columns[0]


def test_columns_can_be_left_out(table):
    read = table("id,v,when,y\nx1,1,2020-01-01,1\nx2,2,2020-01-02,2\n")
    spec, _ = fit_spec(read, "y", drop=["id", "when"])
    assert spec.features.names == ("v",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop": ["vv"]}, 'no column "vv"; there are "v"'),
        ({"categorical": ["W"]}, 'no column "W"; there are "w"'),
        ({"drop": ["y"]}, 'target "y" is among the columns to drop'),
        ({"categorical": ["y"]}, 'target "y" is among the categorical'),
        ({"drop": ["v"], "categorical": ["v"]}, 'Categorical and to drop at once: "v"'),
        ({"drop": ["v", "w"]}, "none to predict it from"),
        ({"unseen": "zero"}, 'unseen is one of refuse, other; got "zero"'),
    ],
)
def test_choices_that_do_not_fit_the_table_are_refused(table, options, message):
    with pytest.raises(UserError, match=message):
        fit_spec(table("v,w,y\n1,2,1\n2,1,2\n"), "y", **options)


CELLS = {
    "number": st.floats(allow_nan=False, allow_infinity=False).map(repr),
    "boolean": st.sampled_from(["yes", "no"]),
    "text": st.sampled_from(["a", "b b", "ü", "=c", "0x"]),
}


@st.composite
def tables(draw):
    kinds = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    rows = draw(st.integers(3, 12))
    gap = st.just("") if draw(st.booleans()) else st.nothing()
    make = {kind: st.one_of(cells, gap) for kind, cells in CELLS.items()}
    names = [f"{kind}{i}" for i, kind in enumerate(kinds)]
    cells = [draw(st.lists(make[k], min_size=rows, max_size=rows)) for k in kinds]
    cells = [[CELL[k], *column] for k, column in zip(kinds, cells, strict=True)]
    return columns(row=[str(i) for i in range(rows + 1)], **dict(zip(names, cells, strict=True)))


CELL = {"number": "0.5", "boolean": "yes", "text": "a"}


@settings(deadline=None, max_examples=60)
@given(text=tables(), missing=st.sampled_from(["impute", "drop"]))
def test_an_encoding_comes_back_from_its_file_and_gives_the_same_finite_arrays(
    tmp_path_factory, text, missing
):
    folder = tmp_path_factory.mktemp("t")
    (folder / "t.csv").write_text(text)
    read = read_table(folder / "t.csv")
    gaps = np.any([read.column(name).missing for name in read.names], axis=0)
    assume(missing == "impute" or np.sum(~gaps) >= 2)
    features, _ = fit_features(read, read.names, missing=missing)
    store.save(features, folder / "f.posterium")
    again = store.load(folder / "f.posterium")
    assert again == features
    assert hash(again) == hash(features)
    kept = read.take(features.complete(read))
    x = again.encode(kept)
    assert x.shape == (len(kept), len(features.names))
    assert np.isfinite(x).all()
    np.testing.assert_array_equal(x, features.encode(kept))
    assert (features.outside(kept) == 0).all()
    start = 0
    for column in features.columns:
        block = x[:, start : start + len(column.names)]
        if column.kind == "categorical":
            np.testing.assert_array_equal(block.sum(axis=1), 1)
        start += len(column.names)
