"""What both sides of the Laplace measurement share: the rows, the weights, the clock.

NumPy and scikit-learn only, since one side has no JAX and the other no PyTorch.
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

WIDTHS = (64, 512, 512, 10)
PRECISION = 1.0
CASES = ("last layer", "kronecker")
DRAWS = 100


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the 1,437 rows that are fitted, their classes, and all 1,797 rows."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    found = load_digits()
    x = (found.data / 16).astype(np.float32)
    kept, _, labels, _ = train_test_split(x, found.target, test_size=0.2, random_state=0)
    return kept, labels.astype(np.int64), x


def arguments() -> argparse.Namespace:
    """Return what the parent tells a side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("case", choices=CASES)
    parser.add_argument("folder")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=128)
    return parser.parse_args()


def weights(folder: str) -> list[np.ndarray]:
    """Return kernels (inputs, outputs) and biases, layer by layer."""
    with np.load(f"{folder}/weights.npz") as found:
        return [found[name] for name in sorted(found.files)]


def timed(steps: dict[str, Callable[[], Any]], repeats: int) -> dict[str, dict[str, float]]:
    """Run the steps in order, once cold and then some times warm; return seconds by name."""
    runs = {name: [] for name in steps}
    for _ in range(repeats + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            runs[name].append(time.perf_counter() - began)
    warm = {name: statistics.median(seconds[1:]) for name, seconds in runs.items()}
    return {"cold": {name: seconds[0] for name, seconds in runs.items()}, "warm": warm}


def tell(**told: Any) -> None:
    """Print the line that the parent reads."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**told, "peak_mb": peak}))
