"""Loggers to files of one's own: JSON lines, and CSV."""

import abc
import csv
import io
import json
import math
import os
from pathlib import Path
from typing import Any, ClassVar

from posterium.posterior.container import replace_file

STEP = "step"


class FileLogger(abc.ABC):
    """Appends rows to a file one by one, so that a crash loses none of them.

    What the file held from the first step that is logged on is dropped: a fit that begins anew
    begins the file anew, and one that goes on from a checkpoint goes on in the file after the last
    row before it.
    """

    begins: ClassVar[str]
    """How every file of this kind begins."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._last: int | None = None
        if not self.path.absolute().parent.is_dir():
            raise FileNotFoundError(
                f"{type(self).__name__} expects a file in a folder that is there; got "
                f"{str(self.path)!r}. Make the folder first."
            )

    def log(self, values: dict[str, float], step: int) -> None:
        """Write a row."""
        if self._last is None or step < self._last:
            self._rewrite([row for row in self._rows() if row[STEP] < step])
        self._last = step
        self._write({STEP: int(step), **values})

    @abc.abstractmethod
    def _parsed(self, text: str) -> list[dict[str, Any]]:
        """Return the whole rows of a file's text."""

    @abc.abstractmethod
    def _text(self, rows: list[dict[str, Any]]) -> str:
        """Return the text of a file with these rows."""

    @abc.abstractmethod
    def _write(self, row: dict[str, Any]) -> None:
        """Append a row."""

    def _rows(self) -> list[dict[str, Any]]:
        """Return the rows that the file holds; a last one that was cut short is none of them."""
        if not self.path.exists():
            return []
        try:
            text = self.path.read_text(encoding="utf-8")
            if text[: len(self.begins)] != self.begins[: len(text)]:
                raise ValueError
            return self._parsed(text[: text.rfind("\n") + 1])
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f"{type(self).__name__} expects a new file, or one that it wrote; "
                f"{str(self.path)!r} holds something else. Choose another name."
            ) from None

    def _rewrite(self, rows: list[dict[str, Any]]) -> None:
        """Replace the file by one with these rows, in one step."""
        replace_file(self.path, [self._text(rows).encode("utf-8")])

    def _append(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(text)


class JSONLLogger(FileLogger):
    """A logger to a file of JSON lines: an object a row, with its `step` and the numbers by name.

    Numbers that are not finite become null.

    Parameters
    ----------
    path
        The file, in a folder that is there. Rows from the first step that is logged on are dropped
        from it: a new fit begins it anew, a resumed one goes on.

    Raises
    ------
    FileNotFoundError
        When there is no such folder.
    ValueError
        At the first row, when the file holds anything but rows of a log.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from posterium import JSONLLogger
    >>> path = pathlib.Path(tempfile.mkdtemp(), "run.jsonl")
    >>> logger = JSONLLogger(path)
    >>> logger.log({"descent/objective": -1.5}, step=10)
    >>> print(path.read_text(), end="")
    {"step": 10, "descent/objective": -1.5}
    """

    begins: ClassVar[str] = f'{{"{STEP}": '

    def _parsed(self, text: str) -> list[dict[str, Any]]:
        rows = [json.loads(line) for line in text.splitlines()]
        return [row | {STEP: int(row[STEP])} for row in rows]

    def _text(self, rows: list[dict[str, Any]]) -> str:
        return "".join(map(_line, rows))

    def _write(self, row: dict[str, Any]) -> None:
        self._append(_line(row))


class CSVLogger(FileLogger):
    """A logger to a CSV file: a row a step, a column a name.

    Cells of names that a row has not are empty. When a new name comes, as at the beginning of a
    phase, the file is written again with one more column.

    Parameters
    ----------
    path
        The file, in a folder that is there. Rows from the first step that is logged on are dropped
        from it: a new fit begins it anew, a resumed one goes on.

    Raises
    ------
    FileNotFoundError
        When there is no such folder.
    ValueError
        At the first row, when the file holds anything but rows of a log.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from posterium import CSVLogger
    >>> path = pathlib.Path(tempfile.mkdtemp(), "run.csv")
    >>> logger = CSVLogger(path)
    >>> logger.log({"descent/objective": -1.5}, step=10)
    >>> print(path.read_text(), end="")
    step,descent/objective
    10,-1.5
    """

    begins: ClassVar[str] = STEP

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self._names: list[str] = []

    def _parsed(self, text: str) -> list[dict[str, Any]]:
        rows = list(csv.DictReader(io.StringIO(text), strict=True))
        return [{**row, STEP: int(row[STEP])} for row in rows]

    def _text(self, rows: list[dict[str, Any]]) -> str:
        self._names = list(dict.fromkeys([STEP, *(name for row in rows for name in row)]))
        return "".join(map(self._cells, [dict(zip(self._names, self._names, strict=True)), *rows]))

    def _write(self, row: dict[str, Any]) -> None:
        if row.keys() <= set(self._names):
            self._append(self._cells(row))
        else:
            self._rewrite([*self._rows(), row])

    def _cells(self, row: dict[str, Any]) -> str:
        """Return a row as a line."""
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow([row.get(name, "") for name in self._names])
        return line.getvalue()


def _line(row: dict[str, Any]) -> str:
    """Return a row as a line of JSON."""
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
    return json.dumps(finite, allow_nan=False) + "\n"
