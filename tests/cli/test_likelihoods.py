"""Likelihoods through the command: counts, times that are cut off, ordered classes."""

import csv
import json
import re

import numpy as np
import pytest

RNG = np.random.default_rng(5)
X = RNG.normal(size=(60, 2)).round(3)
MEAN = X @ [1.0, -0.5]
TIMES = (5 * np.exp(MEAN) * RNG.weibull(1.5, 60)).round(4) + 0.01
CUT = RNG.uniform(1, 12, 60).round(4)
QUICK = ["--method", "map", "--set", "steps=60"]


def table(write, name, *columns, head):
    lines = [",".join(str(v) for v in row) for row in zip(*X.T, *columns, strict=True)]
    return write([f"a,b,{head}", *lines], name)


@pytest.fixture
def times(write):
    events = (TIMES < CUT).astype(int)
    return table(write, "times.csv", np.minimum(TIMES, CUT), events, head="time,event")


@pytest.fixture
def counts(write):
    return table(write, "n.csv", RNG.poisson(np.exp(2 + 0.5 * MEAN)), head="n")


@pytest.mark.slow
def test_times_that_are_cut_off_are_fitted_scored_and_predicted(run, times, tmp_path):
    out, predictions = tmp_path / "t.posterium", tmp_path / "p.csv"
    status, said, _ = run(
        "fit", times, "--target", "time", "--event", "event", *QUICK, "--out", out,
        "--predictions", predictions, "--json", tmp_path / "s.json",
    )  # fmt: skip
    assert status == 0
    assert "2 features" in said
    scores = json.loads((tmp_path / "s.json").read_text())
    assert {"nll", "concordance", "events", "width_90"} <= set(scores)
    assert "rmse" not in scores
    rows = list(csv.DictReader(predictions.read_text().splitlines()))
    assert {row["event"] for row in rows} <= {"0.0", "1.0"}
    assert all(float(row["lower"]) > 0 for row in rows)
    assert run("evaluate", out, times)[0] == 0
    status, _, complaints = run("report", out, times, "--out", tmp_path / "r.html")
    assert status != 0
    assert "may be cut off" in complaints


@pytest.mark.slow
@pytest.mark.parametrize("name", ["poisson", "negative_binomial", "quantile", "student_t"])
def test_a_report_is_made_of_other_likelihoods_too(run, counts, tmp_path, name):
    page = tmp_path / "r.html"
    status, *_ = run("fit", counts, "--target", "n", "--likelihood", name, *QUICK, "--report", page)
    assert status == 0
    assert "Likelihood" in page.read_text()


def test_what_a_likelihood_cannot_take_is_refused_with_its_place(run, times, counts, write):
    cases = [
        (["fit", times, "--target", "time", "--likelihood", "weibull"], "--event COLUMN"),
        (["fit", times, "--target", "a", "--event", "event"], 'column "a".*a time above 0'),
        (["fit", times, "--target", "time", "--event", "b"], 'column "b".*true/false was expected'),
        (["fit", times, "--target", "time", "--event", "time"], "also the target"),
        (["fit", times, "--target", "time", "--event", "none"], 'no column "none"'),
        (
            ["fit", times, "--target", "time", "--event", "event", "--likelihood", "gaussian"],
            "--event is for --likelihood weibull",
        ),
        (
            ["fit", times, "--target", "time", "--event", "event", "--report", "r.html"],
            "whole times",
        ),
        (["fit", counts, "--target", "a", "--likelihood", "poisson"], 'column "a".*a count'),
        (["fit", counts, "--target", "n", "--likelihood", "none"], "must be one of gaussian"),
        (
            ["fit", table(write, "w.csv", np.where(MEAN > 0, "up", "down"), head="w"),
             "--target", "w", "--likelihood", "ordinal"],
            "labels that are numbers",
        ),
    ]  # fmt: skip
    for argv, words in cases:
        status, _, complaints = run(*argv)
        assert status == 2, argv
        assert re.search(words, complaints), (argv, complaints)
