"""R2.map: the network of R2 at its mode; SVI, MAP and MLE differ by one argument."""

import jax
import numpy as np

import posterium as ps
from posterium.plots.regression import regression_band
from posterium.recipes import clusters
from posterium.recipes.runner import Outcome, recipe

SUMMARY = "the same network and data by MAP in place of SVI"


DESCENT = {"steps": clusters.EPOCHS, "learning_rate": 1e-2}
"""What MAP and MLE share."""


def terms(model: ps.Model, result: ps.Fit, data: ps.Data) -> tuple[float, float]:
    """Return log prior and log likelihood of the weights found, in nats."""
    log_prior, log_likelihood, _ = model.log_joint(result.posterior.mode(), data)
    return float(log_prior), float(log_likelihood)


@recipe("R2.map", SUMMARY, fast="nothing")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Climb the log joint, and see that the most likely weights have less of it."""
    model, data = clusters.network(ps.HeteroscedasticGaussian()), clusters.data()
    fits = {name: ps.fit(key, model, data, method(**DESCENT))
            for name, method in {"map": ps.MAP, "mle": ps.MLE}.items()}  # fmt: skip
    x, y = clusters.test_set()
    predictive = ps.predict(key, fits["map"], x)
    scores = clusters.scores(predictive, y)
    log_prior, log_likelihood = terms(model, fits["map"], data)
    grid = clusters.test_grid()
    return Outcome(
        {
            **scores,
            "log_prior": log_prior,
            "log_likelihood": log_likelihood,
            "log_joint_of_mle": sum(terms(model, fits["mle"], data)),
            "verdict": str(fits["map"].verdict),
        },
        {
            "nll_at_most_-1": scores["nll"] <= -1.0,
            "log_joint_above_that_of_mle": log_prior + log_likelihood
            > sum(terms(model, fits["mle"], data)),
            "no_epistemic_uncertainty": not np.any(predictive.epistemic_var),
        },
        {
            "band": lambda ax: regression_band(
                grid, ps.predict(key, fits["map"], grid), data=(x, y), ax=ax,
                title="MAP: noise, and no epistemic uncertainty",
            )
        },
    )  # fmt: skip
