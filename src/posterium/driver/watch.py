"""Watching a fit from outside: reports to callbacks, and interrupts."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from posterium.model.data import Data, Stream
from posterium.posterior.fit import Fit


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
    before
        Steps of the phases before this one.
    warmup
        Steps at the beginning of this phase that only tune.
    data
        What is fitted.
    record
        Called, it returns what all steps of this phase recorded so far, as in `info`.
    fit
        Called, it returns the `Fit` as it stands: what would come out if the phase ended here and
        were the last. Of a sampler it holds the draws so far, evenly thinned to a power of two, so
        that few programs are compiled for what is done with them. None while there is no posterior
        yet, as in a warm-up. Both can be called until the next step is taken.
    """

    phase: str
    step: int
    steps: int
    info: dict[str, np.ndarray]
    state: Any
    before: int = 0
    warmup: int = 0
    data: Data | Stream | None = None
    record: Callable[[], dict[str, np.ndarray]] = dict
    fit: Callable[[], Fit | None] = lambda: None

    @property
    def global_step(self) -> int:
        """Steps done so far in all phases together."""
        return self.before + self.step

    @property
    def first(self) -> int:
        """Steps of this phase that were done before this chunk."""
        return self.step - length(self.info)


Callback = Callable[[Report], bool | None]
"""Called after every chunk; returning True ends the phase there.

One with an attribute `every` is called after every so many steps of a phase and at its end, and
only then; one with a method `close` has it called when the fit is over, whatever the end.
"""


def length(info: dict[str, np.ndarray]) -> int:
    """Return how many steps a record is of."""
    return max(map(len, info.values()), default=0)


def every_of(callback: Callback) -> int | None:
    """Return after how many steps a callback is to be called, None for after every chunk."""
    return getattr(callback, "every", None)


def check_every(every: Any) -> None:
    """Refuse steps between two calls that are no whole number of at least 1; None is none."""
    if every is not None and (not isinstance(every, int) or isinstance(every, bool) or every < 1):
        raise ValueError(f"every must be a whole number of steps, at least 1; got {every!r}.")


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
