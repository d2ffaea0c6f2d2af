"""One side of a measurement: a process of its own, on cores of its own."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
NOT_PASSED_ON = ("JAX_COMPILATION_CACHE_DIR", "XLA_FLAGS")
"""Settings of the shell that would speed up or slow down one side."""


def told(python: str, module: str, *given: str, threads: int = 1, **settings: str) -> Any:
    """Run a module on the first so many cores; return what its last line says as JSON.

    It finds the time of its start, in seconds, in the environment variable ``BEGAN``.
    """
    passed = {key: value for key, value in os.environ.items() if key not in NOT_PASSED_ON}
    passed |= {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT / "src")}
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:threads]))
    command = ["taskset", "-c", cores, python, "-m", module, *given]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**passed, **settings, "BEGAN": str(time.time())},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def in_turns(sides: Iterable[str], rounds: int, measure: Callable[[str], Any]) -> dict[str, list]:
    """Measure all sides in each round, every other time in reverse; return what each round gave."""
    runs: dict[str, list] = {side: [] for side in sides}
    for number in range(rounds):
        for side in sorted(runs, reverse=bool(number % 2)):
            runs[side].append(measure(side))
    return runs
