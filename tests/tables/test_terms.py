"""Refusals name settings in the terms of where a table came from."""

import pandas as pd
import pytest

from posterium.tables.errors import UserError
from posterium.tables.features import fit_features
from posterium.tables.frames import from_frame
from posterium.tables.read import read_table
from posterium.tables.terms import Options, Parameters

COLUMNS = {
    "my day": ["2024-01-02", "2024-01-03"] * 20,
    "id": [f"n{i}" for i in range(40)],
    "gap": [None, 1.0] * 20,
}


@pytest.fixture(params=["file", "frame"])
def refused(request, tmp_path):
    """Return what refuses columns of a table that is read, and what it says to do."""

    def fix(*names):
        frame = pd.DataFrame(COLUMNS)[list(names)]
        frame.to_csv(tmp_path / "t.csv", index=False)
        file = request.param == "file"
        table = read_table(tmp_path / "t.csv") if file else from_frame(frame)
        with pytest.raises(UserError) as refusal:
            fit_features(table, names)
        return request.param, refusal.value.args[1]

    return fix


def test_columns_to_leave_out(refused):
    origin, fix = refused("my day")
    assert fix.endswith({"file": 'or --drop "my day".', "frame": 'or drop "my day".'}[origin])


def test_columns_of_categories(refused):
    origin, fix = refused("id")
    assert fix.endswith({"file": "--categorical id.", "frame": 'categorical=["id"].'}[origin])
    assert {"file": "(--drop id)", "frame": '(drop "id")'}[origin] in fix


def test_choices(refused):
    origin, fix = refused("gap")
    words = {"file": ("--missing drop", "--missing impute"),
             "frame": ('missing="drop"', 'missing="impute"')}[origin]  # fmt: skip
    assert all(word in fix for word in words)


def test_several_columns():
    names = ["a", "my c"]
    assert Options().drop(names) == '--drop a --drop "my c"'
    assert Options().categorical(names) == '--categorical a --categorical "my c"'
    assert Parameters().drop(names) == 'drop "a", "my c"'
    assert Parameters().categorical(names) == 'categorical=["a", "my c"]'
