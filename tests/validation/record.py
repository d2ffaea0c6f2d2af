"""The record of the validation: one row a run, in docs/validation.jsonl, shown in its page.

A row that passed stands as long as what draws and the checks stay as they were: its test is
skipped, so that a run that was stopped goes on where it was. VALIDATE=again runs it anyway. Tests
elsewhere that are marked with a goal run each time, and add a row by `reported`.
"""

import contextlib
import datetime
import fcntl
import functools
import hashlib
import json
import os
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import posterium

ROOT = Path(__file__).parents[2]
FILE, PAGE = ROOT / "docs" / "validation.jsonl", ROOT / "docs" / "validation.md"
TABLE = ("<!-- rows -->\n", "<!-- end of rows -->\n")
DRAWN_BY = (
    "_struct.py", "numerics", "model", "posterior", "phases", "methods", "combinators",
    "driver/batches.py", "driver/program.py", "evaluate/mixing.py",
)  # fmt: skip
"""The parts of the package that draws are made by, and compared with the truth."""
HEAD = "| id | case | passed | figures | date | version | source |\n" + "| --- " * 7 + "|\n"


@functools.cache
def digest() -> str:
    """Return a digest of what a row stands on: what draws, the checks, JAX and BlackJAX."""
    found = hashlib.sha256(" ".join(map(version, ("jax", "jaxlib", "blackjax"))).encode())
    package, checks = Path(posterium.__file__).parent, Path(__file__).parent
    keeping = {Path(__file__), checks / "test_record.py"}
    for path in sorted(python(*(package / part for part in DRAWN_BY)) | python(checks) - keeping):
        near = package if path.is_relative_to(package) else checks
        found.update(path.relative_to(near).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]


def python(*places: Path) -> set[Path]:
    """Return the files of Python in folders, and those that are named themselves."""
    return {
        path for place in places for path in ([place] if place.is_file() else place.rglob("*.py"))
    }


def again() -> bool:
    """Say whether checks are asked for whose row stands."""
    return os.environ.get("VALIDATE") == "again"


def rows() -> list[dict[str, Any]]:
    """Return all rows, oldest first."""
    return [json.loads(line) for line in FILE.read_text().splitlines()] if FILE.exists() else []


def newest() -> dict[tuple[str, str], dict[str, Any]]:
    """Return the last row of each id and case."""
    return {(row["id"], row["case"]): row for row in rows()}


@contextlib.contextmanager
def recorded(goal: str, case: str, least: int = 0) -> Iterator[dict[str, Any]]:
    """Yield a dict for the figures of one check; add them with their outcome to the record.

    A row of fewer than the least simulations N does not stand.
    """
    row = newest().get((goal, case))
    stands = row and row["passed"] and row["source"] == digest()
    if stands and row["figures"].get("N", least) >= least and not again():
        pytest.skip(f"{goal} of {case} stands since {row['date']}; VALIDATE=again runs it.")
    figures: dict[str, Any] = {}
    began = time.perf_counter()

    def seconds() -> dict[str, Any]:
        return {"seconds": round(time.perf_counter() - began)}

    try:
        yield figures
    except AssertionError:
        add(goal, case, figures | seconds(), passed=False)
        raise
    add(goal, case, figures | seconds(), passed=True)


def reported(item: pytest.Item, report: pytest.TestReport) -> None:
    """Add a row for a test that is marked with its goal, when it has run."""
    goal = item.get_closest_marker("goal")
    if goal is None or report.when != "call" or report.skipped:
        return
    case = item.name.removeprefix("test_").replace("_", " ")
    figures = dict(report.user_properties) | {"seconds": round(report.duration)}
    add(goal.args[0], case, figures, report.passed)


def add(goal: str, case: str, figures: dict[str, Any], passed: bool) -> None:
    """Append a row, and bring the page up to date."""
    row = {
        "id": goal,
        "case": case,
        "passed": passed,
        "figures": figures,
        "date": datetime.date.today().isoformat(),
        "version": posterium.__version__,
        "source": digest(),
    }
    with FILE.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(row) + "\n")
        file.flush()
        before, rest = PAGE.read_text().split(TABLE[0])
        PAGE.write_text(before + TABLE[0] + table() + TABLE[1] + rest.split(TABLE[1])[1])


def table() -> str:
    """Return the newest row of each id and case as a table of Markdown."""
    lines = (
        f"| {row['id']} | {row['case']} | {'yes' if row['passed'] else '**no**'} | "
        f"{', '.join(f'{name} {shown(value)}' for name, value in row['figures'].items())} | "
        f"{row['date']} | {row['version']} | `{row['source']}` |\n"
        for _, row in sorted(newest().items(), key=place)
    )
    return HEAD + "".join(lines)


def place(item: tuple[tuple[str, str], Any]) -> tuple[bool, str, int, str]:
    """Return where the row of an id and case stands: ids of statistics first, each by number."""
    goal, case = item[0]
    return goal[0] != "S", goal[0], int(goal[1:]), case


def shown(value: Any) -> str:
    """Return a figure with three digits, or a list of them."""
    if isinstance(value, list):
        return " ".join(map(shown, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)
