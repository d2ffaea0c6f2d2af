"""Every method on regression tables with published splits: scores, calibration and seconds.

    python -m benchmarks.tables run --data FOLDER [--methods default,map] [--tables yacht]
    python -m benchmarks.tables report

FOLDER holds one folder a table with `data.csv.gz` and `splits.npz`. Each fit runs in a fresh
process on one core, without a persistent compilation cache; its seconds are those of the
processor, compilation included, imports not. Results are appended to a file, a line a fit, and
what stands there is not run again.
"""

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SPLITS = {"yacht": 5, "concrete": 5, "power-plant": 3, "kin8nm": 3}
FIRST_ONLY = ("nuts", "hmc")
CAP_SECONDS = 600
RESULTS = Path(__file__).parent / "tables.jsonl"


def read(folder: Path, split: int) -> tuple[np.ndarray, ...]:
    """Return training inputs and target, test inputs and target."""
    rows = np.loadtxt(folder / "data.csv.gz", delimiter=",", skiprows=1)
    info = np.load(folder / "splits.npz")
    order = info["perm"][split]
    train, test = order[: info["n_train"]], order[info["n_train"] :]
    x, y = rows[:, info["feature_columns"]], rows[:, info["target_column"]]
    return x[train], y[train], x[test], y[test]


def fit_once(folder: Path, method: str, split: int) -> dict[str, object]:
    """Fit and score in this process."""
    import jax

    from posterium import BayesianRegressor
    from posterium.estimators import FitFailed
    from posterium.evaluate.scores import score

    jax.devices()
    x, y, x_test, y_test = read(folder, split)
    began, busy = time.perf_counter(), time.process_time()
    model = BayesianRegressor(method=method, random_state=split)
    with contextlib.suppress(FitFailed):
        model.fit(x, y)
    fitted, worked = time.perf_counter(), time.process_time()
    scores = score(model.predict_dist(x_test), y_test)
    return {name: found.value for name, found in scores.items()} | {
        "fit_s": fitted - began,
        "cpu_s": worked - busy,
        "predict_s": time.perf_counter() - fitted,
        "verdict": model.verdict_.status,
    }


def run(data: Path, methods: list[str], tables: list[str], core: int) -> None:
    """Run what is missing, each fit in a process of its own."""
    done = {(r["table"], r["method"], r["split"]) for r in results()}
    for table in tables:
        for method in methods:
            for split in range(1 if method in FIRST_ONLY else SPLITS[table]):
                if (table, method, split) in done:
                    continue
                row = {"table": table, "method": method, "split": split}
                row |= child(data / table, method, split, core)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(row, flush=True)


def child(folder: Path, method: str, split: int, core: int) -> dict[str, object]:
    """Run one fit in a fresh process on one core; say when it is over budget or fails."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.tables", "one"]
    command += ["--data", str(folder), "--methods", method, "--split", str(split)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION")}
    try:
        done = subprocess.run(
            ["taskset", "-c", str(core), *command],
            capture_output=True, text=True, timeout=CAP_SECONDS, env=environment, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"over_budget": True}
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def results() -> list[dict]:
    """Return the fits that were run."""
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text().splitlines()]


def report() -> str:
    """Return the results as Markdown, a table of means and standard errors a data set."""
    parts = []
    for table in SPLITS:
        rows = [r for r in results() if r["table"] == table]
        head = "| method | splits | RMSE | NLL | CRPS | coverage 90 | width 90 | CPU s |"
        lines = [f"### {table}", "", head, "| --- " * 8 + "|"]
        methods = sorted({r["method"] for r in rows}, key=lambda m: _order(m, rows))
        lines += [_line(m, [r for r in rows if r["method"] == m]) for m in methods]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _order(method: str, rows: list[dict]) -> float:
    found = [r["nll"] for r in rows if r["method"] == method and "nll" in r]
    return float(np.mean(found)) if found else math.inf


def _line(method: str, rows: list[dict]) -> str:
    scored = [r for r in rows if "nll" in r]
    if not scored:
        why = "over budget" if rows[0].get("over_budget") else rows[0].get("error", "failed")
        return f"| {method} | {len(rows)} | {why} | | | | | |"
    names = ("rmse", "nll", "crps", "coverage_90", "width_90")
    cells = [_mean(np.array([r[name] for r in scored])) for name in names]
    seconds = f"{np.median([r['cpu_s'] for r in scored]):.1f}"
    return f"| {method} | {len(scored)} | {' | '.join(cells)} | {seconds} |"


def _mean(values: np.ndarray) -> str:
    if len(values) == 1:
        return f"{values[0]:.3g}"
    error = values.std(ddof=1) / math.sqrt(len(values))
    digits = max(0, 1 - math.floor(math.log10(error))) if error > 0 else 3
    return f"{values.mean():.{digits}f} ± {error:.{digits}f}"


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("run", "one", "report"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--methods", default="default")
    parser.add_argument("--tables", default=",".join(SPLITS))
    parser.add_argument("--split", type=int, default=0)
    parser.add_argument("--core", type=int, default=0)
    given = parser.parse_args()
    if given.action == "report":
        print(report())
    elif given.action == "one":
        print(json.dumps(fit_once(given.data, given.methods, given.split)))
    else:
        run(given.data, given.methods.split(","), given.tables.split(","), given.core)


if __name__ == "__main__":
    main()
