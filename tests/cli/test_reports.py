"""Reports by the command: beside a fit, and on a saved model."""

import html
import importlib.util
import re
import shlex

import pytest

from posterium.cli.report import command_of


def command_on(page):
    """Return the command on a page, word by word."""
    return shlex.split(html.unescape(re.search(r"<pre>(.*?)</pre>", page, re.DOTALL).group(1)))


@pytest.fixture(scope="module")
def made(numbers, tmp_path_factory):
    """Fit with a report and a model; return their folder."""
    from posterium.cli import main

    folder = tmp_path_factory.mktemp("reported")
    status = main(
        ["fit", str(numbers), "--target", "y", "--method", "exact", "--seed", "7",
         "--test-fraction", "0.5", "--report", str(folder / "r.html"),
         "--out", str(folder / "m.posterium")]
    )  # fmt: skip
    assert status == 0
    return folder


def test_a_fit_reports_on_the_rows_it_held_out(made):
    page = (made / "r.html").read_text()
    assert "30 rows held out" in page
    assert "Time to fit" in page
    assert "numbers.csv" in page


def test_the_command_on_the_page_makes_the_same_page(made, run, tmp_path, monkeypatch):
    page = (made / "r.html").read_text()
    words = command_on(page)
    assert words[:2] == ["posterium", "fit"]
    monkeypatch.chdir(tmp_path)
    status, _, err = run(*words[1:])
    assert status == 0, err
    again = (tmp_path / "r.html").read_text()
    timed = re.compile(r"<dt>Time to fit</dt><dd>.*?</dd>")
    assert timed.sub("", again) == timed.sub("", page)


def test_the_command_reads_what_the_fit_read(numbers, run, tmp_path, monkeypatch):
    with open(numbers) as file:
        monkeypatch.setattr("sys.stdin", file)
        options = ("--target", "y", "--method", "exact", "--report", tmp_path / "r.html")
        assert run("fit", "-", *options)[0] == 0
    assert command_on((tmp_path / "r.html").read_text())[2] == "-"


def test_a_report_beside_a_refit_says_that_another_model_is_saved(numbers, run, tmp_path):
    options = ("--target", "y", "--method", "exact", "--refit", "--report")
    assert run("fit", numbers, *options, tmp_path / "r.html")[0] == 0
    text = (tmp_path / "r.html").read_text()
    assert "60: 54 fitted, 6 held out" in text
    assert "The saved model is another: it was then fitted to all rows" in text
    run("fit", numbers, *options[:-2], "--report", tmp_path / "s.html")
    assert "saved model" not in (tmp_path / "s.html").read_text()


def test_a_saved_model_is_reported_on_with_rows_of_which_nothing_is_known(
    made, numbers, run, tmp_path
):
    status, out, err = run("report", made / "m.posterium", numbers, "--out", tmp_path / "s.html")
    assert status == 0, err
    assert "s.html" in out
    page = (tmp_path / "s.html").read_text()
    assert "is not recorded" in page
    assert "Time to fit" not in page
    assert command_on(page)[2] == "DATA"


def test_a_page_that_is_there_is_kept(made, numbers, refused):
    before = (made / "r.html").read_bytes()
    lines = refused("report", made / "m.posterium", numbers, "--out", made / "r.html")
    assert "exists" in lines[0]
    assert (made / "r.html").read_bytes() == before


def test_a_missing_library_is_told_before_anything_is_fitted(numbers, refused, monkeypatch):
    right = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "jinja2" else right(name)
    )
    lines = refused("fit", numbers, "--target", "y", "--report", "r.html")
    assert "jinja2" in lines[0]
    assert "posterium[report]" in lines[1]


class Spec:
    """The names that a command needs."""

    target_name, task = "the target", "regression"


class Model:
    """The numbers that a command needs."""

    seed, draws = 4, 20


def test_every_option_of_a_record_is_in_its_command():
    record = {
        "method": "vi", "settings": ["steps=10"], "likelihood": "gaussian", "noise_sd": 0.5,
        "prior_precision": None, "prior": "horseshoe", "test_fraction": 0.123456789, "refit": True,
        "reading": {"header": False, "separator": ";"},
        "rules": {"missing": "drop", "unseen": None, "categorical": ["a b"], "drop": ["c", "d"]},
    }  # fmt: skip
    text = command_of(record, Spec, Model, "my data.csv", "/somewhere/r.html")
    assert text == (
        "posterium fit 'my data.csv' --target 'the target' --task regression --method vi "
        "--set steps=10 --likelihood gaussian --prior horseshoe --noise-sd 0.5 "
        "--test-fraction 0.123456789 --seed 4 --draws 20 --refit --no-header --separator ';' "
        "--missing drop --categorical 'a b' --drop c --drop d --report r.html"
    )
    assert command_of({"method": "MAP"}, Spec, Model, "data.csv", "r.html") is None
