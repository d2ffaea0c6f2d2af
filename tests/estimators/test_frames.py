"""Frames of pandas and polars: columns of text, missing cells, names, and the command line."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from posterium import BayesianRegressor
from posterium.estimators.inputs import known

RNG = np.random.default_rng(8)
N = 60
COLUMNS = {
    "age": RNG.normal(50, 9, N),
    "colour": RNG.choice(["red", "blue", "green"], N),
    "member": RNG.random(N) > 0.5,
}
PRICE = COLUMNS["age"] + 5.0 * (COLUMNS["colour"] == "red") + RNG.normal(size=N)
FRAME = pd.DataFrame(COLUMNS)
TARGET = pd.Series(PRICE, name="price")


def exact(**settings):
    return BayesianRegressor(method="exact", **settings)


MODEL = exact().fit(FRAME, TARGET)
ANSWER = MODEL.predict(FRAME)


def test_text_becomes_a_column_a_level():
    assert MODEL.features_.names == ("age", "colour = blue", "colour = green", "colour = red",
                                     "member")  # fmt: skip
    assert MODEL.feature_names_in_.tolist() == ["age", "colour", "member"]
    assert MODEL.n_features_in_ == 3
    assert any("colour" in note for note in MODEL.notes_)
    x = np.column_stack([FRAME.age, *(FRAME.colour == c for c in ("blue", "green", "red")),
                         FRAME.member])  # fmt: skip
    assert np.allclose(exact().fit(x, PRICE).predict(x), ANSWER, rtol=1e-12)
    assert MODEL.score(FRAME, TARGET) > 0.95


def test_polars_gives_what_pandas_gives():
    frame = pl.DataFrame(COLUMNS)
    twin = exact().fit(frame, pl.Series("price", PRICE))
    assert twin.predict(frame).tobytes() == ANSWER.tobytes()
    assert MODEL.predict(frame).tobytes() == ANSWER.tobytes()
    assert twin.target_name_ == "price"


def test_names_that_do_not_match_meet_the_errors_of_scikit_learn():
    for wrong in (FRAME[["colour", "age", "member"]], FRAME.drop(columns="age"),
                  FRAME.rename(columns={"age": "years"})):  # fmt: skip
        with pytest.raises(ValueError, match="The feature names should match those"):
            MODEL.predict(wrong)
    numbers = exact().fit(FRAME[["age"]], TARGET)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        found = numbers.predict(FRAME[["age"]].to_numpy())
    assert found.tobytes() == numbers.predict(FRAME[["age"]]).tobytes()
    with pytest.raises(ValueError, match="has 2 features, but BayesianRegressor is expecting 1"):
        exact().fit(FRAME[["age"]].to_numpy(), TARGET).predict(np.zeros((2, 2)))


def test_a_category_that_was_not_fitted_is_refused_in_the_words_of_python():
    wrong = FRAME.assign(colour="pink")
    with pytest.raises(ValueError, match=r'no level that was fitted.*\n.*unseen="other"'):
        MODEL.predict(wrong)
    assert np.isfinite(exact(unseen="other").fit(FRAME, TARGET).predict(wrong)).all()


def test_numbers_can_be_categories():
    frame = pd.DataFrame({"size": np.arange(N) % 3})
    y = np.array([5.0, -1.0, 3.0])[frame["size"]] + 0.1 * RNG.normal(size=N)
    model = exact(categorical=("size",)).fit(frame, y)
    assert model.features_.names == ("size = 0", "size = 1", "size = 2")
    assert model.score(frame, y) > 0.99
    assert exact(categorical=("x0",)).fit(frame.to_numpy(), y).score(frame.to_numpy(), y) > 0.99


OTHER = RNG.normal(size=N)


def holes(where):
    x = np.column_stack([COLUMNS["age"], OTHER])
    x[where, 0] = np.nan
    return x


@pytest.mark.parametrize("frame", [np.asarray, pd.DataFrame, lambda x: pl.DataFrame(x, ["a", "b"])])
def test_missing_cells_are_refused_dropped_or_filled(frame):
    gaps = np.arange(N) < 10
    x = frame(holes(gaps))
    with pytest.raises(ValueError, match=r"NaN|missing"):
        exact().fit(x, PRICE)
    dropped = exact(missing="drop").fit(x, PRICE)
    whole = exact().fit(holes(gaps)[~gaps], PRICE[~gaps])
    probe = holes([])
    assert np.allclose(dropped.predict(frame(probe)), whole.predict(probe), rtol=1e-12)
    assert any("10" in note for note in dropped.notes_)
    with pytest.raises(ValueError, match=r'missing values in .*\n.*missing="impute"'):
        dropped.predict(x)
    filled = exact(missing="impute").fit(x, PRICE)
    median = np.where(gaps, np.median(holes(gaps)[~gaps, 0]), holes(gaps)[:, 0])
    by_hand = np.column_stack([median, gaps, np.asarray(x)[:, 1]])
    assert np.allclose(filled.predict(x), exact().fit(by_hand, PRICE).predict(by_hand), rtol=1e-10)
    assert filled.__sklearn_tags__().input_tags.allow_nan
    assert not dropped.__sklearn_tags__().input_tags.allow_nan


@pytest.mark.parametrize("missing", ["drop", "impute"])
@pytest.mark.parametrize("column", [np.asarray, pd.Series, lambda y: pl.Series("y", y)])
def test_rows_without_a_target_are_left_out_with_a_note(missing, column):
    gaps = np.arange(N) < 7
    with pytest.raises(ValueError, match="NaN"):
        exact().fit(FRAME, column(np.where(gaps, np.nan, TARGET)))
    found = exact(missing=missing).fit(FRAME, column(np.where(gaps, np.nan, TARGET)))
    whole = exact(missing=missing).fit(FRAME[~gaps], TARGET[~gaps])
    assert np.array_equal(found.predict(FRAME), whole.predict(FRAME))
    assert any("cells: 7." in note for note in found.notes_)


def test_any_sign_of_a_missing_label_counts():
    labels = pd.Series(["a", None, pd.NA, np.nan, "b"], dtype="object")
    assert known(labels).tolist() == [True, False, False, False, True]
    assert known(np.array([[1, 2], [3, 4]])).tolist() == [True, True]


@pytest.mark.parametrize("x", [FRAME.to_numpy(), np.array([["a"]] * N)])
def test_text_in_an_array_is_refused_with_a_way_out(x):
    for call in (lambda: exact().fit(x, TARGET), lambda: MODEL.predict(x)):
        with pytest.raises(ValueError, match=r"Expected numbers; .* Give text columns in a frame"):
            call()
    with pytest.raises(ValueError, match="text as y is for BayesianClassifier"):
        exact().fit(FRAME[["age"]], FRAME["colour"])


def test_rows_of_weight_zero_teach_no_level_and_no_fill():
    weight = np.ones(N)
    weight[:5] = 0
    odd = FRAME.copy()
    odd.loc[:4, "colour"] = "odd"
    model = exact().fit(odd, TARGET, sample_weight=weight)
    assert model.features_.names == MODEL.features_.names
    rest = exact().fit(FRAME[5:], TARGET[5:])
    assert np.allclose(model.predict(FRAME), rest.predict(FRAME), rtol=1e-12)


def test_the_frames_of_a_pipeline_are_taken():
    numbers = FRAME[["age"]].assign(other=RNG.normal(size=N))
    for kind in ("pandas", "polars"):
        pipe = make_pipeline(StandardScaler(), exact()).set_output(transform=kind)
        assert pipe.fit(numbers, TARGET)[-1].feature_names_in_.tolist() == ["age", "other"]
        assert pipe.score(numbers, TARGET) > 0.8


def test_the_file_of_a_frame_gives_the_estimator_and_serves_the_command_line(tmp_path):
    MODEL.save(tmp_path / "m.posterium")
    again = BayesianRegressor.load(tmp_path / "m.posterium")
    assert again.predict(FRAME).tobytes() == ANSWER.tobytes()
    assert again.feature_names_in_.tolist() == ["age", "colour", "member"]
    assert again.n_features_in_ == 3
    FRAME.assign(price=PRICE).to_csv(tmp_path / "t.csv", index=False)
    command = [Path(sys.executable).parent / "posterium", "predict", "m.posterium", "t.csv"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    means = [float(line.split(",")[0]) for line in run.stdout.splitlines()[1:]]
    assert np.array_equal(means, ANSWER)


def test_a_file_fitted_on_an_array_gives_the_estimator(tmp_path):
    x = np.column_stack([COLUMNS["age"], RNG.normal(size=N)])
    for missing in ("refuse", "impute"):
        model = exact(missing=missing).fit(x, PRICE)
        model.save(tmp_path / missing)
        again = BayesianRegressor.load(tmp_path / missing)
        assert again.predict(x).tobytes() == model.predict(x).tobytes()
        assert again.n_features_in_ == 2
        assert not hasattr(again, "feature_names_in_")


@pytest.mark.parametrize(
    ("more", "fix"),
    [
        ({"the name": "text"}, r'drop "the name", "id"\), .* categorical=\["the name"\]\.$'),
        ({"sold": "2024-01-31"}, r'the month\), or drop "sold", "id"\.$'),
    ],
)
def test_refusals_of_columns_name_no_options_of_the_command(more, fix):
    cells = {name: [f"{text}{i if text == 'text' else ''}" for i in range(N)]
             for name, text in more.items()}  # fmt: skip
    with pytest.raises(ValueError, match=fix):
        exact().fit(FRAME.assign(**cells, id=[f"K{i}" for i in range(N)]), PRICE)
