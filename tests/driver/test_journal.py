"""What a journal writes, and when it stops to."""

import jax
import numpy as np

from posterium.driver.journal import Journal
from posterium.posterior.fit import Verdict


def position(value):
    """Return where a phase stands: its state, what it started from, and the model."""
    return np.float32(value), np.float32(0), np.float32(0)


def advance(journal, chapter, objective):
    """Take a step that recorded this objective."""
    chapter.step += 1
    chapter.position = position(chapter.step)
    journal.note(chapter, ({"objective": np.array([objective], np.float32)}, None))
    journal.save_when_due(chapter)


def template():
    return ({"objective": np.zeros((), np.float32)}, None)


def test_once_the_objective_is_lost_the_checkpoint_before_it_stays_whatever_follows(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("posterium.driver.journal.SHARE", 1e9)
    folder = str(tmp_path / "c")
    with Journal(folder, {}, "float32") as journal:
        first = journal.chapter(0, template(), position(0))
        for objective in (3.0, 2.0, np.nan):
            advance(journal, first, objective)
        journal.finish(first, Verdict("failed", ("lost",), ("retry",)), *position(0)[:2])
        for number in (1, 2, 3):
            later = journal.chapter(number, template(), position(0))
            advance(journal, later, 1.0)
            journal.finish(later, Verdict(), *position(0)[:2])
    with Journal(folder, {}, "float32") as journal:
        again = journal.chapter(0, template(), position(0))
        assert again.step == 2
        assert float(again.position[0]) == 2
        np.testing.assert_array_equal(journal.joined(again)[0]["objective"], [3.0, 2.0])


def test_what_a_file_holds_is_not_in_memory_until_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("posterium.driver.journal.SHARE", 1e9)
    with Journal(str(tmp_path / "c"), {}, "float32") as journal:
        chapter = journal.chapter(0, template(), position(0))
        for objective in (3.0, 2.0, 1.0):
            advance(journal, chapter, objective)
            assert chapter.records == []
        np.testing.assert_array_equal(journal.joined(chapter)[0]["objective"], [3.0, 2.0, 1.0])


def test_records_that_take_much_memory_are_written_before_the_next_checkpoint_is_due(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("posterium.driver.journal.SHARE", 1e-9)
    monkeypatch.setattr("posterium.driver.journal.HELD_BYTES", 10)
    with Journal(str(tmp_path / "c"), {}, "float32") as journal:
        chapter = journal.chapter(0, template(), position(0))
        waiting = []
        for objective in range(8):
            advance(journal, chapter, objective)
            waiting.append(len(chapter.records))
        assert waiting == [0, 1, 2, 0, 1, 2, 0, 1]
        np.testing.assert_array_equal(journal.joined(chapter)[0]["objective"], range(8))
    with Journal(str(tmp_path / "c"), {}, "float32") as journal:
        again = journal.chapter(0, template(), position(0))
        assert again.step == 1
        for objective in (10, 11, 12, 13):
            advance(journal, again, objective)
        np.testing.assert_array_equal(journal.joined(again)[0]["objective"], [0, 10, 11, 12, 13])


def test_a_random_key_in_a_state_comes_back_as_it_was(tmp_path):
    key, (_, start, model) = jax.random.key(7, impl="rbg"), position(0)
    with Journal(str(tmp_path / "c"), {}, "float32") as journal:
        chapter = journal.chapter(0, template(), (None, start, model))
        chapter.position = (key, start, model)
        journal.save(chapter)
    with Journal(str(tmp_path / "c"), {}, "float32") as journal:
        shapes = (jax.eval_shape(lambda: key), start, model)
        found, *_ = journal.chapter(0, template(), shapes).position
    assert jax.random.key_impl(found) == jax.random.key_impl(key)
    np.testing.assert_array_equal(jax.random.key_data(found), jax.random.key_data(key))
