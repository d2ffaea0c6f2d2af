import pytest
from tests.validation import record


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.setattr(record, "FILE", tmp_path / "rows.jsonl")
    monkeypatch.setattr(record, "PAGE", tmp_path / "page.md")
    monkeypatch.delenv("VALIDATE", raising=False)
    record.PAGE.write_text("Before.\n" + "".join(record.TABLE) + "After.\n")


def run(goal, case, *, passes=True, n=1000):
    with record.recorded(goal, case, n) as figures:
        figures["N"] = n
        assert passes


def test_the_page_shows_the_record():
    assert "".join((record.TABLE[0], record.table(), record.TABLE[1])) in record.PAGE.read_text()


def test_a_row_that_passed_stands_until_more_is_asked_or_the_source_changes(elsewhere, monkeypatch):
    run("S1", "NUTS")
    with pytest.raises(pytest.skip.Exception):
        run("S1", "NUTS")
    run("S1", "NUTS", n=2000)
    monkeypatch.setenv("VALIDATE", "again")
    run("S1", "NUTS", n=200)
    monkeypatch.delenv("VALIDATE")
    monkeypatch.setattr(record, "digest", lambda: "another")
    run("S1", "NUTS", n=300)
    assert [row["figures"]["N"] for row in record.rows()] == [1000, 2000, 200, 300]


def test_a_row_that_failed_is_shown_as_such_and_does_not_stand(elsewhere):
    with pytest.raises(AssertionError):
        run("S1", "NUTS", passes=False)
    assert "| S1 | NUTS | **no** | N 1000" in record.PAGE.read_text()
    run("S1", "NUTS")


def test_a_run_that_is_interrupted_before_it_found_anything_leaves_no_row(elsewhere):
    with pytest.raises(KeyboardInterrupt), record.recorded("S1", "NUTS"):
        raise KeyboardInterrupt
    assert record.rows() == []


def test_the_page_shows_the_newest_rows_in_order_and_keeps_what_is_around(elsewhere, monkeypatch):
    monkeypatch.setenv("VALIDATE", "again")
    for goal, n in (("S11", 1), ("S2", 1), ("S2", 2)):
        run(goal, "NUTS", n=n)
    text = record.PAGE.read_text()
    assert text.startswith("Before.\n")
    assert text.endswith("After.\n")
    assert "N 1, seconds 0" in text.split("S11")[1]
    assert text.index("| S2 |") < text.index("| S11 |")
    assert text.count("| S2 |") == 1


def test_a_test_that_is_marked_with_a_goal_adds_a_row_each_time_it_ends(elsewhere):
    class Report:
        when, skipped, passed, duration = "call", False, True, 2.2
        user_properties = (("growth", 0.04),)

    class Item:
        name = "test_memory_is_flat[nuts]"

        def __init__(self, *goals):
            self.goals = goals

        def get_closest_marker(self, name):
            return getattr(pytest.mark, name)(*self.goals).mark if self.goals else None

    record.reported(Item("M3"), Report())
    run("S11", "NUTS")
    record.reported(Item("M3"), Report())
    record.reported(Item(), Report())
    Report.when = "setup"
    record.reported(Item("M3"), Report())
    text = record.PAGE.read_text()
    assert text.count("| M3 | memory is flat[nuts] | yes | growth 0.04, seconds 2 |") == 1
    assert text.index("| S11 |") < text.index("| M3 |")
    assert len(record.rows()) == 3
