"""`posterium fit --log`: what is written, and what is refused."""

import csv
import json

import pytest

FIT = ["--target", "y", "--method", "map", "--set", "steps=40", "--set", "validation=0"]


def test_a_fit_and_its_refit_are_logged_each_in_a_file(run, numbers, tmp_path):
    path = tmp_path / "run.jsonl"
    assert run("fit", numbers, *FIT, "--log", path, "--refit")[0] == 0
    for file in (path, tmp_path / "run-refit.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        assert [row["step"] for row in rows] == list(range(1, 41))
        assert "descent/log_prior" in rows[0]


def test_a_log_is_written_as_csv_by_its_name_and_not_over_another_one(run, numbers, tmp_path):
    path = tmp_path / "run.csv"
    argv = ["fit", numbers, *FIT, "--log", path]
    assert run(*argv)[0] == 0
    with path.open() as file:
        assert len(list(csv.DictReader(file))) == 40
    status, _, err = run(*argv)
    assert status == 2
    assert "exists already" in err
    assert run(*argv, "--overwrite")[0] == 0


def test_a_fit_that_goes_on_goes_on_in_its_log(run, numbers, tmp_path):
    path = tmp_path / "run.jsonl"
    argv = ["fit", numbers, *FIT, "--log", path, "--checkpoint", tmp_path / "c"]
    assert run(*argv)[0] == 0
    whole = path.read_bytes()
    assert run(*argv)[0] == 0
    assert path.read_bytes() == whole


@pytest.mark.parametrize("name", ["run.txt", "run", "run.jsonl/"])
def test_a_log_of_another_kind_is_refused(run, numbers, tmp_path, name):
    status, _, err = run("fit", numbers, *FIT, "--log", f"{tmp_path}/{name}")
    assert status == 2
    assert "--log" in err
    assert list(tmp_path.iterdir()) == []
