"""What all sides of the VI measurement share: jobs, data, scores, the clock.

NumPy and scikit-learn only, since some sides have no JAX and others no PyTorch.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.laplace_job import digits
from posterium.datasets import reference


class Job(NamedTuple):
    """A job: its peer, and the steps of a fit."""

    peer: str
    steps: int


JOBS = {
    "R0.vi": Job("torch", 40),
    "R0.vi-mlp": Job("torch", 10_000),
    "R1.bbvi": Job("jax", 1_500),
    "R2.svi": Job("tyxe", 2_000),
    "R3.advi": Job("pymc", 30_000),
    "R4.bbb": Job("torch", 5_000),
    "digits": Job("torch", 1_500),
}
SHOWN = {"R0.vi": 1, "R0.vi-mlp": 500}
"""Steps from one prediction of the grid to the next."""
GRID_DRAWS, ROW_DRAWS = 100, {"R0.vi": 400, "R0.vi-mlp": 100}
SVI_DRAWS, ADVI_DRAWS, BBB_DRAWS, DIGITS_DRAWS = 100, 5_000, 1_000, 100
BATCH = 128

Times, Scores = dict[str, float], dict[str, float]
Run = Callable[[int], tuple[Times, Scores]]


def plane(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return inputs and labels of R0, and the grid that its figures cover."""
    x, y = (reference.blobs if name == "R0.vi" else reference.moons)()
    low, high = 2 * (x.min(0) - 0.4), 2 * (x.max(0) + 0.4)
    axes = [np.arange(*ends, 0.04) for ends in zip(low, high, strict=True)]
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*axes)], axis=1)
    return x.astype(np.float32), y.astype(np.float32), grid.astype(np.float32)


def clusters() -> list[np.ndarray]:
    """Return R2's inputs and targets, and those of the test."""
    parts = (*reference.four_clusters(), *reference.four_clusters(seed=1))
    return [part.astype(np.float32).reshape(len(part), 1) for part in parts]


def moons_grid() -> np.ndarray:
    """Return R3's 100 x 100 grid."""
    return np.mgrid[-3:3:100j, -3:3:100j].reshape(2, -1).T


def curve() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return R4's training rows, all inputs, all targets, and the curve without noise at them."""
    (x, y), (held_x, held_y) = reference.cubic()
    every, targets = np.concatenate([x, held_x]), np.concatenate([y, held_y])
    clean = -1.8 * every[:, 0] ** 3 + 8 * every[:, 0]
    columns = (x, y[:, None], every)
    return *(a.astype(np.float32) for a in columns), targets, clean


def images() -> tuple[np.ndarray, ...]:
    """Return digits: rows and classes that are fitted, those held out, and all rows."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y, every = digits()
    _, rest, _, labels = train_test_split(every, load_digits().target, test_size=0.2,
                                          random_state=0)  # fmt: skip
    return x, y, rest, labels, every


def two_class_scores(p: np.ndarray, y: np.ndarray) -> Scores:
    """Return NLL in nats a row, and accuracy, of the probabilities of class 1."""
    p = np.clip(np.asarray(p, float).ravel(), 1e-7, 1 - 1e-7)
    nll = -np.mean(np.where(y == 1, np.log(p), np.log1p(-p)))
    return {"nll": float(nll), "accuracy": float(np.mean((p > 0.5) == (y == 1)))}


def class_scores(probs: np.ndarray, y: np.ndarray) -> Scores:
    """Return NLL in nats a row, and accuracy, of the probabilities of all classes."""
    probs = np.asarray(probs, float)
    nll = -np.mean(np.log(np.maximum(probs[np.arange(len(y)), y], 1e-9)))
    return {"nll": float(nll), "accuracy": float(np.mean(probs.argmax(1) == y))}


def mixture_scores(mean: np.ndarray, sd: np.ndarray, y: np.ndarray) -> Scores:
    """Return NLL in nats a row, and RMSE, of a mixture of Gaussians (s, n)."""
    log = -0.5 * ((y - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
    top = log.max(0)
    nll = -np.mean(top + np.log(np.exp(log - top).mean(0)))
    return {"nll": float(nll), "rmse": float(np.sqrt(np.mean((mean.mean(0) - y) ** 2)))}


def line_scores(mean: np.ndarray, covariance: np.ndarray) -> Scores:
    """Return the KL in nats of a Gaussian over R1's line from the exact posterior."""
    exact = np.array([-1.7333333, -1.3466064])
    off, ratio = np.asarray(mean, float) - exact, 9 * np.asarray(covariance, float)
    moment = np.trace(ratio) + 9 * off @ off - len(off)
    return {"kl": float(0.5 * (moment - np.linalg.slogdet(ratio)[1]))}


def band_scores(draws: np.ndarray, targets: np.ndarray, clean: np.ndarray) -> Scores:
    """Return RMSE to the clean curve, and the share of targets in the 90 % band of draws (s, n)."""
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    rmse = np.sqrt(np.mean((draws.mean(0) - clean) ** 2))
    inside = np.mean((low <= targets) & (targets <= high))
    return {"rmse": float(rmse), "cover90": float(inside)}


class Clock:
    """Seconds by name, added up."""

    def __init__(self) -> None:
        self.seconds: Times = {}

    def __call__(self, name: str, work: Callable[..., Any], *given: Any) -> Any:
        """Do some work; add what it took."""
        began = time.perf_counter()
        done = work(*given)
        self.seconds[name] = self.seconds.get(name, 0) + time.perf_counter() - began
        return done


def tell(jobs: dict[str, Callable[[int, int], Run]]) -> None:
    """Run the job that the parent names, once cold and some times warm; print a line of JSON.

    Each entry takes the steps and the threads, and returns what runs the job under a seed.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("job", choices=jobs)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    told = parser.parse_args()
    run = jobs[told.job](told.steps, told.threads)
    runs = [run(0)]
    cold = time.time() - float(os.environ["BEGAN"])
    runs += [run(seed) for seed in range(1, told.repeats + 1)]
    times = {name: [seconds[name] for seconds, _ in runs] for name in runs[0][0]}
    scores = {name: statistics.median(found[name] for _, found in runs) for name in runs[0][1]}
    warm = {name: statistics.median(all_[1:] or all_) for name, all_ in times.items()}
    print(json.dumps({"cold": cold, "warm": warm, "scores": scores, "times": times}))
