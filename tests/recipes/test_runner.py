"""The runner: records fit for JSON, gates that decide, plots in a folder."""

import json

import numpy as np
import pytest

from posterium import recipes
from posterium.recipes import runner
from posterium.recipes.runner import Outcome, Skipped, close, recipe, within_errors


@pytest.fixture
def shelf(monkeypatch):
    """Give a registry that forgets what a test puts in."""
    monkeypatch.setattr(runner, "RECIPES", dict(runner.registry()))


def put(outcome, id="X.test"):
    def cook(key, fast):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    recipe(id, "a test", fast="nothing")(cook)


def test_every_recipe_has_an_id_a_summary_and_says_what_fast_changes():
    listed = dict(recipes.names())
    assert {"R0.map", "R0.laplace", "R1.ls", "R1.blr", "R1.bbvi", "R1.evidence"} <= listed.keys()
    assert list(listed) == sorted(listed)
    assert all("(fast: " in summary and "\n" not in summary for summary in listed.values())


def test_figures_become_numbers_that_json_holds(shelf):
    figures = {"a": np.float32(1.5), "b": np.array([1.0, np.nan]), "c": None, "d": 3, "e": "text"}
    put(Outcome(figures, {"met": np.True_}))
    found = recipes.run("X.test")
    expected = {"a": 1.5, "b": [1.0, None], "c": None, "d": 3, "e": "text"}
    assert found == {"id": "X.test", "figures": expected, "gates": {"met": True}, "passed": True}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_gate_that_needs_the_full_length_does_not_decide_and_one_that_fails_does(shelf):
    put(Outcome({}, {"met": True, "open": None}))
    assert recipes.run("X.test")["passed"] is True
    put(Outcome({}, {"met": True, "open": None, "missed": False}))
    assert recipes.run("X.test")["passed"] is False


def test_a_recipe_that_decides_nothing_is_an_error(shelf):
    put(Outcome({}, {"open": None}))
    with pytest.raises(ValueError, match="decide at least one gate"):
        recipes.run("X.test")


def test_a_skipped_recipe_says_why_and_neither_passes_nor_fails(shelf):
    put(Skipped("no accelerator here"))
    found = recipes.run("X.test")
    assert found["passed"] is None
    assert found["skipped"] == "no accelerator here"


def test_plots_are_files_with_their_panels_side_by_side(shelf, tmp_path):
    seen = []
    plots = {"one": lambda ax: seen.append(ax), "two": [lambda ax: seen.append(ax)] * 2}
    put(Outcome({}, {"met": True}, plots))
    recipes.run("X.test", out=tmp_path / "new" / "folder")
    files = sorted(file.name for file in (tmp_path / "new" / "folder").iterdir())
    assert files == ["X.test-one.png", "X.test-two.png"]
    assert len(set(seen)) == 3
    assert seen[1].figure is seen[2].figure


def test_panels_can_be_pictures_of_their_own(shelf, tmp_path):
    plots = {"one": lambda ax: None, "two": [lambda ax: None] * 2}
    put(Outcome({}, {"met": True}, plots))
    expected = ["X.test-one.png", "X.test-two-1.png", "X.test-two-2.png"]
    assert recipes.run("X.test", out=tmp_path, apart=True)["pictures"] == expected
    assert sorted(file.name for file in tmp_path.iterdir()) == expected
    assert recipes.run("X.test", out=tmp_path)["pictures"] == ["X.test-one.png", "X.test-two.png"]


def test_a_name_stands_for_itself_or_for_what_goes_on_after_a_point(shelf):
    for id in ("X.a", "X.a-b", "X.c.d", "X.c.e"):
        put(Outcome({}, {"met": True}), id)
    assert recipes.under("X.a") == ["X.a"]
    assert recipes.under("X.c") == ["X.c.d", "X.c.e"]
    assert recipes.under("X") == ["X.a", "X.a-b", "X.c.d", "X.c.e"]
    with pytest.raises(ValueError, match=r"one of R0.*got 'X.'"):
        recipes.under("X.")


def test_a_recipe_that_raises_is_not_passed_and_does_not_stop_the_others(shelf):
    put(ValueError("expected 3"), "X.a")
    put(Outcome({}, {"met": True}), "X.b")
    first, second = recipes.run_all(recipes.under("X"))
    assert first["passed"] is False
    assert first["error"] == "ValueError: expected 3"
    assert (second["id"], second["passed"]) == ("X.b", True)
    assert min(first["seconds"], second["seconds"]) >= 0


@pytest.mark.slow
def test_several_processes_give_the_same_in_the_same_order_as_one():
    ids = ["R1.ridge", "R1.ls", "R1.blr"]
    for one, other in zip(recipes.run_all(ids), recipes.run_all(ids, jobs=2), strict=True):
        assert one | {"seconds": 0} == other | {"seconds": 0}


def test_an_interrupt_stops_them_all(shelf):
    def cook(key, fast):
        raise KeyboardInterrupt

    recipe("X.a", "a test", fast="nothing")(cook)
    with pytest.raises(KeyboardInterrupt):
        list(recipes.run_all(["X.a"]))


def test_an_unknown_recipe_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"R1\.ls.*got 'R9\.none'"):
        recipes.run("R9.none")


def test_what_is_not_a_number_is_not_close():
    assert close([1.0, 2.0], [1.0, 2.05], 0.1)
    assert not close([1.0, 2.0], [1.0, 2.2], 0.1)
    assert not close(np.nan, 1.0, 10.0)


def test_an_estimate_is_held_to_its_own_standard_error():
    assert within_errors([1.0, 10.0], [1.3, 13.0], [0.1, 1.0])
    assert not within_errors([1.0, 10.0], [1.5, 13.0], [0.1, 1.0])
