"""R1.predictive: the exact predictive of a line, and its Monte Carlo estimate."""

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import outlier6
from posterium.plots.regression import regression_band
from posterium.recipes.runner import Outcome, moment_gates, recipe

SUMMARY = "predictive mean and sd of a line, exact and from 1000 sampled lines"
DRAWS, SHOWN = 1000, 20


@recipe("R1.predictive", SUMMARY, fast="nothing")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Demand that the Monte Carlo estimate is within 4 standard errors of the exact values."""
    x, y = outlier6()
    prior = ps.Normal(3.0, scaling="none")
    model = ps.Model(ps.Linear(ps.Affine()), prior, ps.Gaussian(1.0))
    fit_key, predict_key = jax.random.split(key)
    result = ps.fit(fit_key, model, ps.as_data(x, y), ps.Exact())

    grid = np.linspace(-3, 3, 101)[:, None]
    exact = ps.predict(predict_key, result, grid)
    sampled = ps.predict(predict_key, result, grid, how="draws", draws=DRAWS)
    lines = np.concatenate([part.mean for part in sampled.components()], axis=1)[:SHOWN, :, 0]
    return Outcome(
        {
            "largest_mean_gap": np.abs(sampled.mean - exact.mean).max(),
            "largest_sd_gap": np.abs(sampled.sd - exact.sd).max(),
            "exact_sd_at_0": exact.sd[50, 0],
        },
        moment_gates(sampled, exact, DRAWS),
        {
            "bands": [
                lambda ax: regression_band(
                    grid, exact, data=(x, y), title="Exact predictive", ax=ax
                ),
                lambda ax: regression_band(
                    grid,
                    sampled,
                    data=(x, y),
                    functions=lines,
                    title=f"From {DRAWS} sampled lines",
                    ax=ax,
                ),
            ]
        },
    )
