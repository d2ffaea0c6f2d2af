"""R1.nuts: parallel tempering against the source's single chain by NumPyro, warm and cold.

Each side is a process of its own, in turns and on one core. It finds mean and sd of the function at
100 inputs, once from the start of its interpreter (cold: imports, compilation) and then from other
keys in the same process (warm). The scores are errors against the exact posterior.

    python -m benchmarks.nuts_relu4
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.process import in_turns, told

SIDES = ("numpyro", "posterium")
PRECISION, TRANSITIONS, DEPTH = 0.05, 5000, 12
"""Prior precision, and the source's transitions of warm-up and of sampling, and depth of trees."""
GRID = np.linspace(-5, 5, 100)
KEYS = 5

Moments = tuple[np.ndarray, np.ndarray]


def points() -> tuple[np.ndarray, np.ndarray]:
    """Return the six points, without a library's imports on either clock."""
    x = np.array([-2, -1.8, -1, 2, 2, 2.1])
    return x, np.array([-2, -1.9, -1, 2, 1.9, 2.1])


def posterium() -> Callable[[int], Moments]:
    """Return a run of parallel tempering with the settings of the recipe."""
    import jax

    import posterium as ps

    x, y = points()
    model = ps.Model(ps.MLP(hidden=(1,)), ps.Normal(PRECISION, scaling="none"), ps.Gaussian(1.0))
    data, method = ps.as_data(x[:, None], y), ps.ParallelTempering()

    def run(seed: int) -> Moments:
        fit = ps.fit(jax.random.key(seed), model, data, method)
        draws = fit.posterior.size()
        found = ps.predict(jax.random.key(0), fit, GRID[:, None], draws=draws)
        return found.mean[:, 0], found.epistemic_sd[:, 0]

    return run


def numpyro() -> Callable[[int], Moments]:
    """Return a run of one chain of NUTS; a later one finds it compiled."""
    import jax
    import jax.numpy as jnp
    import numpyro as pyro
    from numpyro.distributions import Normal
    from numpyro.infer import MCMC, NUTS

    x, y = points()

    def function(w: Any, x: Any) -> Any:
        return w[2] * jax.nn.relu(w[0] * x + w[1]) + w[3]

    def model() -> None:
        w = pyro.sample("w", Normal(jnp.zeros(4), PRECISION**-0.5))
        pyro.sample("y", Normal(function(w, x), 1.0), obs=y)

    kernel = NUTS(model, max_tree_depth=DEPTH)
    chain = MCMC(kernel, num_warmup=TRANSITIONS, num_samples=TRANSITIONS, progress_bar=False)

    def run(seed: int) -> Moments:
        chain.run(jax.random.key(seed))
        w = np.asarray(chain.get_samples()["w"], float).T[..., None]
        f = w[2] * np.maximum(w[0] * GRID + w[1], 0) + w[3]
        return f.mean(axis=0), f.std(axis=0)

    return run


def tell(side: str) -> None:
    """Run one side; print a line of JSON."""
    run = {"posterium": posterium, "numpyro": numpyro}[side]()
    found = [run(0)]
    cold, warm = time.time() - float(os.environ["BEGAN"]), []
    for seed in range(1, KEYS + 1):
        began = time.perf_counter()
        found.append(run(seed))
        warm.append(time.perf_counter() - began)

    from posterium.recipes import relu4

    x, y = points()
    exact = relu4.exact(x[:, None], y, PRECISION, GRID[:, None])
    rmse = [float(np.sqrt(np.mean((mean - exact.mean) ** 2))) for mean, _ in found[1:]]
    ratio = [float(np.mean(sd / exact.sd)) for _, sd in found[1:]]
    print(json.dumps({"cold": cold, "warm": warm, "rmse": rmse, "sd_ratio": ratio}))


def measure(side: str) -> dict[str, Any]:
    """Run one side in a process of its own, on one core; return what it tells."""
    return told(sys.executable, "benchmarks.nuts_relu4", "--side", side)


def table(runs: dict[str, list[dict[str, Any]]]) -> str:
    """Return medians of seconds, and the range of scores over keys, as rows of Markdown."""
    lines = ["| side | warm s | cold s | RMSE of the mean | sd ratio |", "| - | - | - | - | - |"]
    for side, found in runs.items():
        warm = statistics.median(second for run in found for second in run["warm"])
        cold = statistics.median(run["cold"] for run in found)
        scores = [f"{min(found[0][name]):.3f} to {max(found[0][name]):.3f}"
                  for name in ("rmse", "sd_ratio")]  # fmt: skip
        lines.append(f"| {side} | {warm:.2f} | {cold:.2f} | {' | '.join(scores)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure both sides in turns; print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=SIDES, help="run one side in this process")
    given = parser.parse_args()
    if given.side:
        tell(given.side)
        return
    print(table(in_turns(SIDES, given.rounds, measure)))


if __name__ == "__main__":
    main()
