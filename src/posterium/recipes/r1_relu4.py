"""R1.relu4: the network of four weights by VI from many starts, against its exact evidence."""

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import identity6
from posterium.plots.intervals import interval_band
from posterium.plots.training import training_curve
from posterium.recipes import relu4
from posterium.recipes.runner import Outcome, recipe

SUMMARY = "VI of a four-weight ReLU network from 20 seeds: local optima below the exact evidence"
PRECISION, SEEDS, FAR = 0.1, 20, 3.0
"""Prior precision, seeds, and how far apart functions of different optima are somewhere."""


def at_mean_weights(result: ps.Fit, x: np.ndarray) -> np.ndarray:
    """Return the function at the mean weights of each member, (20, m)."""
    hidden, last = result.posterior.parts.mode().params["layers"]
    inside = np.maximum(hidden["kernel"][:, 0] * x[:, 0] + hidden["bias"], 0)
    return last["kernel"][:, 0] * inside + last["bias"]


def alike(functions: np.ndarray, far: float) -> list[list[int]]:
    """Return the numbers of functions (s, m) in groups, each nowhere far from the first of it."""
    groups: list[list[int]] = []
    for number, function in enumerate(functions):
        for group in groups:
            if np.abs(function - functions[group[0]]).max() <= far:
                group.append(number)
                break
        else:
            groups.append([number])
    return groups


@recipe("R1.relu4", SUMMARY, fast="20 draws a step instead of 100")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Find the optima that seeds end in; hold every bound against the log evidence."""
    x, y = identity6()
    method = ps.VI(
        family="full", steps=2000, samples=20 if fast else 100, learning_rate=5e-3,
        schedule="constant", betas=(0.99, 0.999), init_scale=1.0,
    )  # fmt: skip
    result = ps.fit(key, relu4.model(PRECISION), ps.as_data(x, y), ps.Ensemble(method, SEEDS))
    grid = np.linspace(-5, 5, 101)[:, None]
    exact = relu4.exact(x, y, PRECISION, grid)

    curves = result.info["ascent"]["elbo"]
    bounds, errors = (result.info["assess"][name][-1] for name in ("elbo", "elbo_se"))
    functions = at_mean_weights(result, grid)
    ends = alike(functions, FAR)
    return Outcome(
        {
            "log_evidence": exact.log_evidence,
            "bounds": np.sort(bounds),
            "seeds_by_optimum": [len(group) for group in ends],
            "best_bound_by_optimum": [bounds[group].max() for group in ends],
            "exact_share_that_bends_to_the_left": exact.left,
            "verdict": str(result.verdict),
        },
        {
            "every_bound_below_the_evidence": bool(
                np.all(bounds <= exact.log_evidence - 4 * errors)
            ),
            "at_least_two_optima": len(ends) >= 2,
        },
        {
            "functions": lambda ax: interval_band(
                grid, {"exact, 2 sd": (exact.mean - 2 * exact.sd, exact.mean + 2 * exact.sd)},
                mean=exact.mean, functions=functions, data=(x, y), ax=ax,
                title="At the mean weights of each seed",
            ),
            "bounds": lambda ax: training_curve(
                {"bounds": curves}, reference={"log evidence": exact.log_evidence}, smooth=20,
                ylabel="evidence lower bound (nats)", title=f"VI from {SEEDS} seeds", ax=ax,
            ),
        },
    )  # fmt: skip
