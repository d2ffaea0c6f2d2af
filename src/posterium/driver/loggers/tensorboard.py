"""A logger to TensorBoard's event files, by tensorboardX."""

import itertools
import os
from typing import Any

FILES = itertools.count()
"""Numbers of files, for their names: without, tensorboardX writes over one of the same second."""


class TensorBoardLogger:
    """A logger to a folder that ``tensorboard --logdir`` shows, with figures.

    Parameters
    ----------
    folder
        Where the event files go; made if it is missing. Steps from the first that is logged on
        are purged from what other files there say: a resumed fit goes on.

    Raises
    ------
    ImportError
        When tensorboardX is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "TensorBoardLogger needs tensorboardX, which is not installed. Install the extra: "
                'pip install "posterium[loggers]".'
            ) from error
        self._make = SummaryWriter
        self._folder = os.fspath(folder)
        self._writer: Any = None
        self._last: int | None = None

    def log(self, values: dict[str, float], step: int) -> None:
        """Write numbers by name at a step."""
        writer = self._at(step)
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    def figure(self, name: str, figure: Any, step: int) -> None:
        """Write a figure of matplotlib."""
        self._at(step).add_figure(name, figure, step, close=False)

    def close(self) -> None:
        """Write what is left; a further row opens a new file."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _at(self, step: int) -> Any:
        """Return the writer; a new one, which voids what comes later, where steps go back."""
        if self._last is None or step < self._last:
            self.close()
            self._writer = self._open(purge_step=step)
        elif self._writer is None:
            self._writer = self._open()
        self._last = step
        return self._writer

    def _open(self, **options: Any) -> Any:
        suffix = f".{os.getpid()}.{next(FILES)}"
        return self._make(self._folder, filename_suffix=suffix, **options)
