"""What the two ways to compile a phase cost: seconds of a first fit, and of the same again.

Each way is a process of its own, in turns and on one core: quickly (the older emitters of XLA) and
for long runs (the newer). Imports are on neither clock.

    python -m benchmarks.compilation
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.process import in_turns, told

BOUNDS = {"quickly": float("inf"), "for long runs": 0.0}
"""What LONG_WORK is set to: the work from which a phase is compiled for long runs."""


def jobs() -> dict[str, Callable[[int], Any]]:
    """Return fits of several kinds by what they are, each as a function of a seed."""
    import jax

    import posterium as ps
    from posterium.recipes import clusters

    curve = clusters.network(ps.HeteroscedasticGaussian()), clusters.data()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7000, 8))
    table = ps.as_data(x, np.sin(x[:, 0]) + 0.1 * rng.normal(size=len(x)))
    points = rng.normal(size=(700, 2))
    classes = ps.as_data(points, (points.prod(axis=1) > 0).astype(int))
    small = ps.MLP(hidden=(5, 5), activation="tanh", bias=False)
    moons = ps.Model(small, ps.Normal(1.0, scaling="none"), ps.Bernoulli()), classes

    def deep(width: int) -> ps.Model:
        body = ps.MLP(outputs=2, hidden=(width, width))
        return ps.Model(body, ps.Normal(1.0), ps.HeteroscedasticGaussian())

    def job(model: ps.Model, data: ps.Data, method: Any) -> Callable[[int], Any]:
        return lambda seed: ps.fit(jax.random.key(seed), model, data, method)

    return {
        "mean-field VI of R2, 2,000 steps": job(*curve, clusters.svi()),
        "NUTS on R2's network, 10 + 20": job(*curve, ps.NUTS(warmup=10, draws=20)),
        "MCLMC on R2's network, 6,000 steps": job(*curve, ps.MCLMC(warmup=1000, draws=500)),
        "NUTS on a 2-5-5-1 network, 700 rows, 60 + 60": job(*moons, ps.NUTS(warmup=60, draws=60)),
        "six networks of 50-50, 1,000 steps of 256 rows": job(
            deep(50), table, ps.Ensemble(ps.MAP(steps=1000, batch_size=256), 6)
        ),
        "mean-field VI, 100-100, 600 steps of 256 rows": job(
            deep(100), table, ps.VI(steps=600, batch_size=256)
        ),
    }


def tell(side: str) -> None:
    """Run all jobs one way, three times each; print the seconds as a line of JSON."""
    from posterium.driver import program

    program.LONG_WORK = BOUNDS[side]
    found = {}
    for name, run in jobs().items():
        seconds = []
        for seed in range(3):
            began = time.perf_counter()
            run(seed)
            seconds.append(time.perf_counter() - began)
        found[name] = {"cold": seconds[0], "warm": min(seconds[1:])}
    print(json.dumps(found))


def main() -> None:
    """Measure both ways in turns; print medians as rows of Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=list(BOUNDS), help="run one way in this process")
    given = parser.parse_args()
    if given.side:
        tell(given.side)
        return
    runs = in_turns(
        BOUNDS,
        given.rounds,
        lambda side: told(sys.executable, "benchmarks.compilation", "--side", side),
    )
    print("| job | quickly: cold s | warm s | for long runs: cold s | warm s |")
    print("| - " * 5 + "|")
    for name in runs["quickly"][0]:
        cells = [
            f"{statistics.median(run[name][clock] for run in runs[side]):.2f}"
            for side in BOUNDS
            for clock in ("cold", "warm")
        ]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
