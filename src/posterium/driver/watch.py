"""Watching a fit from outside: reports to callbacks, the progress bar, and interrupts."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np


@dataclass(frozen=True)
class Report:
    """What a callback sees between two chunks of steps.

    Parameters
    ----------
    phase
        Name of the phase.
    step, steps
        Steps done so far, and at most.
    info
        What the steps of this chunk recorded, by name, stacked over steps.
    state
        The phase's state after the chunk.
    """

    phase: str
    step: int
    steps: int
    info: dict[str, np.ndarray]
    state: Any


Callback = Callable[[Report], bool | None]
"""Called after every chunk; returning True ends the phase there."""


class ProgressBar:
    """A callback that draws one bar a phase with the latest value of every scalar record."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._phase = ""

    def __call__(self, report: Report) -> None:
        """Move the bar."""
        from tqdm.auto import tqdm

        if self._bar is None or report.phase != self._phase or report.step < self._bar.n:
            self.close()
            self._bar = tqdm(total=report.steps, desc=report.phase, leave=True)
            self._phase = report.phase
        self._bar.update(report.step - self._bar.n)
        latest = {name: f"{np.mean(v[-1]):.4g}" for name, v in report.info.items() if len(v)}
        self._bar.set_postfix(latest)

    def __enter__(self) -> Self:
        """Return the bar itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Finish the bar."""
        self.close()

    def close(self) -> None:
        """Finish the bar of the present phase."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None


class Interrupted(KeyboardInterrupt):
    """A fit was stopped by a signal at the end of a chunk; its checkpoint, if any, is written."""


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether SIGINT or SIGTERM came; a second one stops at once.

    Outside the main thread, where signals cannot be caught, it never says so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    caught = []

    def note(number: int, frame: Any) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
