"""`posterium recipe`: what is printed last, and the exit status."""

import json
from dataclasses import replace

import pytest

from posterium import recipes
from posterium.recipes import runner
from posterium.recipes.runner import Outcome, Skipped


@pytest.mark.parametrize(("passed", "status"), [(True, 0), (False, 1), (None, 0)])
def test_the_last_line_is_json_and_the_status_follows_the_gates(passed, status, run, monkeypatch):
    name = recipes.names()[0][0]
    asked = {}

    def pretend(name, **options):
        asked.update(options)
        print("on the way")
        return {
            "id": name,
            "figures": {"gap": float("nan")},
            "gates": {"gap": None},
            "passed": passed,
        }

    monkeypatch.setattr(recipes, "run", pretend)
    found, out, err = run("recipe", "run", name, "--seed", "3", "--fast")
    assert (found, err) == (status, "")
    last = json.loads(out.splitlines()[-1])
    assert last == {
        "id": name, "figures": {"gap": None}, "gates": {"gap": None}, "passed": passed
    }  # fmt: skip
    assert asked == {"out": None, "seed": 3, "fast": True}


def test_every_recipe_is_listed_with_a_line_about_it(run):
    status, out, _ = run("recipe", "list")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == [name for name, _ in recipes.names()]
    assert all(len(line.split()) > 2 for line in out.splitlines())


@pytest.fixture
def kitchen(monkeypatch):
    """Let every recipe pass at once, but one fail, one raise and one be skipped."""
    outcomes = {
        "R0.map": Outcome({}, {"near": True, "nearer": False}),
        "R0.vi": ValueError("expected\n3"),
        "R4.gpu": Skipped("no GPU"),
    }

    def cook(id):
        def found(key, fast):
            outcome = outcomes.get(id, Outcome({}, {"met": True}))
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return found

    known = runner.registry().values()
    monkeypatch.setattr(
        runner, "RECIPES", {one.id: replace(one, cook=cook(one.id)) for one in known}
    )
    return outcomes


def test_all_recipes_have_a_line_each_and_those_that_fail_stop_no_other(run, kitchen):
    status, out, err = run("recipe", "run", "--all", "--jobs", "1")
    *lines, last = out.splitlines()
    ids = [name for name, _ in recipes.names()]
    assert (status, err) == (1, "")
    assert [line.split()[0] for line in lines] == ids
    said = {line.split()[0]: line.split()[1:] for line in lines}
    assert all(words[2] == "s" and float(words[1]) >= 0 for words in said.values())
    assert said["R1.ls"][0] == "passed"
    assert (said["R0.map"][0], said["R0.map"][3:]) == ("failed", ["nearer"])
    assert (said["R0.vi"][0], said["R0.vi"][3]) == ("failed", "ValueError:")
    assert (said["R4.gpu"][0], said["R4.gpu"][3:]) == ("skipped", ["no", "GPU"])
    found = json.loads(last)
    assert found["passed"] is False
    assert found["counts"] == {"passed": len(ids) - 3, "failed": 2, "skipped": 1}
    assert [one["id"] for one in found["recipes"]] == ids


def test_a_system_or_a_row_of_several_parts_is_run_by_its_name(run, kitchen):
    status, out, _ = run("recipe", "run", "R1.more", "--jobs", "1")
    *lines, last = out.splitlines()
    assert status == 0
    assert json.loads(last)["passed"] is True
    assert [line.split()[0] for line in lines] == recipes.under("R1.more")
    assert run("recipe", "run", "R4", "--jobs", "1")[0] == 0
    assert run("recipe", "run", "R0", "--jobs", "1")[0] == 1


def test_a_recipe_that_is_skipped_is_no_failure_and_says_why(run, kitchen):
    status, out, _ = run("recipe", "run", "R4.gpu")
    assert status == 0
    assert json.loads(out)["skipped"] == "no GPU"
    assert json.loads(out)["passed"] is None


@pytest.mark.parametrize("asked", [(), ("R1.ls", "--all"), ("R9",), ("R1.mo",)])
def test_what_names_no_recipe_or_too_much_is_refused(refused, asked):
    first, second = refused("recipe", "run", *asked)
    assert "recipe" in first
    assert second.startswith(("Give one of them", "Choose one of"))
