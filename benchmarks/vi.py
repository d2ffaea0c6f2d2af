"""Variational inference against other libraries: the same jobs, rows and threads.

Each side is a process of its own, one after the other in turns. It does the whole job once, from
the start of its interpreter (cold: imports, data, compilation), and then again in the same
process (warm); medians over repeats and rounds, and the ratio of the medians. The other libraries
need environments of their own, each named by its Python:

    pip install torch==2.13.0 scikit-learn                        --torch
    pip install torch pyro-ppl==1.9.2 tyxe==0.0.2 scikit-learn    --tyxe
    pip install pymc==5.28.5 scikit-learn                         --pymc
    python -m benchmarks.vi --torch PYTHON --tyxe PYTHON --pymc PYTHON
"""

import argparse
import json
import os
import statistics
import sys
from typing import Any

from benchmarks.process import in_turns, told
from benchmarks.vi_job import JOBS


def side(python: str, name: str, job: str, given: argparse.Namespace) -> Any:
    """Run one side of a job; return what it tells."""
    steps = max(1, round(given.share * JOBS[job].steps))
    return told(
        python, f"benchmarks.vi_{name}", job, "--steps", str(steps),
        "--repeats", str(given.repeats), "--threads", str(given.threads), threads=given.threads,
    )  # fmt: skip


def measure(job: str, given: argparse.Namespace) -> dict[str, Any]:
    """Run both sides of a job in turns; return their runs."""
    peer = JOBS[job].peer
    pythons = {"ours": sys.executable, peer: pythons_of(given)[peer]}
    runs = in_turns(pythons, given.rounds, lambda name: side(pythons[name], name, job, given))
    return {"job": job, "peer": peer, "share": given.share, "runs": runs}


def pythons_of(given: argparse.Namespace) -> dict[str, str]:
    """Return the Python of each peer that there is."""
    named = {"torch": given.torch, "tyxe": given.tyxe, "pymc": given.pymc, "jax": sys.executable}
    return {name: python for name, python in named.items() if python}


def table(found: list[dict[str, Any]]) -> str:
    """Return the medians as rows of Markdown."""
    lines = [
        "| job | peer | peer warm (cold) s | posterium warm (cold) s | ratio warm (cold) | scores "
        "of the peer, of posterium |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in found:
        sides = [one["runs"][name] for name in (one["peer"], "ours")]
        cold = [statistics.median(run["cold"] for run in runs) for runs in sides]
        scores = [
            " ".join(f"{key} {median(runs, 'scores', key):.3g}" for key in runs[0]["scores"])
            for runs in sides
        ]
        steps = {"": tuple(sides[0][0]["warm"])}
        if len(steps[""]) > 1:
            steps |= {f": {name}": (name,) for name in sides[0][0]["warm"]}
        for title, names in steps.items():
            warm = [sum(median(runs, "warm", name) for name in names) for runs in sides]
            told = [f"{w:.3g}" + (f" ({c:.3g})" if not title else "")
                    for w, c in zip(warm, cold, strict=True)]  # fmt: skip
            ratio = f"{warm[0] / warm[1]:.3g}"
            if not title:
                ratio += f" ({cold[0] / cold[1]:.3g})"
            cells = [f"{one['job']}{title}", one["peer"], *told, ratio]
            cells.append(", ".join(scores) if not title else "")
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def median(runs: list[Any], kind: str, name: str) -> float:
    """Return the median of a number over rounds."""
    return statistics.median(run[kind][name] for run in runs)


def main() -> None:
    """Print a JSON line a job, then the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("torch", "tyxe", "pymc"):
        parser.add_argument(f"--{name}", help=f"the Python that has {name}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3, help="warm runs of a process")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--share", type=float, default=1.0, help="share of the steps, for a try")
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    given = parser.parse_args()
    there = pythons_of(given)
    found = []
    for job in given.jobs:
        if JOBS[job].peer not in there:
            print(f"{job} is left out: no --{JOBS[job].peer}", file=sys.stderr)
            continue
        found.append(measure(job, given))
        print(json.dumps(found[-1]), flush=True)
    print(table(found))


if __name__ == "__main__":
    main()
