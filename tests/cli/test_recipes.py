"""`posterium recipe`: what is printed last, and the exit status."""

import json

import pytest

from posterium import recipes


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
