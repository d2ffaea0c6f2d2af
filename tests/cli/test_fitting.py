"""Fits through the command: what is written, and that it agrees with the library."""

import csv
import json

import numpy as np
import pytest

from posterium.cli import files
from posterium.tables.fitted import Fitted

REGRESSION = ["mean", "sd", "aleatoric_sd", "epistemic_sd", "lower", "upper", "outside"]
COMMON = ["task", "method", "n_train", "n_test"]
END = ["seconds", "verdict", "seed"]
NUMBERS = [
    "rmse", "mae", "r2", "nll", "crps", "coverage_90", "width_90", "interval_90", "sharpness",
]  # fmt: skip
CLASSES = [
    "accuracy", "confidence", "nll", "brier", "brier_reliability", "brier_resolution",
    "brier_uncertainty", "brier_within", "ece", "ece_debiased", "auroc", "misclassified_auroc",
    "misclassified_aupr", "aurc", "excess_aurc",
]  # fmt: skip


def rows(path_or_text):
    text = path_or_text if isinstance(path_or_text, str) else path_or_text.read_text()
    return list(csv.DictReader(text.splitlines()))


def column(table, name):
    return np.array([float(row[name]) for row in table])


@pytest.fixture(scope="module")
def fitted(numbers, tmp_path_factory):
    """Fit the numeric table exactly; return the folder of what was written."""
    from posterium.cli import main

    folder = tmp_path_factory.mktemp("fitted")
    status = main(
        ["fit", str(numbers), "--target", "y", "--method", "exact", "--seed", "7",
         "--out", str(folder / "m.posterium"), "--predictions", str(folder / "p.csv"),
         "--json", str(folder / "r.json")]
    )  # fmt: skip
    assert status == 0
    return folder


def test_a_fit_writes_scores_under_the_agreed_keys(fitted):
    report = json.loads((fitted / "r.json").read_text())
    assert list(report) == [*COMMON, *NUMBERS, "standard_errors", *END]
    assert list(report["standard_errors"]) == NUMBERS
    assert (report["n_train"], report["n_test"]) == (54, 6)
    assert (report["task"], report["method"]) == ("regression", "exact")
    assert (report["verdict"], report["seed"]) == ("ok", 7)


def test_the_written_scores_are_those_of_the_written_predictions(fitted):
    report, table = json.loads((fitted / "r.json").read_text()), rows(fitted / "p.csv")
    mean, sd, y = (column(table, name) for name in ("mean", "sd", "observed"))
    assert report["rmse"] == pytest.approx(np.sqrt(np.mean((mean - y) ** 2)), rel=1e-12)
    error = np.std(np.abs(mean - y), ddof=1) / np.sqrt(len(y))
    assert report["standard_errors"]["mae"] == pytest.approx(error, rel=1e-12)
    inside = (column(table, "lower") <= y) & (y <= column(table, "upper"))
    assert report["coverage_90"] == pytest.approx(inside.mean())
    gaussian = np.mean(0.5 * ((y - mean) / sd) ** 2 + np.log(sd) + 0.5 * np.log(2 * np.pi))
    assert report["nll"] == pytest.approx(gaussian, rel=1e-9)


def test_held_out_predictions_name_their_rows_in_order(fitted, numbers):
    table, all_rows = rows(fitted / "p.csv"), rows(numbers)
    assert list(table[0]) == [*REGRESSION, "row", "observed"]
    places = [int(row["row"]) for row in table]
    assert places == sorted(set(places))
    assert [float(all_rows[i - 1]["y"]) for i in places] == column(table, "observed").tolist()


def test_predict_gives_the_same_numbers_as_the_fit_whatever_the_order(
    fitted, numbers, run, tmp_path
):
    held = rows(fitted / "p.csv")
    other = tmp_path / "other.csv"
    picked = [rows(numbers)[int(row["row"]) - 1] for row in held]
    other.write_text(
        "extra,right,left\n" + "".join(f"9,{row['right']},{row['left']}\n" for row in picked)
    )
    status, out, err = run("predict", fitted / "m.posterium", other)
    assert status == 0
    assert "extra" in err
    assert list(rows(out)[0]) == REGRESSION
    for name in REGRESSION:
        assert column(rows(out), name).tolist() == column(held, name).tolist()


def test_the_level_sets_the_interval(fitted, numbers, run):
    status, out, _ = run("predict", fitted / "m.posterium", numbers, "--level", "0.5")
    assert status == 0
    table = rows(out)
    half = 0.6744897501960817 * column(table, "sd")
    np.testing.assert_allclose(column(table, "upper"), column(table, "mean") + half, rtol=1e-9)
    assert len(table) == 60


def test_a_table_without_rows_gives_a_header(fitted, run, tmp_path):
    (tmp_path / "none.csv").write_text("left,right\n")
    target = tmp_path / "p.csv"
    status, out, _ = run("predict", fitted / "m.posterium", tmp_path / "none.csv", "--out", target)
    assert (status, out) == (0, f"Predictions of 0 rows: {target}\n")
    assert target.read_text() == ",".join(REGRESSION) + "\n"


def test_evaluate_writes_the_keys_of_a_fit(fitted, numbers, run, tmp_path):
    target = tmp_path / "e.json"
    status, out, err = run("evaluate", fitted / "m.posterium", numbers, "--json", target)
    report = json.loads(target.read_text())
    assert (status, err) == (0, "")
    assert list(report) == list(json.loads((fitted / "r.json").read_text()))
    assert (report["n_train"], report["n_test"], report["seed"]) == (54, 60, 7)
    assert report["rmse"] < 0.15
    *scores, last = out.splitlines()
    errors = report.pop("standard_errors")
    assert [line.split()[0] for line in scores] == list(report)
    (shown,) = (line for line in scores if line.startswith("mae "))
    assert shown.split()[1:] == [f"{report['mae']:.6g}", "+-", f"{errors['mae']:.2g}"]
    assert last == f"Scores: {target}"


def test_info_says_what_the_file_holds(fitted, run):
    status, out, _ = run("info", fitted / "m.posterium")
    assert status == 0
    for said in ("exact", "float64", "ok", '"left"', '"right"', '"y"', "54", "7", "nats", "256"):
        assert said in out


def test_a_refit_is_the_fit_of_all_rows(fitted, numbers, run, tmp_path):
    files_of = [tmp_path / "refit.posterium", tmp_path / "all.posterium"]
    options = ["--target", "y", "--method", "exact", "--seed", "7"]
    status, out, _ = run("fit", numbers, *options, "--refit", "--out", files_of[0])
    assert status == 0
    assert "Fitting all 60 rows" in out
    assert run("fit", numbers, *options, "--test-fraction", "0", "--out", files_of[1])[0] == 0
    refit, whole, part = (files.read(str(f)) for f in (*files_of, fitted / "m.posterium"))
    x = np.array([[0.3, -0.2]])
    assert refit.model.predict(x).mean == whole.model.predict(x).mean
    assert refit.model.predict(x).mean != part.model.predict(x).mean
    assert refit.record["n_train"] == whole.record["n_train"] == 60


def test_nothing_held_out_gives_no_scores(numbers, run, tmp_path):
    target = tmp_path / "r.json"
    options = ["--target", "y", "--method", "exact", "--test-fraction", "0", "--json", target]
    assert run("fit", numbers, *options)[0] == 0
    assert list(json.loads(target.read_text())) == [*COMMON, *END]


def test_classes_come_back_as_they_were_written(words, run, tmp_path):
    model, held, result = (tmp_path / name for name in ("m.posterium", "p.csv", "r.json"))
    options = ["--target", "tree", "--method", "map", "--set", "steps=300", "--draws", "1"]
    written = ["--out", model, "--predictions", held, "--json", result]
    assert run("fit", words, *options, *written)[0] == 0
    report = json.loads(result.read_text())
    assert list(report) == [*COMMON, *CLASSES, "standard_errors", *END]
    parts = [report[f"brier_{part}"] for part in ("reliability", "resolution", "uncertainty")]
    whole = parts[0] - parts[1] + parts[2] + report["brier_within"]
    assert whole == pytest.approx(report["brier"], abs=1e-12)
    status, out, _ = run("predict", model, words)
    table = rows(out)
    probs = ["p_=oak", "p_ash", "p_fir, red"]
    assert status == 0
    assert list(table[0]) == ["label", *probs, "entropy", "mutual_information", "outside"]
    assert [row["label"] for row in table][:3] == ["=oak", "fir, red", "ash"]
    np.testing.assert_allclose(sum(column(table, name) for name in probs), 1, rtol=1e-6)
    assert sorted(row["observed"] for row in rows(held)) == sorted(["=oak", "fir, red", "ash"] * 2)


@pytest.fixture(scope="module")
def failed(numbers, tmp_path_factory):
    """Fit with a learning rate that breaks the fit; return status and folder."""
    from posterium.cli import main

    folder = tmp_path_factory.mktemp("failed")
    status = main(
        ["fit", str(numbers), "--target", "y", "--method", "map", "--set", "steps=40",
         "--set", "learning_rate=1e30", "--out", str(folder / "m.posterium"),
         "--predictions", str(folder / "p.csv"), "--json", str(folder / "r.json")]
    )  # fmt: skip
    return status, folder


def test_a_failed_fit_is_saved_with_its_verdict_and_exits_with_1(failed):
    status, folder = failed
    assert status == 1
    assert isinstance(files.read(str(folder / "m.posterium")).model, Fitted)
    report = json.loads((folder / "r.json").read_text())
    assert report["verdict"] == "failed"
    assert "rmse" not in report
    assert not (folder / "p.csv").exists()


def test_predictions_of_a_failed_fit_are_refused(failed, numbers, run):
    status, out, err = run("predict", failed[1] / "m.posterium", numbers)
    assert (status, out) == (1, "")
    assert "not finite" in err


def test_strict_turns_a_warning_into_status_1(tmp_path, run):
    table = tmp_path / "constant.csv"
    table.write_text("a,y\n" + "".join(f"{i / 7},3\n" for i in range(20)))
    options = ["--target", "y", "--method", "exact", "--set", "steps=1"]
    assert run("fit", table, *options)[0] == 0
    status, _, err = run("fit", table, *options, "--strict")
    assert status == 1
    assert "warned: " in err
