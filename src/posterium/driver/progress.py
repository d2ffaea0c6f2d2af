"""Progress: where a phase stands in a few numbers, and the bar that shows them."""

import time
from typing import Any

from posterium.driver.tally import Tally, shown
from posterium.driver.watch import Report

SHARE = 0.02
"""At most this share of the time goes into the effective draws that are shown."""


class Numbers:
    """What is shown of a phase: a few numbers by name, as text.

    The objective per row and its two terms in nats (of variational methods the expected log
    likelihood and the KL divergence), and the held-out score; of samplers the log joint, acceptance
    rate and divergent transitions of the phase so far, and the effective draws so far of the worst
    prediction or the log density.
    """

    def __init__(self) -> None:
        self._tally = Tally()
        self._effective: dict[str, float] = {}
        self._next = 0.0

    def __call__(self, report: Report) -> dict[str, str]:
        """Return them after a chunk of steps."""
        if self._tally.add(report):
            self._effective, self._next = {}, 0.0
        began = time.monotonic()
        if began >= self._next:
            self._effective = self._tally.effective()
            now = time.monotonic()
            self._next = now + (now - began) / SHARE
        numbers = shown(report.info) | self._tally.rates() | self._effective
        return {name: f"{value:.4g}" for name, value in numbers.items()}


class ProgressBar:
    """A callback that draws one bar a phase, in a terminal or a notebook, with its `Numbers`."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._phase = ""
        self._numbers = Numbers()

    def __call__(self, report: Report) -> None:
        """Move the bar."""
        from tqdm.auto import tqdm

        if self._bar is None or report.phase != self._phase or report.step < self._bar.n:
            self.close()
            self._bar = tqdm(total=report.steps, desc=report.phase, leave=True)
            self._phase = report.phase
        self._bar.update(report.step - self._bar.n)
        self._bar.set_postfix(self._numbers(report))

    def close(self) -> None:
        """Finish the bar of the present phase."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None
