"""R2: a curve seen in four clusters, networks with one noise or a noise for each x, and SVI."""

from typing import Any

import numpy as np

import posterium as ps
from posterium.datasets.reference import four_clusters

EPOCHS = 2000
NOISE = {(-4.1, -2.0): 0.01, (-1.2, 0.0): 0.25, (0.5, 1.9): 0.05, (4.0, 6.0): 0.01}
"""Noise sd of each cluster, by the range of x it is in."""
NOISY = (-1.2, 0.0)
"""The cluster with the most noise."""
BEYOND = (-8.0, 10.0)
"""How far the test grid goes."""


def network(likelihood: Any) -> ps.Model:
    """Return 50 tanh units under a standard normal prior, with the outputs the noise needs."""
    body = ps.MLP(outputs=likelihood.outputs(1), hidden=(50,), activation="tanh")
    return ps.Model(body, ps.Normal(1.0, scaling="none"), likelihood)


def svi(**changes: Any) -> ps.VI:
    """Return R2's settings of mean-field SVI, with some of them changed."""
    settings = {
        "steps": EPOCHS, "learning_rate": 1e-2, "schedule": "constant", "estimator": "local",
        "init_scale": 1e-4, "max_scale": 2.0, "means": 8e-3, "kl_schedule": ps.KLSchedule(),
    }  # fmt: skip
    return ps.VI(**(settings | changes))


def data() -> ps.Data:
    """Return the 400 rows that are fitted."""
    return ps.as_data(*four_clusters())


def scores(predictive: Any, y: np.ndarray) -> dict[str, float]:
    """Return test NLL in nats a row, RMSE, and the share of targets in the 90 % interval."""
    low, high = predictive.squeezed().interval(0.9)
    return {
        "nll": -predictive.log_prob(y).mean(),
        "rmse": np.sqrt(np.mean((predictive.mean[:, 0] - y) ** 2)),
        "cover90": np.mean((low <= y) & (y <= high)),
    }


def inside(x: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """Say which rows of x (n, 1) lie in a range."""
    return (x[:, 0] >= ends[0]) & (x[:, 0] <= ends[1])


def test_set() -> tuple[np.ndarray, np.ndarray]:
    """Return 400 rows of another seed."""
    return four_clusters(seed=1)


def test_grid() -> np.ndarray:
    """Return inputs (361, 1) that go well beyond the data."""
    return np.linspace(*BEYOND, 361)[:, None]
