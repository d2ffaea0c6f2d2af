"""R0.laplace: the same logistic regression with a Gaussian over its weights."""

import jax
import numpy as np
from scipy.special import expit

import posterium as ps
from posterium.datasets.reference import blobs
from posterium.plots.classification import decision_boundary
from posterium.recipes.r0_map import EPOCHS, RATE, axes, logistic
from posterium.recipes.runner import Outcome, close, recipe, within_errors

SUMMARY = "Laplace for the weights of that regression on two blobs; 400 draws averaged"
KERNEL = "layers/0/kernel"


def averaged_exactly(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return mean and sd of sigmoid(f) for Gaussian f, (2, n), by 32 Gauss-Hermite nodes."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(32)
    moments = np.zeros((2, len(mean)))
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        probability = expit(mean + node * sd)
        moments += weight * np.stack([probability, probability**2])
    return np.stack([moments[0], np.sqrt(moments[1] - moments[0] ** 2)])


@recipe("R0.laplace", SUMMARY, fast="20 draws instead of 400")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Compare the covariance with the Hessian in NumPy, and the draws with quadrature."""
    x, y = blobs()
    draws = 20 if fast else 400
    sgd = ps.MAP(steps=EPOCHS, optimiser="sgd", learning_rate=RATE, schedule="constant")
    method = ps.Subset(ps.Laplace(at=None), KERNEL, rest=sgd)
    result = ps.fit(key, logistic(len(x)), ps.as_data(x, y), method)
    layer = result.model.network.whole(result.posterior.mode()).params["layers"][0]
    kernel, bias = np.asarray(layer["kernel"])[:, 0], float(layer["bias"][0])
    covariance = np.asarray(result.posterior.covariance.dense())
    at_mode = expit(x @ kernel + bias)
    hessian = (x.T * at_mode * (1 - at_mode)) @ x + 40.0 * np.eye(2)

    first, second = axes(x)
    grid = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    f, f_sd = grid @ kernel + bias, np.sqrt(np.sum((grid @ covariance) * grid, axis=1))
    exact, sd = averaged_exactly(f, f_sd)
    averaged = ps.predict(key, result, grid, how="draws", draws=draws).probs[:, 1]
    unsure = (exact > 0.05) & (exact < 0.95)
    error = sd[unsure] / np.sqrt(draws)

    def draw(probability: np.ndarray, title: str, ax: object) -> object:
        thinned = probability.reshape(len(second), len(first))[::4, ::4]
        return decision_boundary(first[::4], second[::4], thinned, data=(x, y), title=title, ax=ax)

    return Outcome(
        {
            "weights": kernel,
            "bias": bias,
            "covariance": covariance,
            "draws": draws,
            "grid_points": len(grid),
            "largest_gap_to_quadrature": np.abs(averaged - exact).max(),
            "mean_confidence_at_mode": np.abs(expit(f) - 0.5).mean() + 0.5,
            "mean_confidence": np.abs(exact - 0.5).mean() + 0.5,
        },
        {
            "covariance_is_the_inverse_hessian": close(covariance @ hessian, np.eye(2), 1e-5),
            "draws_within_4_se": within_errors(averaged[unsure], exact[unsure], error),
        },
        {
            "boundaries": [
                lambda ax: draw(expit(f), "At the mode", ax),
                lambda ax: draw(averaged, f"Average of {draws} draws", ax),
            ]
        },
    )
