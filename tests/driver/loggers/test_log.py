"""What is logged of a fit: rows by steps alone, over all phases, once each."""

import numpy as np
import pytest
from tests.driver.problems import CHAINS, DATA, FIXED, KEY, MODEL, SINGLE

from posterium import Ensemble, Log, Logger, Report, fit
from posterium.driver import fit as loop
from posterium.driver.loggers import log
from posterium.driver.tally import Tally


class Memory:
    """A logger that remembers."""

    def __init__(self):
        self.rows, self.closed = [], 0

    def log(self, values, step):
        self.rows.append((step, values))

    def close(self):
        self.closed += 1


def logged(method, model=MODEL, every=None, metrics=None, **options):
    memory = Memory()
    given = memory if every is None else Log(memory, every=every, metrics=metrics)
    found = fit(KEY, model, DATA, method, callbacks=[given], **options)
    assert memory.closed == 1
    return found, memory.rows


@pytest.fixture(scope="module")
def sampled():
    return logged(CHAINS, FIXED, every=10)


def test_a_logger_among_the_callbacks_gets_every_step_of_a_short_phase():
    found, rows = logged(SINGLE)
    assert [step for step, _ in rows] == list(range(1, 61))
    for name in ("objective", "log_prior", "log_likelihood"):
        told = [values[f"descent/{name}"] for _, values in rows]
        np.testing.assert_array_equal(told, found.info["descent"][name])


def test_a_long_phase_has_at_most_so_many_rows_and_one_at_its_last_step(monkeypatch):
    monkeypatch.setattr(log, "ROWS", 8)
    assert [step for step, _ in logged(SINGLE)[1]] == [8, 16, 24, 32, 40, 48, 56, 60]


def test_members_are_averaged():
    found, rows = logged(Ensemble(SINGLE, 2), every=60)
    expected = found.info["descent"]["log_prior"][-1].mean()
    assert rows[0][1]["descent/log_prior"] == pytest.approx(expected)


def test_steps_go_up_over_phases_and_names_carry_the_phase(sampled):
    assert [step for step, _ in sampled[1]] == [10, 20, 30, 40, 50, 60]
    for step, values in sampled[1]:
        phase = "warmup" if step <= 20 else "sampling"
        assert {name.split("/")[0] for name in values} == {phase}


def test_variational_methods_log_the_two_terms_of_their_bound():
    memory = Memory()
    info = {name: np.arange(3.0) for name in ("objective", "elbo", "log_likelihood", "kl")}
    Log(memory)(Report("ascent", 3, 3, info, None, before=10))
    assert [step for step, _ in memory.rows] == [11, 12, 13]
    assert memory.rows[1][1] == {f"ascent/{name}": 1.0 for name in info}


def test_samplers_log_rates_and_divergences_so_far(sampled):
    found, rows = sampled
    record = found.info["sampling"]
    for step, values in rows[2:]:
        so_far = {name: value[: step - 20] for name, value in record.items()}
        assert values["sampling/divergences"] == so_far["diverging"].sum()
        assert values["sampling/acceptance"] == pytest.approx(so_far["acceptance_rate"].mean())
        assert values["sampling/log_joint"] == pytest.approx(so_far["log_joint"][-1].mean())


def test_samplers_log_effective_draws_ten_times_a_phase(monkeypatch):
    calls = []

    def effective(tally, step):
        calls.append(step)
        return {"ess": 1.0}

    monkeypatch.setattr(Tally, "effective", effective)
    _, rows = logged(CHAINS, FIXED, every=1)
    marks = [step - 20 for step, values in rows if "sampling/ess" in values]
    assert marks == [4, 8, 12, 16, 20, 24, 28, 32, 36, 40]
    _, rows = logged(CHAINS, FIXED, every=7)
    assert [step - 20 for step, values in rows if "sampling/ess" in values] == [
        7,
        14,
        21,
        28,
        35,
        40,
    ]


def test_rows_do_not_depend_on_chunks(monkeypatch, sampled):
    monkeypatch.setattr(loop, "PROBE_STEPS", 3)
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 1e-9)
    assert logged(CHAINS, FIXED, every=10)[1] == sampled[1]


def test_a_fit_that_dies_and_is_resumed_logs_what_a_whole_one_does(tmp_path, monkeypatch, sampled):
    monkeypatch.setattr(loop, "PROBE_STEPS", 7)
    monkeypatch.setattr("posterium.driver.journal.SHARE", 1e9)
    memory, deaths = Memory(), [27, 48]

    def dying(report):
        if deaths and report.global_step >= deaths[0]:
            deaths.pop(0)
            raise InterruptedError

    while deaths:
        with pytest.raises(InterruptedError):
            fit(KEY, FIXED, DATA, CHAINS, checkpoint=tmp_path / "c",
                callbacks=[Log(memory, every=10), dying])  # fmt: skip
    fit(KEY, FIXED, DATA, CHAINS, checkpoint=tmp_path / "c", callbacks=[Log(memory, every=10)])
    for step, values in memory.rows:
        assert (step, values) in sampled[1]
    assert {step for step, _ in memory.rows} == {step for step, _ in sampled[1]}


def test_metrics_are_taken_of_the_fit_as_it_stands():
    seen = []

    def metrics(found):
        seen.append(found)
        return {"size": np.float32(len(found.info["descent"]["objective"]))}

    _, rows = logged(SINGLE, every=25, metrics=metrics)
    assert [(step, values["size"]) for step, values in rows] == [(25, 25), (50, 50), (60, 60)]
    assert len(seen) == 3


def test_metrics_wait_until_there_is_a_posterior():
    _, rows = logged(CHAINS, FIXED, every=20, metrics=lambda found: {"score": 1.0})
    assert [step for step, values in rows if "score" in values] == [40, 60]


def test_what_cannot_log_and_steps_that_make_no_sense_are_refused():
    with pytest.raises(TypeError, match="expects a logger, an object with log"):
        Log("run.jsonl")
    with pytest.raises(ValueError, match="every must be a whole number"):
        Log(Memory(), every=0)
    with pytest.raises(ValueError, match="expects every= beside metrics="):
        Log(Memory(), metrics=lambda found: {})


def test_a_logger_needs_a_method_log_and_no_more():
    class Least:
        def log(self, values, step):
            pass

    assert isinstance(Least(), Logger)
    fit(KEY, MODEL, DATA, SINGLE, callbacks=[Least()])
