"""Laplace on digits, 64-512-512-10, against laplace-torch: the same weights, rows and threads.

Each side is a process of its own, in float32, one after the other in turns. It does every step
once cold (compilation included, imports not) and then warm; medians over the rounds, and the
ratio of the medians. laplace-torch needs an environment of its own:

    pip install "torch==2.13.0+cpu" "laplace-torch==0.3" scikit-learn && pip uninstall torchvision
    python -m benchmarks.laplace --peer ENVIRONMENT/bin/python
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from typing import Any

import numpy as np

from benchmarks import laplace_job as job
from benchmarks.laplace_ours import train
from benchmarks.process import in_turns, told


def side(python: str, name: str, case: str, folder: str, given: argparse.Namespace) -> Any:
    """Run one side; return what it tells."""
    return told(
        python, f"benchmarks.laplace_{name}", case, folder, "--threads", str(given.threads),
        "--repeats", str(given.repeats), "--batch", str(given.batch), threads=given.threads,
    )  # fmt: skip


def middle(runs: list[Any], kind: str, step: str) -> float:
    """Return the median seconds of a step on all rows."""
    rows = job.digits()[2].shape[0]
    scale = rows / runs[0]["glm_rows"] if step.startswith("glm") else 1
    return scale * statistics.median(run[kind][step] for run in runs)


def gap(folder: str) -> float:
    """Return the largest difference between both sides' probabilities."""
    with np.load(f"{folder}/ours.npz") as ours, np.load(f"{folder}/peer.npz") as peer:
        return float(np.abs(ours["probs"][: len(peer["probs"])] - peer["probs"]).max())


def measure(case: str, folder: str, given: argparse.Namespace) -> dict[str, Any]:
    """Run both sides in turns; return their runs and how far their answers are apart."""
    pythons = {"ours": sys.executable, "peer": given.peer}
    runs = in_turns(
        pythons, given.rounds, lambda name: side(pythons[name], name, case, folder, given)
    )
    return {"case": case, "runs": runs, "gap": gap(folder)}


def table(found: list[dict[str, Any]]) -> str:
    """Return the medians as rows of Markdown."""
    lines = [
        "| step | laplace-torch warm (cold) s | posterium warm (cold) s | ratio warm (cold) |",
        "| --- | --- | --- | --- |",
    ]
    for one in found:
        ours, peer = one["runs"]["ours"], one["runs"]["peer"]
        for step in ours[0]["warm"]:
            times = {
                (name, kind): middle(runs, kind, step)
                for name, runs in (("ours", ours), ("peer", peer))
                for kind in ("warm", "cold")
            }
            scaled = step.startswith("glm") and peer[0]["glm_rows"] < ours[0]["glm_rows"]
            cells = [f"{times[n, 'warm']:.3g} ({times[n, 'cold']:.3g})" for n in ("peer", "ours")]
            ratio = [times["peer", kind] / times["ours", kind] for kind in ("warm", "cold")]
            note = f", from {peer[0]['glm_rows']} rows" if scaled else ""
            lines.append(
                f"| {one['case']}: {step} | {cells[0]}{note} | {cells[1]} "
                f"| {ratio[0]:.3g} ({ratio[1]:.3g}) |"
            )
    return "\n".join(lines)


def notes(found: list[dict[str, Any]]) -> str:
    """Return what else was seen: memory, evidence and how far the answers are apart."""
    lines = []
    for one in found:
        for name, runs in one["runs"].items():
            peak = max(run["peak_mb"] for run in runs)
            told = f"log evidence {runs[0]['log_evidence']:.2f}, import {runs[0]['import_s']:.2g} s"
            lines.append(f"{one['case']}, {name}: peak memory {peak:.0f} MB, {told}")
        lines.append(f"{one['case']}: probabilities differ by at most {one['gap']:.2g}")
    return "\n".join(lines)


def main() -> None:
    """Print a JSON line a case, then the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", required=True, help="the Python that has laplace-torch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3, help="warm runs of a process")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--batch", type=int, default=128, help="rows a batch of laplace-torch")
    parser.add_argument("--cases", nargs="+", choices=job.CASES, default=job.CASES)
    given = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/weights.npz", **dict(zip("abcdef", train(), strict=True)))
        for case in given.cases:
            found.append(measure(case, folder, given))
            print(json.dumps(found[-1]), flush=True)
    print(table(found), notes(found), sep="\n\n")


if __name__ == "__main__":
    main()
