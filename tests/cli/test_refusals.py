"""Mistakes of the user: status 2, two lines on standard error, no file written."""

import os
import subprocess
import sys

import pytest

from posterium.cli import messages
from posterium.posterior import store

FIT = ("fit", "{t}", "--target", "y")

MISTAKES = {
    "nothing to fit": (["fit"], "DATA"),
    "no target": (["fit", "{t}"], "--target"),
    "an unknown option": ([*FIT, "--bogus"], "--bogus"),
    "an option without its value": (["fit", "{t}", "--target"], "--target"),
    "an unknown command": (["bogus"], "bogus"),
    "no recipe command": (["recipe"], "Missing command"),
    "an unknown recipe": (["recipe", "run", "bogus"], "bogus"),
    "file missing": (["fit", "{d}/none.csv", "--target", "y"], "{d}/none.csv"),
    "a directory": (["fit", "{d}", "--target", "y"], "is a directory"),
    "empty file": (["fit", "{d}/empty", "--target", "y"], "empty"),
    "header only": (["fit", "{d}/header", "--target", "y"], "0 found"),
    "one row": (["fit", "{d}/one", "--target", "y"], "at least 2 rows"),
    "too few rows to hold out": (["fit", "{d}/two", "--target", "y"], "too few"),
    "target not a column": (["fit", "{t}", "--target", "lefd"], '"left"'),
    "one class": (["fit", "{d}/flat", "--target", "y"], "every row"),
    "text for regression": (
        ["fit", "{w}", "--target", "tree", "--task", "regression"],
        "classification",
    ),
    "an unknown task": ([*FIT, "--task", "bogus"], "bogus"),
    "an unknown method": ([*FIT, "--method", "bogus"], "exact"),
    "a method for another task": (
        ["fit", "{w}", "--target", "tree", "--method", "exact"],
        "classification",
    ),
    "an unknown likelihood": ([*FIT, "--likelihood", "bogus"], "heteroscedastic"),
    "a likelihood for another task": ([*FIT, "--likelihood", "bernoulli"], "bernoulli"),
    "a likelihood the method does not take": (
        [*FIT, "--method", "exact", "--likelihood", "heteroscedastic"],
        "Gaussian",
    ),
    "an unknown setting": ([*FIT, "--set", "bogus=1"], "bogus"),
    "a setting of another kind": ([*FIT, "--set", "steps=ten"], "steps=ten"),
    "draws 0": ([*FIT, "--draws", "0"], "--draws"),
    "draws negative": ([*FIT, "--draws", "-1"], "--draws"),
    "draws 1e12": ([*FIT, "--draws", "1e12"], "--draws"),
    "draws ten": ([*FIT, "--draws", "ten"], "--draws"),
    "draws too many for the classes": (
        ["fit", "{w}", "--target", "tree", "--draws", "20000"],
        "3 classes",
    ),
    "seed negative": ([*FIT, "--seed", "-1"], "--seed"),
    "seed above 2^64": ([*FIT, "--seed", str(2**64)], "--seed"),
    "seed not whole": ([*FIT, "--seed", "1.5"], "--seed"),
    "a fraction of 1": ([*FIT, "--test-fraction", "1"], "--test-fraction"),
    "a fraction that is no number": ([*FIT, "--test-fraction", "nan"], "--test-fraction"),
    "predictions of nothing": (
        [*FIT, "--test-fraction", "0", "--predictions", "{d}/p.csv"],
        "--predictions",
    ),
    "output exists": ([*FIT, "--out", "{d}/flat"], "exists"),
    "output folder missing": ([*FIT, "--out", "{d}/no/m"], "no folder"),
    "output is a folder": ([*FIT, "--out", "{d}"], "{d}"),
    "output without a name": ([*FIT, "--out", ""], "--out"),
    "output is the input": ([*FIT, "--out", "{t}", "--overwrite"], "--out"),
    "two outputs of one name": ([*FIT, "--out", "{d}/./m", "--json", "{d}/m"], "--json"),
    "checkpoint is a file": ([*FIT, "--checkpoint", "{d}/flat"], "not a folder"),
    "checkpoint nowhere": ([*FIT, "--checkpoint", "{d}/no/no"], "no folder"),
    "checkpoint of standard input": (
        ["fit", "-", "--target", "y", "--checkpoint", "{d}/c"],
        "--checkpoint",
    ),
    "model missing": (["predict", "{d}/none", "{t}"], "{d}/none"),
    "model is a table": (["predict", "{t}", "{t}"], "not a posterium file"),
    "model is a folder": (["info", "{d}"], "not a regular file"),
    "model is a record of another kind": (["info", "{d}/other.posterium"], "no model of a table"),
    "a level of 1": (["predict", "{t}", "{t}", "--level", "1"], "--level"),
    "predictions onto the model": (
        ["predict", "{t}", "{w}", "--out", "{t}", "--overwrite"],
        "--out",
    ),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "empty").write_text("")
    (tmp_path / "header").write_text("a,y\n")
    (tmp_path / "one").write_text("a,y\n1,2\n")
    (tmp_path / "two").write_text("a,y\n1,2\n2,3\n")
    (tmp_path / "flat").write_text("a,y\n" + "".join(f"{i},no\n" for i in range(9)))
    store.save({"numbers": [1.0]}, tmp_path / "other.posterium")
    return tmp_path


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_in_two_lines(mistake, folder, numbers, words, refused):
    argv, said = MISTAKES[mistake]
    places = {"{t}": str(numbers), "{w}": str(words), "{d}": str(folder)}

    def put(text):
        for mark, place in places.items():
            text = text.replace(mark, place)
        return text

    before = sorted(folder.iterdir())
    assert put(said) in " ".join(refused(*map(put, argv)))
    assert sorted(folder.iterdir()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_files_without_permission_are_refused_as_such(folder, refused):
    (folder / "flat").chmod(0)
    assert "may not read" in refused("fit", folder / "flat", "--target", "y")[0]


def test_a_checkpoint_of_another_fit_is_refused_with_what_differs(numbers, run, tmp_path):
    options = ["--target", "y", "--method", "exact", "--checkpoint", tmp_path / "c"]
    assert run("fit", numbers, *options)[0] == 0
    status, _, err = run("fit", numbers, *options, "--seed", "1")
    assert status == 2
    assert len(err.splitlines()) == 2
    assert "seed" in err


@pytest.mark.parametrize("asked", ["--method bogus", "--method exact --likelihood heteroscedastic"])
def test_a_refusal_comes_without_the_notes_on_the_table(asked, tmp_path, refused):
    odd = tmp_path / "odd.csv"
    odd.write_text("a,y\n" + "".join(f"{i},{2 * i}\n" for i in range(30)))
    refused("fit", odd, "--target", "y", *asked.split())


def test_an_error_inside_is_told_in_two_lines_with_status_1(capsys):
    def broken():
        return [][1]

    assert messages.guarded(broken) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "IndexError" in lines[0]


def test_a_value_error_of_another_library_is_no_mistake_of_the_user(capsys):
    def broken():
        return int("ten")

    assert messages.guarded(broken) == 1
    assert "Unexpected ValueError" in capsys.readouterr().err


def test_names_with_control_characters_stay_on_their_line(refused):
    what, _ = refused("fit", "no\n\x1b[31m.csv", "--target", "y")
    assert "\x1b" not in what


def test_help_is_quick_plain_and_complete(run):
    for argv in ([], ["--help"]):
        status, out, err = run(*argv)
        assert (status, err) == (0, "")
        for command in ("fit", "predict", "evaluate", "info", "methods", "recipe"):
            assert f"  {command} " in out
        assert out.isascii()
    code = (
        "import sys; from posterium.cli import main; main(['--help']); print('jax' in sys.modules)"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.splitlines()[-1] == "False"


def test_methods_are_listed(run):
    status, out, _ = run("methods")
    assert status == 0
    assert {"default", "exact", "map"} <= {line.split()[0] for line in out.splitlines()}


def test_the_version_is_printed(run):
    from importlib.metadata import version

    assert run("--version")[:2] == (0, version("posterium") + "\n")


def test_a_command_line_without_typer_says_what_to_install():
    code = """import sys
sys.modules["typer"] = None
from posterium.cli import main
sys.exit(main([]))"""
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert child.returncode == 2
    assert "typer" in child.stderr.splitlines()[0]
    assert "pip install" in child.stderr.splitlines()[1]
