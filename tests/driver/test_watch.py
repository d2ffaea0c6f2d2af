import io
import os
import signal
import threading

import numpy as np
import pytest

from posterium.driver.watch import Interrupted, ProgressBar, Report, interrupts


def report(phase, step, info=None):
    return Report(phase, step, 10, info or {"objective": np.array([1.0, 2.0])}, None)


def test_the_bar_shows_phase_steps_and_the_latest_values(capsys):
    with ProgressBar() as bar:
        bar(report("descent", 5, {"objective": np.array([[1.0, 3.0], [2.0, 6.0]])}))
        bar(report("descent", 10))
        bar(report("polish", 3))
    shown = capsys.readouterr().err
    assert "descent: 100%" in shown
    assert "objective=4" in shown
    assert "polish:  30%" in shown


def test_a_phase_run_again_gets_a_bar_of_its_own(capsys):
    with ProgressBar() as bar:
        bar(report("solve", 10))
        bar(report("solve", 2, {}))
    assert "solve:  20%" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_a_second_one_stops_at_once(number):
    before = signal.getsignal(number)
    with interrupts() as stopping:
        assert not stopping()
        os.kill(os.getpid(), number)
        assert stopping()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before


def test_outside_the_main_thread_signals_are_left_alone():
    seen = []

    def run():
        with interrupts() as stopping:
            seen.append(stopping())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [False]


def test_handlers_come_back_after_an_error():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(io.UnsupportedOperation), interrupts():
        raise io.UnsupportedOperation
    assert signal.getsignal(signal.SIGINT) == before


def test_interrupted_is_a_keyboard_interrupt():
    assert issubclass(Interrupted, KeyboardInterrupt)
