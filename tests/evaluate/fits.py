"""Fits made by hand from simulated draws, so that no sampler need run."""

from typing import Any

import numpy as np
from tests.evaluate.simulated import autoregressive

from posterium import Fit, Gaussian, Linear, Model, Normal, Verdict, Weights, as_data, learn
from posterium.model.priors.scales import HalfNormal
from posterium.numerics import trees
from posterium.posterior.fit import Seen
from posterium.posterior.posterior import Draw, Mixture, Point, Samples

RNG = np.random.default_rng(3)
X = RNG.normal(size=(40, 2))
Y = X @ [1.0, -0.5] + 0.5 * RNG.normal(size=40)
DATA = as_data(X, Y)
DESIGN = np.column_stack([np.ones(40), X])
MODEL = Model(Linear(), Normal(1.0, "none"), Gaussian(learn(0.5, prior=HalfNormal(1.0))))


def draws(chains: int = 4, steps: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Return draws of the coefficients (c, s, 3) and of the log noise sd (c, s)."""
    values = autoregressive(1, chains, steps, 0.3, 4)
    return np.array([0.0, 1.0, -0.5]) + 0.1 * values[..., :3], -0.7 + 0.1 * values[..., 3]


def fit_of(posterior: Any, info: dict[str, Any] | None = None, method: str = "NUTS") -> Fit:
    return Fit(
        posterior, MODEL, info or {}, Verdict(), method, precision="float64", seen=Seen.of(DATA)
    )


def sampled(chains: int = 4, steps: int = 500) -> Fit:
    """Return what a sampler would: draws, and a record of them."""
    coefficients, raw = draws(chains, steps)
    generator = np.random.default_rng(2)
    record = {
        "log_joint": generator.normal(size=(steps, chains)),
        "energy": generator.normal(size=(steps, chains)),
        "diverging": np.arange(steps * chains).reshape(steps, chains) == 5,
        "acceptance_rate": np.full((steps, chains), 0.8),
        "tree_depth": np.full((steps, chains), 3),
        "reached_max_depth": np.zeros((steps, chains), bool),
        "origin": np.arange(chains)[None] % (chains // 2) + np.zeros((steps, 1), int),
    }
    weights = Weights({"coefficients": coefficients[..., None]})
    return fit_of(Samples(Draw(weights, (raw,))), {"warmup": {}, "sampling": record})


def points(members: int = 5) -> Fit:
    coefficients, _ = draws(members, 1)
    models = mixed(members)
    return fit_of(Mixture(Point(Weights({"coefficients": coefficients[:, 0, :, None]})), models))


def mixed(members: int) -> Model:
    """Return the model with a leading axis of members."""
    return trees.to_numpy(trees.stack(MODEL, members))
