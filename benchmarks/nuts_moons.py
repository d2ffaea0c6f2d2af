"""R3.nuts: effective draws a second by posterium, by NumPyro and by PyMC, warm and cold.

Each side is a process of its own, in turns and on the same cores. It samples R3's network by NUTS
with its own defaults, four chains, once from the start of its interpreter (cold: imports,
compilation) and then again (warm). Compared is the effective sample size of the worst p(y = 1) of
300 rows held out, per second of a warm call, by one function for all sides; PyMC's call compiles
its model each time. posterium and PyMC sample in float64 by default, NumPyro in float32, so
posterium does that too. PyMC needs an environment of its own:

    pip install pymc==5.28.5 scikit-learn
    python -m benchmarks.nuts_moons --pymc PYTHON
"""

import argparse
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.process import in_turns, told
from benchmarks.vi_job import two_class_scores
from posterium.datasets.reference import scaled_moons
from posterium.evaluate import mixing

CHAINS = 4
SHAPES = {"first": (2, 5), "second": (5, 5), "last": (5, 1)}

Layers = list[np.ndarray]
Run = Callable[[int], Layers]
"""From a seed to draws of the weights, a layer an array (c, s, inputs, outputs)."""


def posterium(transitions: int, threads: int, precision: str | None = None) -> Run:
    """Return a run of posterium."""
    import jax

    import posterium as ps
    from posterium.recipes.r3_advi import network

    model, data = network(), ps.as_data(*scaled_moons()[0])
    method = ps.NUTS(warmup=transitions, draws=transitions, chains=CHAINS)

    def run(seed: int) -> Layers:
        found = ps.fit(jax.random.key(seed), model, data, method, precision=precision)
        return [layer["kernel"] for layer in found.posterior.draws.weights.params["layers"]]

    return run


def single(transitions: int, threads: int) -> Run:
    """Return a run of posterium in single precision."""
    return posterium(transitions, threads, precision="float32")


def numpyro(transitions: int, threads: int) -> Run:
    """Return a run of NumPyro, each chain on a device of its own; a later one is compiled."""
    import jax
    import jax.numpy as jnp
    import numpyro as pyro
    from numpyro.distributions import Bernoulli, Normal
    from numpyro.infer import MCMC, NUTS

    x, y = (jnp.asarray(part) for part in scaled_moons()[0])

    def model() -> None:
        h = x
        for name, shape in SHAPES.items():
            w = pyro.sample(name, Normal(jnp.zeros(shape), 1.0).to_event(2))
            h = h @ w if name == "last" else jnp.tanh(h @ w)
        pyro.sample("label", Bernoulli(logits=h[:, 0]), obs=y)

    chains = MCMC(
        NUTS(model), num_warmup=transitions, num_samples=transitions, num_chains=CHAINS,
        chain_method="parallel", progress_bar=False,
    )  # fmt: skip

    def run(seed: int) -> Layers:
        chains.run(jax.random.key(seed))
        draws = chains.get_samples(group_by_chain=True)
        return [np.asarray(draws[name], float) for name in SHAPES]

    return run


def pymc(transitions: int, threads: int) -> Run:
    """Return a run of PyMC, a process a chain."""
    import pymc as pm

    logging.getLogger("pymc").setLevel(logging.ERROR)
    x, y = scaled_moons()[0]

    def run(seed: int) -> Layers:
        with pm.Model():
            h = x
            for name, shape in SHAPES.items():
                w = pm.Normal(name, 0, 1, shape=shape)
                h = pm.math.dot(h, w) if name == "last" else pm.math.tanh(pm.math.dot(h, w))
            pm.Bernoulli("label", pm.math.sigmoid(h[:, 0]), observed=y)
            trace = pm.sample(
                transitions, tune=transitions, chains=CHAINS, cores=threads, random_seed=seed,
                progressbar=False, compute_convergence_checks=False,
            )  # fmt: skip
        return [trace.posterior[name].values for name in SHAPES]

    return run


SIDES = {"posterium": posterium, "posterium, float32": single, "numpyro": numpyro, "pymc": pymc}


def scores(layers: Layers) -> dict[str, float]:
    """Return what draws say of p(y = 1) at the rows held out: ESS, R-hat and NLL."""
    h, y = scaled_moons()[1]
    for w in layers[:-1]:
        h = np.tanh(h @ w)
    p = 1 / (1 + np.exp(-(h @ layers[-1])[..., 0]))
    return {
        "ess": float(mixing.ess_bulk(p).min()),
        "rhat": float(mixing.rhat(p).max()),
        **two_class_scores(p.mean(axis=(0, 1)), y),
    }


def tell(given: argparse.Namespace) -> None:
    """Run one side, once cold and some times warm; print a line of JSON."""
    run, runs = SIDES[given.side](given.transitions, given.threads), []
    for seed in range(given.repeats + 1):
        began = time.perf_counter()
        layers = run(seed)
        seconds = time.perf_counter() - began
        if seed == 0:
            cold = time.time() - float(os.environ["BEGAN"])
        runs.append({"seconds": seconds, **scores(layers)})
    print(json.dumps({"cold": cold, "warm": runs[1:] or runs}))


def measure(side: str, given: argparse.Namespace) -> dict[str, Any]:
    """Run one side in a process of its own; return what it tells."""
    python = given.pymc if side == "pymc" else sys.executable
    devices = f"--xla_force_host_platform_device_count={CHAINS}"
    return told(
        python, "benchmarks.nuts_moons", "--side", side, "--threads", str(given.threads),
        "--repeats", str(given.repeats), "--transitions", str(given.transitions),
        threads=given.threads, OMP_NUM_THREADS="1", XLA_FLAGS=devices,
    )  # fmt: skip


def table(runs: dict[str, list[dict[str, Any]]]) -> str:
    """Return medians over all runs as rows of Markdown."""
    columns = ("seconds", "ess", "rhat", "nll", "accuracy")
    lines = [
        "| side | cold s | warm s | least ESS | R-hat | test NLL | accuracy | ESS a second |",
        "| - | - | - | - | - | - | - | - |",
    ]
    for side, found in runs.items():
        warm = [run for one in found for run in one["warm"]]
        cells = [f"{statistics.median(one['cold'] for one in found):.1f}"]
        cells += [f"{statistics.median(run[name] for run in warm):.4g}" for name in columns]
        rate = statistics.median(run["ess"] / run["seconds"] for run in warm)
        lines.append(f"| {side} | {' | '.join(cells)} | {rate:.3g} |")
    return "\n".join(lines)


def main() -> None:
    """Measure the sides in turns; print what each told, then the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pymc", help="the Python that has PyMC; without it that side is left out")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1, help="warm runs of a process")
    parser.add_argument("--transitions", type=int, default=1000, help="of warm-up, and of sampling")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--side", choices=SIDES, help="run one side in this process")
    given = parser.parse_args()
    if given.side:
        tell(given)
        return
    sides = [side for side in SIDES if side != "pymc" or given.pymc]
    runs = in_turns(sides, given.rounds, lambda side: measure(side, given))
    print(json.dumps(runs), table(runs), sep="\n")


if __name__ == "__main__":
    main()
