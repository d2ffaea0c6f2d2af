import numpy as np
from tests.driver.test_tally import RECORD, reports

from posterium.driver import progress
from posterium.driver.progress import Numbers, ProgressBar
from posterium.driver.watch import Report


def report(phase, step, info=None):
    return Report(phase, step, 10, info or {"objective": np.array([1.0, 2.0])}, None)


def test_the_bar_shows_phase_steps_and_the_latest_values(capsys):
    bar = ProgressBar()
    bar(report("descent", 5, {"objective": np.array([[1.0, 3.0], [2.0, 6.0]])}))
    bar(report("descent", 10))
    bar(report("polish", 3))
    bar.close()
    shown = capsys.readouterr().err
    assert "descent: 100%" in shown
    assert "objective=4" in shown
    assert "polish:  30%" in shown


def test_a_phase_run_again_gets_a_bar_of_its_own(capsys):
    bar = ProgressBar()
    bar(report("solve", 10))
    bar(report("solve", 2, {}))
    bar.close()
    assert "solve:  20%" in capsys.readouterr().err


def test_both_terms_of_the_objective_are_shown():
    terms = {"objective": np.array([-1.25]), "log_likelihood": np.array([-70.0])}
    assert Numbers()(report("ascent", 1, terms | {"kl": np.array([5.0])})) == {
        "objective": "-1.25", "log_likelihood": "-70", "kl": "5",
    }  # fmt: skip
    assert list(Numbers()(report("descent", 1, terms | {"log_prior": np.array([5.0])}))) == [
        "objective", "log_prior", "log_likelihood",
    ]  # fmt: skip


def test_a_sampler_shows_acceptance_divergences_and_effective_draws_so_far():
    shown = [Numbers()(report) for report in reports(10, 40)]
    assert list(shown[0]) == ["log_joint", "acceptance", "divergences", "ess"]
    assert shown[1]["divergences"] == f"{RECORD['diverging'].sum()}"


def test_effective_draws_are_taken_again_only_when_that_took_a_small_share_of_the_time(monkeypatch):
    now = iter([0.0, 1.0, 10.0, 50.9, 51.1, 52.1])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    numbers = Numbers()
    shown = [numbers(report)["ess"] for report in reports(10, 20, 30, 40)]
    assert shown[0] == shown[1] == shown[2]
    assert shown[3] != shown[2]
