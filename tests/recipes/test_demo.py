"""The demonstration's picture, from a file of predictions; the whole of it is a slow test."""

import json

import numpy as np
import pytest

from posterium.recipes import demo

ROWS = "mean,sd,lower,upper,row,observed\n30.0,2.0,27.0,33.0,4,31.0\n50.0,2.0,47.0,53.0,9,60.0\n"


def test_the_picture_is_drawn_from_the_intervals_in_the_file(tmp_path, monkeypatch):
    seen = []
    right = demo.predicted_observed
    monkeypatch.setattr(
        demo, "predicted_observed", lambda *given, **named: seen.append(right(*given, **named))
    )
    (tmp_path / "predictions.csv").write_text(ROWS)
    demo.draw(tmp_path / "predictions.csv", tmp_path / "intervals.png")
    held, _, missed, _ = seen[0].collections
    np.testing.assert_array_equal(held.get_segments()[0], [[31, 27], [31, 33]])
    np.testing.assert_array_equal(missed.get_segments()[0], [[60, 47], [60, 53]])
    assert (tmp_path / "intervals.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_demonstration_writes_its_files_and_may_run_again(tmp_path):
    for _ in range(2):
        assert demo.main(str(tmp_path / "demo")) == 0
    written = {file.name for file in (tmp_path / "demo").iterdir()}
    assert {"model.posterium", "predictions.csv", "scores.json", "intervals.png"} <= written
    assert "report.html" in written
    scores = json.loads((tmp_path / "demo" / "scores.json").read_text())
    assert scores["n_train"] + scores["n_test"] == 1030
    assert scores["rmse"] < 8
