"""R0.laplace: the same logistic regression with a Gaussian over its weights, of every structure."""

import jax
import numpy as np
from scipy.special import expit

import posterium as ps
from posterium.datasets.reference import blobs
from posterium.plots.classification import decision_boundary
from posterium.recipes.r0_map import EPOCHS, RATE, axes, logistic
from posterium.recipes.runner import Drawing, Outcome, close, recipe, within_errors

SUMMARY = "Laplace of every structure for that regression's weights; 400 draws averaged"
KERNEL, TAU = "layers/0/kernel", 40.0
STRUCTURES = ("full", "kronecker", "low_rank", "functional", "diagonal")


def averaged_exactly(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return mean and sd of sigmoid(f) for Gaussian f, (2, n), by 32 Gauss-Hermite nodes."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(32)
    moments = np.zeros((2, len(mean)))
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        probability = expit(mean + node * sd)
        moments += weight * np.stack([probability, probability**2])
    return np.stack([moments[0], np.sqrt(moments[1] - moments[0] ** 2)])


def precisions(x: np.ndarray, probability: np.ndarray) -> dict[str, np.ndarray]:
    """Return the precision of both weights under each structure, (2, 2), in NumPy.

    The Kronecker factors of one product are the mean of x x^T and the sum of p (1 - p).
    """
    curved = probability * (1 - probability)
    hessian, prior = (x.T * curved) @ x, TAU * np.eye(2)
    return {
        "full": hessian + prior,
        "kronecker": x.T @ x / len(x) * curved.sum() + prior,
        "low_rank": hessian + prior,
        "functional": hessian + prior,
        "diagonal": np.diag(np.diag(hessian)) + prior,
    }


@recipe("R0.laplace", SUMMARY, fast="20 draws instead of 400")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Compare each covariance with NumPy's, and draws with quadrature."""
    x, y = blobs()
    model, data, draws = logistic(len(x)), ps.as_data(x, y), 20 if fast else 400
    sgd = ps.MAP(steps=EPOCHS, optimiser="sgd", learning_rate=RATE, schedule="constant")
    point = ps.fit(key, model, data, sgd, precision="float64")
    layer = point.posterior.mode().params["layers"][0]
    kernel, bias = np.asarray(layer["kernel"])[:, 0], float(layer["bias"][0])
    wanted = precisions(x, expit(x @ kernel + bias))

    first, second = axes(x)
    grid = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    f = grid @ kernel + bias
    covariance, averaged, gates, confidence, gap = {}, {}, {}, {}, {}
    for name in STRUCTURES:
        method = ps.Subset(ps.Laplace(structure=name, at=None), KERNEL, rest=point)
        result = ps.fit(key, model, data, method)
        found = np.asarray(result.posterior.covariance.dense())
        exact, sd = averaged_exactly(f, np.sqrt(np.sum((grid @ found) * grid, axis=1)))
        drawn = ps.predict(key, result, grid, how="draws", draws=draws).probs[:, 1]
        unsure = (exact > 0.05) & (exact < 0.95)
        error = sd[unsure] / np.sqrt(draws)
        gates[f"{name}_as_in_numpy"] = close(found @ wanted[name], np.eye(2), 1e-5)
        gates[f"{name}_draws_within_4_se"] = within_errors(drawn[unsure], exact[unsure], error)
        covariance[name], averaged[name] = found, drawn
        confidence[name] = np.abs(exact - 0.5).mean() + 0.5
        gap[name] = np.abs(drawn - exact).max()

    def boundary(probability: np.ndarray, title: str) -> Drawing:
        surface = probability.reshape(len(second), len(first))[::4, ::4]
        return lambda ax: decision_boundary(
            first[::4], second[::4], surface, data=(x, y), title=title, ax=ax
        )

    return Outcome(
        {
            "weights": kernel,
            "bias": bias,
            "draws": draws,
            "grid_points": len(grid),
            "mean_confidence_at_mode": np.abs(expit(f) - 0.5).mean() + 0.5,
            **{f"covariance_{name}": covariance[name] for name in STRUCTURES},
            **{f"mean_confidence_{name}": confidence[name] for name in STRUCTURES},
            **{f"largest_gap_to_quadrature_{name}": gap[name] for name in STRUCTURES},
        },
        gates,
        {
            "boundaries": [
                boundary(expit(f), "At the mode"),
                boundary(averaged["full"], f"Average of {draws} draws"),
            ],
            "structures": [
                boundary(averaged[name], name.replace("_", " ").capitalize())
                for name in STRUCTURES[1:]
            ],
        },
    )
