"""R3.surface: what is predicted all over the plane, and how unsure that is.

The predictive sd of a label is sqrt(p (1 - p)), which knows no more than p. The part of it that is
the model's, the sd of the probability over draws, is drawn beside it.
"""

from typing import Any

import jax
import numpy as np
from scipy.special import expit

import posterium as ps
from posterium.datasets.reference import scaled_moons
from posterium.plots.surfaces import surface
from posterium.recipes.r3_advi import approximate, plane
from posterium.recipes.runner import Drawing, Outcome, close, recipe, within_errors

SUMMARY = "predictive mean and sd of that approximation on a grid of 100 x 100 over [-3, 3]^2"


def by_hand(fit: ps.Fit, key: jax.Array, grid: np.ndarray, draws: int) -> np.ndarray:
    """Return P(y = 1) of each of some draws at each point, (s, m), in NumPy."""
    first, second, last = (
        np.asarray(layer["kernel"], np.float64)
        for layer in fit.posterior.sample(key, draws).weights.params["layers"]
    )
    return expit((np.tanh(np.tanh(grid @ first) @ second) @ last)[..., 0])


def moments(each: np.ndarray) -> np.ndarray:
    """Return mean, predictive sd and sd of the probabilities of draws (s, m), as (3, m)."""
    mean = each.mean(axis=0)
    return np.stack([mean, np.sqrt(mean * (1 - mean)), each.std(axis=0)])


@recipe("R3.surface", SUMMARY, fast="6,000 iterations instead of 30,000, 500 draws")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Hold the surfaces against those of other draws in NumPy, and what is unsure against where."""
    draws = 500 if fast else 2_000
    fit_key, key, other = jax.random.split(key, 3)
    result, (axis, grid) = approximate(fit_key, fast), plane()
    (x, _), held_out = scaled_moons()
    found = ps.predict(key, result, grid, draws=draws)
    each = np.concatenate([np.exp(c.log_probs[..., 1]) for c in found.components()], axis=1)
    mean, sd, of_draws = moments(each)
    expected = by_hand(result, other, grid, draws)
    error = np.sqrt((each.var(axis=0) + expected.var(axis=0)) / draws)

    unsure = (mean > 0.05) & (mean < 0.95)
    nearest = np.array([np.hypot(*(x - point).T).min() for point in grid])
    among, beyond = unsure & (nearest < 0.2), unsure & (nearest > 1.0)

    def drawn(values: np.ndarray, label: str, **options: Any) -> Drawing:
        return lambda ax: surface(
            axis, axis, values.reshape(100, 100), label=label, data=held_out, ax=ax, **options
        )

    return Outcome(
        {
            "draws": draws,
            "largest_gap_to_numpy": np.abs(mean - expected.mean(axis=0)).max(),
            "largest_sd_over_draws": of_draws.max(),
            "sd_over_draws_among_the_rows": of_draws[among].mean(),
            "sd_over_draws_beyond_them": of_draws[beyond].mean(),
        },
        {
            "mean_is_that_of_predict": close(mean, found.probs[:, 1], 1e-5),
            "mean_within_5_se_of_numpy": within_errors(
                mean[unsure], expected.mean(axis=0)[unsure], error[unsure], 5.0
            ),
            "predictive_sd_is_one_half_at_the_boundary": close(sd[close_to_half(mean)], 0.5, 0.01),
            "draws_differ_more_beyond_the_rows": of_draws[beyond].mean() > of_draws[among].mean(),
        },
        {
            "surfaces": [
                drawn(mean, "predictive mean", limits=(0.0, 1.0), title="Predictive mean"),
                drawn(sd, "predictive sd", from_zero=True, title="Predictive sd"),
                drawn(of_draws, "sd of the probability", from_zero=True, title="Sd over draws"),
            ]
        },
    )


def close_to_half(mean: np.ndarray) -> np.ndarray:
    """Say where a probability is within 0.05 of one half."""
    return np.abs(mean - 0.5) < 0.05
