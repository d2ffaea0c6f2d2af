"""R1.rff: Bayesian linear regression on 500 random Fourier features."""

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import nonlinear8
from posterium.plots.regression import regression_band
from posterium.recipes.runner import Outcome, close, moment_gates, recipe

SUMMARY = "random Fourier features (M = 500, s = 0.75, alpha = 0.001) on nonlinear8, exactly"
ALPHA = 0.001
DRAWS, SHOWN = 1000, 12


@recipe("R1.rff", SUMMARY, fast="nothing")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Hold the predictive against the Gaussian process with the same kernel, and against draws."""
    x, y = nonlinear8()
    prior = ps.Normal(ALPHA, scaling="none")
    model = ps.Model(ps.Linear(ps.Fourier(500, 0.75)), prior, ps.Gaussian(1.0))
    fit_key, predict_key = jax.random.split(key)
    result = ps.fit(fit_key, model, ps.as_data(x, y), ps.Exact())

    grid = np.linspace(-4, 7, 111)[:, None]
    exact = ps.predict(predict_key, result, grid)
    sampled = ps.predict(predict_key, result, grid, how="draws", draws=DRAWS)
    lines = np.concatenate([part.mean for part in sampled.components()], axis=1)[:SHOWN, :, 0]

    with jax.enable_x64(True):
        weights = result.posterior.mode()
        at_data, at_grid = (np.asarray(model.network.design(weights, part)) for part in (x, grid))
    gram, cross = at_data @ at_data.T / ALPHA + np.eye(8), at_grid @ at_data.T / ALPHA
    mean = cross @ np.linalg.solve(gram, y)
    variance = np.sum(at_grid**2, 1) / ALPHA - np.sum(cross * np.linalg.solve(gram, cross.T).T, 1)
    return Outcome(
        {
            "log_evidence": result.log_evidence,
            "largest_gap_to_kernel": np.abs(exact.mean[:, 0] - mean).max(),
            "largest_mean_gap": np.abs(sampled.mean - exact.mean).max(),
        },
        {
            "mean_is_that_of_the_kernel": close(exact.mean[:, 0], mean, 1e-7),
            "variance_is_that_of_the_kernel": close(exact.epistemic_var[:, 0], variance, 1e-6),
            **moment_gates(sampled, exact, DRAWS),
        },
        {
            "band": lambda ax: regression_band(
                grid,
                exact,
                data=(x, y),
                functions=lines,
                title="Random Fourier features on nonlinear8, exact posterior",
                ax=ax,
            )
        },
    )
