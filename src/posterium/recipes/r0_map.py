"""R0.map: logistic regression on two blobs by 20 epochs of full-batch SGD."""

import functools

import jax
import numpy as np
from scipy.special import expit

import posterium as ps
from posterium.datasets.reference import blobs
from posterium.model.priors.normal import precision_from_weight_decay
from posterium.plots.classification import decision_boundary
from posterium.recipes.runner import Outcome, close, recipe

SUMMARY = "logistic regression on two blobs by 20 full-batch epochs of SGD"
DECAY, RATE, EPOCHS, SHOWN = 5e-2, 0.2, 20, (1, 5, 20)


def logistic(rows: int) -> ps.Model:
    """Return the model of R0's loss: a decay on the mean loss, for the weights but not the bias."""
    precision = precision_from_weight_decay(DECAY, rows, loss="mean_nll")
    prior = ps.Normal({"layers": [{"kernel": precision, "bias": 0.0}]}, scaling="none")
    return ps.Model(ps.MLP(outputs=1, hidden=()), prior, ps.Bernoulli())


def axes(x: np.ndarray, step: float = 0.04) -> list[np.ndarray]:
    """Return the axes of R0's grid: twice the range of the data padded by 10 steps."""
    low, high = 2 * (x.min(axis=0) - 10 * step), 2 * (x.max(axis=0) + 10 * step)
    return [np.arange(*ends, step) for ends in zip(low, high, strict=True)]


def by_hand(layer: dict[str, jax.Array], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return weights and bias after R0's loop in NumPy: mean cross entropy + decay * |w|^2."""
    w, b = np.asarray(layer["kernel"])[:, 0].astype(float), float(layer["bias"][0])
    for _ in range(EPOCHS):
        error = expit(x @ w + b) - y
        w, b = w - RATE * (x.T @ error / len(y) + 2 * DECAY * w), b - RATE * error.mean()
    return np.append(w, b)


@recipe("R0.map", SUMMARY, fast="nothing")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Take the epochs one by one, score each, and compare with the same loop in NumPy."""
    x, y = blobs()
    model, data = logistic(len(x)), ps.as_data(x, y)
    epoch = ps.MAP(steps=1, optimiser="sgd", learning_rate=RATE, schedule="constant")
    start = weights = model.network.init(key, x)
    first, second = (axis[::4] for axis in axes(x))
    grid = np.stack(np.meshgrid(first, second), axis=-1)
    accuracy, boundaries = [], []
    for number in range(1, EPOCHS + 1):
        result = ps.fit(key, model, data, epoch, start=weights, precision="float64")
        weights = result.posterior.mode()
        accuracy.append(np.mean(ps.predict(key, result, x).label == y))
        if number in SHOWN:
            probability = ps.predict(key, result, grid.reshape(-1, 2)).probs[:, 1]
            boundaries.append(functools.partial(
                decision_boundary, first, second, probability.reshape(grid.shape[:-1]),
                data=(x, y), title=f"Epoch {number}: accuracy {accuracy[-1]:.3f}",
            ))  # fmt: skip
    layer = weights.params["layers"][0]
    found = np.append(layer["kernel"][:, 0], layer["bias"])
    expected = by_hand(start.params["layers"][0], x, y)
    return Outcome(
        {"accuracy": accuracy, "weights_and_bias": found, "by_hand": expected},
        {
            "accuracy_at_least_0.99": accuracy[-1] >= 0.99,
            "same_path_as_by_hand": close(found, expected, 1e-6),
        },
        {"boundaries": boundaries},
    )
