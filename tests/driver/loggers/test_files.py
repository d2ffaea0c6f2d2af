"""Logs in files: read back by the standard library; cut back where steps go back."""

import csv
import json
import math

import pytest
from tests.driver.problems import DATA, KEY, MODEL, SINGLE

from posterium import CSVLogger, JSONLLogger, fit
from posterium.driver import fit as loop

BOTH = pytest.mark.parametrize("kind", [JSONLLogger, CSVLogger])


def rows(path):
    """Return the rows of a file, numbers as numbers, cells and values that are empty left out."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return [
            {name: float(cell) for name, cell in row.items() if cell}
            for row in csv.DictReader(file, strict=True)
        ]


@pytest.fixture
def path(kind, tmp_path):
    return tmp_path / ("run.jsonl" if kind is JSONLLogger else "run.csv")


@BOTH
def test_rows_come_back_as_they_went_in(kind, path):
    logger = kind(path)
    logger.log({"a/x": 1 / 3, "a/y": 2.0}, 1)
    logger.log({"a/x": -1e-300, "a/y": 3.0}, 2)
    assert rows(path) == [
        {"step": 1, "a/x": 1 / 3, "a/y": 2.0}, {"step": 2, "a/x": -1e-300, "a/y": 3.0},
    ]  # fmt: skip


@BOTH
def test_new_names_may_come_at_any_row_and_old_ones_stay_away(kind, path):
    logger = kind(path)
    for step, values in enumerate(({"a": 1.0}, {"a": 2.0}, {'b,"c"': 3.0}, {"a": 4.0}), 1):
        logger.log(values, step)
    assert rows(path)[2] == {"step": 3, 'b,"c"': 3.0}
    assert [row.get("a") for row in rows(path)] == [1.0, 2.0, None, 4.0]


def test_numbers_that_are_not_finite_are_null_in_json_and_words_in_csv(tmp_path):
    for logger in (JSONLLogger(tmp_path / "r.jsonl"), CSVLogger(tmp_path / "r.csv")):
        logger.log({"a": math.nan, "b": -math.inf}, 1)
    assert rows(tmp_path / "r.jsonl") == [{"step": 1, "a": None, "b": None}]
    assert (tmp_path / "r.csv").read_text() == "step,a,b\n1,nan,-inf\n"


@BOTH
def test_a_new_log_drops_what_the_file_held_from_its_first_step_on(kind, path):
    for start, stop in ((1, 6), (4, 8)):
        logger = kind(path)
        for step in range(start, stop):
            logger.log({f"from_{start}": float(step)}, step)
    assert [row["step"] for row in rows(path)] == [1, 2, 3, 4, 5, 6, 7]
    assert [set(row) for row in rows(path)][2:4] == [{"step", "from_1"}, {"step", "from_4"}]


@BOTH
def test_one_logger_begins_anew_when_steps_go_back_and_goes_on_when_they_do_not(kind, path):
    logger = kind(path)
    for step in (5, 9):
        logger.log({"a": 0.0}, step)
    logger.log({"test/rmse": 1.0}, 9)
    assert [row["step"] for row in rows(path)] == [5, 9, 9]
    logger.log({"a": 0.0}, 5)
    assert [row["step"] for row in rows(path)] == [5]


@BOTH
def test_a_row_that_a_crash_cut_short_is_dropped(kind, path):
    logger = kind(path)
    for step in (1, 2, 3):
        logger.log({"a": 0.125}, step)
    path.write_bytes(path.read_bytes()[:-3])
    kind(path).log({"a": 0.5}, 3)
    assert [row["step"] for row in rows(path)] == [1, 2, 3]
    assert rows(path)[-1]["a"] == 0.5


@BOTH
@pytest.mark.parametrize(
    "content", ["name,age\nann,3\n", '{"name": "ann"}\n', "[1]\n", "\x00\n", "1"]
)
def test_a_file_that_is_no_log_is_left_alone(kind, path, content):
    path.write_text(content)
    with pytest.raises(ValueError, match="expects a new file, or one that it wrote"):
        kind(path).log({"a": 1.0}, 1)
    assert path.read_text() == content


@BOTH
def test_a_folder_that_is_not_there_is_told_at_once(kind, tmp_path):
    with pytest.raises(FileNotFoundError, match="Make the folder first"):
        kind(tmp_path / "runs" / "run")


@BOTH
def test_the_log_of_a_fit_that_dies_again_and_again_is_that_of_a_whole_one(
    kind, path, tmp_path, monkeypatch
):
    fit(KEY, MODEL, DATA, SINGLE, callbacks=[kind(path)])
    whole = path.read_bytes()
    monkeypatch.setattr(loop, "PROBE_STEPS", 7)
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 1e-9)

    def dying(after):
        left = [None] * after

        def callback(report):
            if not left:
                raise InterruptedError
            left.pop()

        return callback

    deaths = 0
    for after in (2, 0, 3, 1, 1000):
        try:
            fit(KEY, MODEL, DATA, SINGLE, checkpoint=tmp_path / "c",
                callbacks=[kind(path), dying(after)])  # fmt: skip
        except InterruptedError:
            deaths += 1
    assert deaths == 4
    assert path.read_bytes() == whole
