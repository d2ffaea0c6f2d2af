"""Progress on a terminal: a line for each phase, gone when the fit is done."""

from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.progress import TimeRemainingColumn as Remaining

from posterium.driver.progress import Numbers
from posterium.driver.watch import Report


class Bars:
    """A callback that shows how far each phase is, and its `Numbers`; used as a context manager.

    Parameters
    ----------
    console
        Where to draw; None for standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            Remaining(),
            TextColumn("{task.fields[latest]}", markup=False),
            console=console or Console(stderr=True),
            transient=True,
        )
        self._tasks: dict[str, Any] = {}
        self._numbers = Numbers()
        self._phase = ""

    def __enter__(self) -> Self:
        """Draw, with a line for the time before the first steps."""
        self._bars.start()
        self._tasks[""] = self._bars.add_task("compiling", total=None, latest="")
        return self

    def __exit__(self, *error: object) -> None:
        """Wipe what was drawn."""
        self._bars.stop()

    def __call__(self, report: Report) -> None:
        """Move the bar of the phase, which starts anew when the phase comes round again."""
        if "" in self._tasks:
            self._bars.remove_task(self._tasks.pop(""))
        if report.phase not in self._tasks:
            task = self._bars.add_task(report.phase, total=report.steps, latest="")
            self._tasks[report.phase] = task
        task = self._tasks[report.phase]
        if report.phase != self._phase:
            self._bars.reset(task, total=report.steps)
        self._phase = report.phase
        told = [
            f"{name.replace('_', ' ')} {value}" for name, value in self._numbers(report).items()
        ]
        self._bars.update(task, completed=report.step, latest=", ".join(told), refresh=True)
