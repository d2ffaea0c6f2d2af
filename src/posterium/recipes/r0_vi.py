"""R0.vi: mean-field variational inference for that regression, its bias a point."""

import math
from typing import Any

import jax
import numpy as np
from scipy.optimize import minimize
from scipy.special import log_expit

import posterium as ps
from posterium.datasets.reference import blobs
from posterium.plots.classification import decision_boundary
from posterium.plots.training import training_curve
from posterium.recipes import steps
from posterium.recipes.r0_laplace import averaged_exactly
from posterium.recipes.r0_map import axes
from posterium.recipes.runner import Drawing, Outcome, recipe, within_errors

SUMMARY = "mean-field VI of that regression by 40 epochs of SGD, and its bound's exact optimum"
VARIANCE, EPOCHS, SHOWN = 4.0, 40, (1, 10, 40)
START = math.sqrt(math.log(2))
"""Standard deviation that every weight starts with: a variance of softplus(0)."""


def mean_field(hidden: tuple[int, ...], variance: float) -> ps.Model:
    """Return R0's model for VI: a Gaussian prior on weights, none on biases."""
    layers = [{"kernel": 1 / variance, "bias": 0.0} for _ in range(len(hidden) + 1)]
    prior = ps.Normal({"layers": layers}, scaling="none")
    return ps.Model(ps.MLP(outputs=1, hidden=hidden), prior, ps.Bernoulli())


def bound(at: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """Return the evidence lower bound in nats, by quadrature.

    The likelihood of a row depends on one Gaussian number, so 32 Gauss-Hermite nodes integrate it.

    Parameters
    ----------
    at
        Means of both weights, logs of their sds, and the bias, (5,).
    x, y
        Inputs (n, 2) and labels.
    """
    mean, log_sd, bias = at[:2], at[2:4], at[4]
    nodes, weights = np.polynomial.hermite_e.hermegauss(32)
    center, spread = x @ mean + bias, np.sqrt(x**2 @ np.exp(2 * log_sd))
    sign = 2 * y - 1
    f = sign * (center + nodes[:, None] * spread)
    likelihood = weights / weights.sum() @ log_expit(f).sum(axis=1)
    ratio = (np.exp(2 * log_sd) + mean**2) / VARIANCE
    return float(likelihood - 0.5 * np.sum(ratio - 1 - 2 * log_sd + np.log(VARIANCE)))


def found(result: ps.Fit) -> np.ndarray:
    """Return a fit as `bound` takes it."""
    layer = result.posterior.mode().params["layers"][0]
    variance = dict(zip(("bias", "first", "second"), result.posterior.covariance.variance(),
                        strict=True))  # fmt: skip
    log_sd = 0.5 * np.log([variance["first"], variance["second"]])
    return np.concatenate([layer["kernel"][:, 0], log_sd, layer["bias"]]).astype(float)


@recipe("R0.vi", SUMMARY, fast="nothing")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Follow the source's 40 epochs, then climb to the top; hold both against quadrature."""
    x, y = blobs()
    model, data = mean_field((), VARIANCE), ps.as_data(x, y)
    same = {"init_scale": START, "means": "zero", "point": "*/bias"}
    sgd = ps.VI(steps=EPOCHS, optimiser="sgd", learning_rate=0.1, schedule="constant", **same)
    path = ps.fit(key, model, data, steps.Watched(sgd))
    epochs = [steps.after(path, step) for step in range(1, EPOCHS + 1)]
    long = ps.VI(steps=3000, learning_rate=0.05, samples=10, average=0.25, **same)
    top = ps.fit(key, model, data, long)

    bounds = np.array([bound(found(fit), x, y) for fit in epochs])
    best = -minimize(lambda at: -bound(at, x, y), found(top), method="L-BFGS-B").fun
    at_data = ps.predict(key, path, x, draws=400)
    accuracy = [np.mean(ps.predict(key, fit, x, draws=100).label == y) for fit in epochs]

    first, second = (axis[::4] for axis in axes(x))
    grid = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    at = found(top)
    sd = np.sqrt(grid**2 @ np.exp(2 * at[2:4]))
    exact, spread = averaged_exactly(grid @ at[:2] + at[4], sd)
    drawn = ps.predict(key, top, grid, draws=400).probs[:, 1]
    unsure = (exact > 0.05) & (exact < 0.95)

    def boundary(fit: ps.Fit, title: str) -> Drawing:
        def draw(ax: Any) -> Any:
            surface = ps.predict(key, fit, grid, draws=100).probs[:, 1]
            surface = surface.reshape(len(second), len(first))
            return decision_boundary(first, second, surface, data=(x, y), title=title, ax=ax)

        return draw

    return Outcome(
        {
            "accuracy": accuracy,
            "nll": -at_data.log_prob(y).mean(),
            "bound": bounds,
            "bound_at_the_top": bound(at, x, y),
            "best_bound": best,
            "verdict": str(top.verdict),
        },
        {
            "accuracy_at_least_0.99": accuracy[-1] >= 0.99,
            "nll_at_most_0.13": -at_data.log_prob(y).mean() <= 0.13,
            "epochs_climb": bounds[-1] > bounds[0],
            "top_within_0.02_nats_of_the_best": best - 0.02 <= bound(at, x, y) <= best + 1e-6,
            "draws_within_4_se_of_quadrature": within_errors(
                drawn[unsure], exact[unsure], spread[unsure] / 20
            ),
        },
        {
            "bound": lambda ax: training_curve(
                {"by quadrature": bounds, "estimate of the step": path.info["ascent"]["elbo"]},
                reference={"best": best}, xlabel="epoch", ylabel="evidence lower bound (nats)",
                title="SGD on the bound", ax=ax,
            ),
            "boundaries": [
                *(boundary(epochs[n - 1], f"Epoch {n}: accuracy {accuracy[n - 1]:.3f}")
                  for n in SHOWN),
                boundary(top, "At the top of the bound"),
            ],
        },
    )  # fmt: skip
