"""Frames of pandas and polars, and Parquet files, become the tables that CSV files become."""

import datetime
import decimal
import io
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

from posterium.tables import parquet
from posterium.tables.encode import fit_spec
from posterium.tables.errors import UserError
from posterium.tables.features import fit_features
from posterium.tables.frames import from_frame, is_frame
from posterium.tables.read import read_table

CSV = """size,count,on,colour,word,y
1.5,3,yes,red,a,1
2.5,1,no,blue,b,2
,2,,red,,3
-1e300,4,yes,,a,4
"""
PANDAS = pd.DataFrame(
    {
        "size": [1.5, 2.5, np.nan, -1e300],
        "count": pd.array([3, 1, 2, 4], "Int64"),
        "on": pd.array([True, False, None, True], "boolean"),
        "colour": pd.Categorical(["red", "blue", "red", None]),
        "word": ["a", "b", None, "a"],
        "y": [1, 2, 3, 4],
    }
)
POLARS = pl.DataFrame(
    {
        "size": [1.5, 2.5, None, -1e300],
        "count": pl.Series([3, 1, 2, 4], dtype=pl.UInt8),
        "on": [True, False, None, True],
        "colour": pl.Series(["red", "blue", "red", None], dtype=pl.Categorical),
        "word": pl.Series(["a", "b", None, "a"], dtype=pl.Enum(["a", "b", "c"])),
        "y": [1.0, 2.0, 3.0, 4.0],
    }
)


def csv_table(tmp_path):
    (tmp_path / "t.csv").write_text(CSV)
    return read_table(tmp_path / "t.csv")


def parquet_table(tmp_path):
    POLARS.write_parquet(tmp_path / "t")
    return read_table(tmp_path / "t")


@pytest.mark.parametrize(
    "make",
    [
        lambda _: from_frame(PANDAS),
        lambda _: from_frame(PANDAS.astype({"word": "string", "colour": object})),
        lambda _: from_frame(PANDAS.astype({"on": object, "count": object, "size": "Float64"})),
        lambda _: from_frame(PANDAS.set_index([[7, 7, 1, 0]])),
        lambda _: from_frame(POLARS),
        parquet_table,
    ],
    ids=["pandas", "pandas strings", "pandas objects", "pandas index", "polars", "parquet"],
)
def test_a_frame_is_encoded_as_the_csv_file_of_the_same_cells(tmp_path, make):
    expected, found = csv_table(tmp_path), make(tmp_path)
    options = {"missing": "impute", "categorical": ["count"]}
    spec, _ = fit_spec(expected, "y", **options)
    assert fit_spec(found, "y", **options)[0] == spec
    for one, other in ((spec, found), (fit_spec(found, "y", **options)[0], expected)):
        np.testing.assert_array_equal(one.features.encode(other), spec.features.encode(expected))
        np.testing.assert_array_equal(one.target(other), [1, 2, 3, 4])


def test_refusals_of_frames_count_rows():
    with pytest.raises(UserError, match=r'"size" \(1, first in row 3\)'):
        fit_spec(from_frame(PANDAS[["size", "y"]]), "y")
    with pytest.raises(UserError, match=r'^X, row 2, column "v": "inf" found'):
        fit_features(from_frame(pd.DataFrame({"v": [1.0, np.inf]}), "X"), ["v"])


def test_frames_are_known_without_their_libraries():
    assert is_frame(PANDAS)
    assert is_frame(POLARS)
    assert is_frame(type("Sub", (pd.DataFrame,), {})())
    for other in (PANDAS["size"], POLARS["size"], np.zeros((2, 2)), None, {"a": [1]}):
        assert not is_frame(other)
    with pytest.raises(UserError, match="expected; got a ndarray"):
        from_frame(np.zeros((2, 2)))


DATES = [datetime.datetime(2024, 1, 31), datetime.datetime(2024, 2, 1)]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pd.Series(DATES), "holds dates or times .datetime64"),
        (pd.Series([DATES[0].date(), None], dtype=object), "holds dates or times .date."),
        (pd.Series(pd.period_range("2024-01", periods=2)), "holds dates or times"),
        (pd.Series(DATES) - pd.Timestamp(0), "holds dates or times .timedelta64"),
        (pl.Series(DATES), "holds dates or times .Datetime"),
        (pl.Series([d.date() for d in DATES]), "holds dates or times .Date"),
        (pd.Series([[1], [2]]), "of the type list; numbers, true/false or text were expected"),
        (pd.Series([1j, 2j]), "of the type complex128"),
        (pd.Series(pd.interval_range(0, 2)), "of the type Interval"),
        (pl.Series([[1], [2]]), r"of the type List.Int64"),
        (pl.Series([{"a": 1}, {"a": 2}]), "of the type Struct"),
        (pl.Series([b"a", b"b"]), "of the type Binary"),
        (pd.Series(["1", 2.5, "x", True]), '"x" found: a number was expected'),
    ],
)
def test_columns_of_other_types_are_refused_unless_they_are_left_out(column, message):
    library = pd if isinstance(column, pd.Series) else pl
    frame = library.DataFrame({"v": column, "w": range(len(column)), "y": range(len(column))})
    with pytest.raises(UserError, match=message) as refusal:
        fit_spec(from_frame(frame), "y")
    assert 'drop "v"' in str(refusal.value)
    with pytest.raises(UserError):
        fit_spec(from_frame(frame.rename(columns={"y": "z"}) if library is pd else frame), "v")
    assert fit_spec(from_frame(frame), "y", drop=["v"])[0].features.names == ("w",)


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        ([1, 2.5, decimal.Decimal("0.25")], "number", [1, 2.5, 0.25]),
        (["1", 2, None], "number", [1, 2, np.nan]),
        ([True, None, np.bool_(False)], "boolean", [1, np.nan, 0]),
        ([np.int8(3), 10**400, -(10**400)], "number", [3, np.inf, -np.inf]),
        ([None, np.nan, pd.NA], "number", [np.nan] * 3),
        (["yes", "No", " "], "boolean", [1, 0, np.nan]),
    ],
)
def test_objects_of_pandas_are_read_by_what_they_are(cells, kind, values):
    column = from_frame(pd.DataFrame({"v": pd.Series(cells, dtype=object)})).column("v")
    assert column.kind == kind
    np.testing.assert_array_equal(column.values, values)


@pytest.mark.parametrize("dtype", ["int8", "uint64", "float32", "bool", "Float32", "UInt16"])
def test_numbers_of_every_type_need_no_polars(dtype, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    frame = pd.DataFrame({"v": pd.array([0, 1, 1], dtype=dtype), "y": [0.5, 1.5, 2.5]})
    spec, _ = fit_spec(from_frame(frame), "y")
    np.testing.assert_array_equal(spec.features.encode(from_frame(frame)), [[0], [1], [1]])


def test_text_without_polars_is_refused_with_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(UserError, match=r'pip install "posterium\[tables\]"'):
        from_frame(pd.DataFrame({"v": ["a", "b"]})).column("v")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([True, False, True], (False, True)),
        (pd.array([5, 7, 5], "Int8"), (5, 7)),
        ([0.5, 1.0, 0.5], (0.5, 1.0)),
        (["b", "a", "b"], ("a", "b")),
        (pd.Categorical([3, 1, 3]), ("1", "3")),
    ],
)
def test_labels_keep_the_type_they_have_in_a_frame(labels, classes):
    table = from_frame(pd.DataFrame({"v": [1.0, 2.0, 3.5], "y": labels}))
    spec, _ = fit_spec(table, "y", "classification")
    assert spec.classes == classes
    assert {type(label) for label in spec.classes} == {type(classes[0])}
    given = [str(label) if type(classes[0]) is str else label for label in labels]
    assert [classes[i] for i in spec.target(table)] == given


def test_names_that_are_no_text_become_text_and_may_not_be_the_same():
    assert from_frame(pd.DataFrame(np.zeros((1, 2)))).names == ("0", "1")
    with pytest.raises(UserError, match="more than once"):
        from_frame(pd.DataFrame(np.zeros((1, 2)), columns=[1, "1"]))


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_integers_that_numbers_do_not_tell_apart_are_no_categories_nor_labels(make):
    table = from_frame(make({"a": [2**53, 2**53 + 1] * 5, "y": range(10)}))
    with pytest.raises(UserError, match="too large to be told apart"):
        fit_features(table, ["a"], categorical=["a"])
    with pytest.raises(UserError, match="too large to be told apart"):
        fit_spec(table, "a", "classification")
    text = pd.DataFrame({"a": pd.Series([2**53, 2**53 + 1] * 5, dtype="category")})
    assert fit_features(from_frame(text), ["a"])[0].names == (f"a = {2**53}", f"a = {2**53 + 1}")


def test_declared_categories_need_not_be_few_nor_look_like_words():
    codes = [f"{i} kg" for i in range(60)] * 2
    for frame in (
        pd.DataFrame({"v": pd.Categorical(codes)}),
        pl.DataFrame({"v": codes}, schema={"v": pl.Categorical}),
    ):
        features, _ = fit_features(from_frame(frame), ["v"])
        assert len(features.names) == 60


def test_pandas_and_polars_are_not_imported_for_one_another():
    code = """import sys
import numpy as np, pandas as pd
from posterium.tables.frames import from_frame
table = from_frame(pd.DataFrame({"a": [1.0, 2.0]}))
table.column("a")
assert "polars" not in sys.modules
del pd
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    code = """import sys
import polars
from posterium.tables.frames import from_frame
from_frame(polars.DataFrame({"a": ["x", "y"]})).column("a")
assert "pandas" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_damaged_parquet_files_are_refused(tmp_path):
    out = io.BytesIO()
    POLARS.write_parquet(out)
    whole = out.getvalue()
    for cut in (4, 5, 12, len(whole) // 2, len(whole) - 1):
        (tmp_path / "t").write_bytes(whole[:cut])
        with pytest.raises(UserError, match="looks like a Parquet file, but cannot be read"):
            read_table(tmp_path / "t")


def test_a_parquet_file_of_more_cells_than_memory_is_refused_before_it_is_expanded(
    tmp_path, monkeypatch
):
    pl.DataFrame({"a": np.zeros(100_000), "y": np.zeros(100_000)}).write_parquet(tmp_path / "t")
    assert (tmp_path / "t").stat().st_size < 10_000
    free = 2 * 100_000 * parquet.BYTES_PER_CELL
    monkeypatch.setattr(parquet, "available_memory", lambda: free - 1)
    monkeypatch.setattr(pl, "read_parquet", None)
    with pytest.raises(UserError, match=r"100,000 rows of 2 columns, which take about 9,600,000"):
        read_table(tmp_path / "t")
