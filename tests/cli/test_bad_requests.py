"""What was asked for and cannot be, and fits that go wrong: files, statuses and what is said."""

import json
import re
import shutil
import types

import numpy as np
import pytest

from posterium.cli import advice, files, messages, space
from posterium.cli.settings import apply_settings
from posterium.combinators import catalogue
from posterium.combinators.resolve import resolve
from posterium.driver.checkpoint import Checkpoints
from posterium.model.data import as_data
from posterium.posterior import container

FIT = ("fit", "{t}", "--target", "y")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(pytest.param("--draws", v, id=f"row-54 draws {v}") for v in ("0", "-1", "1e12", "ten")),
        *(
            pytest.param(name, v, id=f"row-55 {name[2:]} {v}")
            for name in ("--prior-precision", "--noise-sd")
            for v in ("0", "-1", "nan", "inf", "ten")
        ),
        *(
            pytest.param("--seed", v, id=f"row-56 seed {v}")
            for v in ("-1", str(2**64), "0" * 30 + str(2**64), "1.5", "ten")
        ),
    ],
)
def test_a_number_out_of_range_is_refused_with_the_range(option, value, numbers, refused):
    what, fix = refused("fit", numbers, "--target", "y", option, value)
    assert option in what
    assert value[:40] in what
    assert " to " in fix


def test_the_seed_is_printed_and_stored(numbers, run, tmp_path):
    model = tmp_path / "m.posterium"
    options = ("--target", "y", "--method", "exact", "--seed", str(2**64 - 1), "--out", model)
    status, out, _ = run("fit", numbers, *options)
    assert status == 0
    assert f"seed {2**64 - 1}" in out
    assert str(2**64 - 1) in run("info", model)[1]


def test_a_fixed_noise_and_prior_are_those_asked_for(numbers, run, tmp_path, refused, words):
    model, held = tmp_path / "m.posterium", tmp_path / "p.csv"
    options = ("--target", "y", "--method", "map", "--set", "steps=20", "--draws", "1")
    fixed = ("--noise-sd", "0.25", "--likelihood", "gaussian", "--prior-precision", "3")
    assert run("fit", numbers, *options, *fixed, "--out", model, "--predictions", held)[0] == 0
    assert "prior precision 3, noise sd 0.25" in run("info", model)[1]
    assert files.read(str(model)).model.fit.model.prior.precision == 3
    cells = [line.split(",") for line in held.read_text().splitlines()]
    sds = [float(row[cells[0].index("aleatoric_sd")]) for row in cells[1:]]
    assert sds == pytest.approx([0.25] * 6, rel=1e-6)
    assert "--noise-sd" in refused("fit", words, "--target", "tree", "--noise-sd", "1")[0]


def test_a_prior_by_name_is_fitted_told_and_refused_where_it_does_not_fit(
    numbers, run, refused, tmp_path
):
    model = tmp_path / "m.posterium"
    options = (numbers, "--target", "y", "--method", "map", "--set", "steps=20")
    assert run("fit", *options, "--prior", "horseshoe", "--out", model)[0] == 0
    assert "prior horseshoe" in run("info", model)[1]
    assert type(files.read(str(model)).model.fit.model.prior).__name__ == "Horseshoe"
    precise = ("--prior", "laplace", "--prior-precision", "2")
    assert "of a normal prior" in refused("fit", *options, *precise)[0]
    assert "must be one of normal, laplace" in refused("fit", *options, "--prior", "cosy")[0]
    exact = (numbers, "--target", "y", "--method", "exact", "--prior", "laplace")
    assert "the prior is LaplacePrior" in refused("fit", *exact)[0]


def test_an_output_that_exists_is_replaced_only_when_asked(numbers, run, refused, tmp_path):
    out = tmp_path / "m.posterium"
    out.write_bytes(b"mine")
    options = ("fit", numbers, "--target", "y", "--method", "exact", "--out", out)
    assert "--overwrite" in refused(*options)[1]
    assert out.read_bytes() == b"mine"
    assert run(*options, "--overwrite")[0] == 0
    assert run("info", out)[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize("option", ["--out", "--predictions", "--json", "--report"])
def test_a_folder_that_is_not_there_is_refused_before_the_fit(option, numbers, refused, tmp_path):
    assert "no folder" in refused("fit", numbers, "--target", "y", option, tmp_path / "no" / "f")[0]


@pytest.mark.parametrize("option", ["--out", "--checkpoint"])
def test_a_full_disk_is_refused_before_the_fit(option, numbers, refused, tmp_path, monkeypatch):
    little = types.SimpleNamespace(total=10**9, used=10**9 - 10**5, free=10**5)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: little)
    what, _ = refused("fit", numbers, "--target", "y", option, tmp_path / "f")
    assert option in what
    assert "MB are free" in what
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("method", ["map", "vi"])
def test_the_space_reckoned_is_that_of_the_files(method, numbers, run, tmp_path):
    model, folder, steps = tmp_path / "m.posterium", tmp_path / "c", "steps=300"
    options = ("--target", "y", "--method", method, "--set", steps, "--test-fraction", "0")
    assert run("fit", numbers, *options, "--out", model, "--checkpoint", folder)[0] == 0
    x = np.loadtxt(numbers, delimiter=",", skiprows=1)
    made, assumed = resolve("regression", method, None, None, None, rows=60, targets=1)
    made = apply_settings(made, [steps])
    fit, checkpoints = space.sizes(made, assumed, as_data(x[:, :2], x[:, 2]))
    written = sum(path.stat().st_size for path in folder.iterdir())
    assert 0.5 * fit < model.stat().st_size < fit + space.SPARE
    assert 0.3 * checkpoints < written < checkpoints + space.SPARE
    if method == "vi":
        few, many = (run("predict", model, numbers, "--draws", n)[1] for n in ("3", "8"))
        assert few != many
        assert "--draws" in run("predict", model, numbers, "--draws", "0")[2]


def test_a_disk_that_fills_during_the_fit_ends_in_two_lines(numbers, run, tmp_path, monkeypatch):
    def full(path, *given, **more):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(container, "write", full)
    options = ("--target", "y", "--method", "exact", "--out", tmp_path / "m.posterium")
    status, _, err = run("fit", numbers, *options)
    assert status == 1
    assert "No space left" in err
    assert len(err.splitlines()) == 2


def test_a_loss_that_is_lost_stops_the_fit_and_keeps_the_checkpoint_before(numbers, run, tmp_path):
    folder, scores = tmp_path / "c", tmp_path / "r.json"
    settings = ("steps=400", "learning_rate=100", "warmup=0.99")
    options = [word for setting in settings for word in ("--set", setting)]
    more = ("--likelihood", "gaussian", "--json", scores, "--checkpoint", folder)
    status, _, err = run("fit", numbers, "--target", "y", "--method", "map", *options, *more)
    assert status == 1
    said = " ".join(err.splitlines())
    for words in ("not finite at step", "last finite value", "Likely causes", "learning_rate="):
        assert words in said
    assert "Traceback" not in err
    assert json.loads(scores.read_text())["verdict"] == "failed"
    names = sorted(folder.glob("checkpoint-*"))
    _, before = container.read(names[0])
    assert before["meta"]["phase"] == 0


def test_chains_that_do_not_agree_are_saved_with_their_verdict(numbers, run, tmp_path):
    model = tmp_path / "m.posterium"
    settings = ("of.draws=8", "of.warmup=8", "start.of.steps=5", "start.members=2")
    options = [word for setting in settings for word in ("--set", setting)]
    argv = ("fit", numbers, "--target", "y", "--method", "hmc", *options, "--out", model)
    status, out, err = run(*argv)
    assert status == 1
    assert re.search(r"verdict +failed\n", out)
    assert "failed: " in err
    assert "Try --set of." in err
    assert re.search(r"verdict +failed", run("info", model)[1])


def test_a_warning_exits_with_0_and_with_1_when_strict(tmp_path, run, write):
    table = write(["a,y", *(f"{i / 7},3" for i in range(20))])
    argv = ("fit", table, "--target", "y", "--method", "exact", "--set", "steps=1")
    assert run(*argv)[0] == 0
    assert run(*argv, "--strict")[0] == 1


@pytest.mark.parametrize(
    ("method", "text", "said"),
    [
        ("laplace", "Polish, at=MAP(polish='lbfgs').", "Polish, --set at.polish=lbfgs."),
        ("exact", "Give Evidence more steps.", "Give Evidence more steps. Try --set steps=200"),
        ("map", "Lower the learning rate.", "learning_rate=0.001 (now 0.01)"),
        ("nuts", "Take more draws.", "--set of.draws=1000 (now 500)"),
        (
            "map",
            "Use Laplace(), VI() or NUTS().",
            "--method laplace, --method vi or --method nuts",
        ),
    ],
)
def test_advice_is_given_in_options(method, text, said):
    assert said in advice.advise(text, catalogue.ENTRIES[method].make(100))


@pytest.mark.parametrize("likelihood", ["gaussian", "heteroscedastic", "bernoulli", "bogus"])
@pytest.mark.parametrize("method", [*catalogue.ENTRIES, "bogus"])
def test_a_method_takes_a_likelihood_or_refuses_it_without_python(method, likelihood, run, numbers):
    options = ("--target", "y", "--method", method, "--likelihood", likelihood)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("posterium.cli.request.space.sizes", lambda *given: (10**18, 0))
        status, _, err = run("fit", numbers, *options, "--out", "f")
    assert status == 2
    if likelihood == "gaussian" and method != "bogus":
        assert "MB are needed" in err
    elif "MB are needed" not in err:
        assert "()" not in err
        assert "record" not in err


def test_checkpoints_of_another_fit_are_refused_without_digests(tmp_path):
    marks = {"data": "a" * 64, "precision": "float32"}
    with Checkpoints(tmp_path, marks) as held:
        held.latest()
        held.save({}, {})
    with Checkpoints(tmp_path, {"data": "b" * 64, "precision": "float64"}) as held:
        with pytest.raises(ValueError, match=r"data, precision \(was float32, is float64\)\.") as e:
            held.latest()
    assert "aaa" not in str(e.value)
    assert messages.halves(e.value)[1].startswith("Use the same settings")
