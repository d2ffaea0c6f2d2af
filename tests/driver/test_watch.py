import io
import os
import signal
import threading

import pytest

from posterium.driver.watch import Interrupted, interrupts


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
