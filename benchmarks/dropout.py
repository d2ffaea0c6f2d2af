"""R0.mcdropout: training under dropout, and 500 masks, by posterium and by PyTorch, warm and cold.

Each side is a process of its own, in turns and on the same cores. It trains a 2-50-1 network on
two moons by 500 steps of Adam, then averages 500 draws of its masks at the 25,146 points of a grid
and at the rows: once from the start of its interpreter (cold: imports, data, compilation), and then
again (warm). PyTorch draws a mask for each row of each draw. posterium can do the same, or draw
one mask for all rows, so that a draw is a function. PyTorch needs an environment of its own:

    pip install torch==2.13.0 scikit-learn
    python -m benchmarks.dropout --torch PYTHON
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
from benchmarks.vi_job import Clock, Scores, Times, plane, two_class_scores

RATE, HIDDEN, STEPS, LEARNING_RATE, DRAWS = 0.5, 50, 500, 0.01, 500

Run = Callable[[int], tuple[Times, Scores]]


def torch(draws: int, threads: int) -> Run:
    """Return the loop as a user of PyTorch writes it."""
    import torch as th
    from torch import nn

    th.set_num_threads(threads)
    x, y, grid = map(th.from_numpy, plane("R0.mcdropout"))
    cross_entropy = nn.functional.binary_cross_entropy_with_logits

    def train() -> nn.Module:
        net = nn.Sequential(nn.Linear(2, HIDDEN), nn.ReLU(), nn.Dropout(RATE), nn.Linear(HIDDEN, 1))
        optimiser = th.optim.Adam(net.parameters(), lr=LEARNING_RATE)
        for _ in range(STEPS):
            optimiser.zero_grad()
            cross_entropy(net(x)[:, 0], y).backward()
            optimiser.step()
        return net

    @th.no_grad()
    def predict(net: nn.Module, at: th.Tensor) -> th.Tensor:
        total = th.zeros(len(at), 1)
        for _ in range(draws):
            total += th.sigmoid(net(at))
        return total / draws

    def run(seed: int) -> tuple[Times, Scores]:
        th.manual_seed(seed)
        clock = Clock()
        net = clock("fit", train)
        clock("predict", predict, net, grid)
        p = clock("predict", predict, net, x)
        return clock.seconds, two_class_scores(p.numpy(), y.numpy())

    return run


def posterium(draws: int, threads: int, masks: str = "row") -> Run:
    """Return the same by posterium."""
    import jax

    import posterium as ps

    x, y, grid = plane("R0.mcdropout")
    network = ps.MLP(hidden=(HIDDEN,), dropout=RATE)
    model, data = ps.Model(network, ps.Flat(), ps.Bernoulli()), ps.as_data(x, y.astype(int))
    training = ps.MLE(steps=STEPS, learning_rate=LEARNING_RATE, schedule="constant")
    method = ps.MCDropout(training, masks=masks)

    def run(seed: int) -> tuple[Times, Scores]:
        clock, key = Clock(), jax.random.key(seed)
        found = clock("fit", ps.fit, key, model, data, method)

        def predict(at: np.ndarray) -> np.ndarray:
            return ps.predict(key, found, at, draws=draws).probs[:, 1]

        clock("predict", predict, grid)
        return clock.seconds, two_class_scores(clock("predict", predict, x), y)

    return run


def shared(draws: int, threads: int) -> Run:
    """Return it with one mask for all rows of a draw."""
    return posterium(draws, threads, masks="draw")


SIDES = {"torch": torch, "posterium": posterium, "posterium, shared masks": shared}


def tell(given: argparse.Namespace) -> None:
    """Run one side, once cold and some times warm; print a line of JSON."""
    run = SIDES[given.side](given.draws, given.threads)
    runs = [run(0)]
    cold = time.time() - float(os.environ["BEGAN"])
    runs += [run(seed) for seed in range(1, given.repeats + 1)]
    warm = [{**seconds, **found} for seconds, found in runs[1:] or runs]
    print(json.dumps({"cold": cold, "warm": warm}))


def measure(side: str, given: argparse.Namespace) -> dict[str, Any]:
    """Run one side in a process of its own; return what it tells."""
    return told(
        given.torch if side == "torch" else sys.executable, "benchmarks.dropout", "--side", side,
        "--repeats", str(given.repeats), "--draws", str(given.draws),
        "--threads", str(given.threads), threads=given.threads,
    )  # fmt: skip


def table(runs: dict[str, list[dict[str, Any]]]) -> str:
    """Return medians over all runs, and how often faster than PyTorch, as rows of Markdown."""
    lines = [
        "| side | warm (cold) s | fit, predictions | times as fast, warm (cold) | NLL | accuracy |",
        "| - | - | - | - | - | - |",
    ]
    peer = None
    for side, found in runs.items():
        warm = [run for one in found for run in one["warm"]]
        fit, predict, nll, accuracy = (
            statistics.median(run[name] for run in warm)
            for name in ("fit", "predict", "nll", "accuracy")
        )
        took = statistics.median(run["fit"] + run["predict"] for run in warm)
        cold = statistics.median(one["cold"] for one in found)
        peer = peer or (took, cold)
        lines.append(
            f"| {side} | {took:.3g} ({cold:.3g}) | {fit:.3g}, {predict:.3g} "
            f"| {peer[0] / took:.3g} ({peer[1] / cold:.3g}) | {nll:.3g} | {accuracy:.4g} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure the sides in turns; print what each told, then the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--torch", help="the Python that has PyTorch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3, help="warm runs of a process")
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--side", choices=SIDES, help="run one side in this process")
    given = parser.parse_args()
    if given.side:
        tell(given)
        return
    if not given.torch:
        parser.error("expected --torch PYTHON, an environment that has PyTorch; got none.")
    runs = in_turns(SIDES, given.rounds, lambda side: measure(side, given))
    print(json.dumps(runs), table(runs), sep="\n")


if __name__ == "__main__":
    main()
