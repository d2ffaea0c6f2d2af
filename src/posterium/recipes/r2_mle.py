"""R2.mle: the network of R2 at its most likely weights, with no prior."""

import jax
import numpy as np

import posterium as ps
from posterium.plots.regression import regression_band
from posterium.recipes import clusters
from posterium.recipes.r2_map import DESCENT, terms
from posterium.recipes.runner import Outcome, recipe

SUMMARY = "the same network and data by maximum likelihood in place of SVI"


@recipe("R2.mle", SUMMARY, fast="nothing")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Climb the log likelihood; MAP must have less of it, and the prior play no part."""
    model, data = clusters.network(ps.HeteroscedasticGaussian()), clusters.data()
    flat = ps.Model(model.network, ps.Flat(), model.likelihood)
    found = ps.fit(key, model, data, ps.MLE(**DESCENT))
    at_mode = ps.fit(key, model, data, ps.MAP(**DESCENT))
    by_flat_prior = ps.fit(key, flat, data, ps.MAP(**DESCENT))
    x, y = clusters.test_set()
    predictive = ps.predict(key, found, x)
    scores = clusters.scores(predictive, y)
    likelihood = {name: terms(model, fit, data)[1] for name, fit in
                  {"mle": found, "map": at_mode, "flat": by_flat_prior}.items()}  # fmt: skip
    grid = clusters.test_grid()
    return Outcome(
        {
            **scores,
            **{f"log_likelihood_{name}": value for name, value in likelihood.items()},
            "verdict": str(found.verdict),
        },
        {
            "log_likelihood_above_that_of_map": likelihood["mle"] > likelihood["map"],
            "a_flat_prior_gives_the_same": likelihood["flat"] == likelihood["mle"],
            "rmse_at_most_0.2": scores["rmse"] <= 0.2,
            "no_epistemic_uncertainty": not np.any(predictive.epistemic_var),
        },
        {
            "band": lambda ax: regression_band(
                grid, ps.predict(key, found, grid), data=(x, y), ax=ax,
                title="Maximum likelihood: noise, and no epistemic uncertainty",
            )
        },
    )  # fmt: skip
