"""R2.svi: the network that predicts its noise, by SVI with every guide, from five seeds.

The settings of the source are for the mean-field guide. Guides with correlations have a coordinate
for each pair of weights, or for each weight and direction, that moves as fast as the means do: at
the source's rate they drown the fit in noise (test NLL 5.1 with a full covariance). They begin at
MAP weights, at a lower rate. After 2,000 epochs their bounds are still below that of mean-field.
"""

from typing import Any

import jax
import numpy as np

import posterium as ps
from posterium.plots.training import training_curve
from posterium.recipes import clusters, steps
from posterium.recipes.r2_het import one_noise
from posterium.recipes.runner import Outcome, recipe

SUMMARY = "mean-field, low-rank and full-covariance SVI of that network from five seeds"
SEEDS = 5
RATES = {"low_rank": 1e-3, "full": 1e-4}
"""Learning rates of the guides with correlations."""


def guided(guide: str, seeds: int) -> Any:
    """Return SVI with a guide from some seeds."""
    if guide == "mean_field":
        return ps.Ensemble(clusters.svi(), seeds)
    method = clusters.svi(
        family=guide, estimator="shared", samples=4, max_scale=None, init_scale=1e-2,
        kl_schedule=None, schedule="cosine", learning_rate=RATES[guide],
    )  # fmt: skip
    return ps.StartFrom(
        ps.Ensemble(method, seeds), ps.Ensemble(ps.MAP(steps=clusters.EPOCHS), seeds)
    )


@recipe("R2.svi", SUMMARY, fast="two seeds instead of five")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Demand the test score and coverage of the median seed."""
    model, data = clusters.network(ps.HeteroscedasticGaussian()), clusters.data()
    x, y = clusters.test_set()
    scores, bounds, curves = {}, {}, {}
    seeds = 2 if fast else SEEDS
    for name in ("mean_field", *RATES):
        result = ps.fit(key, model, data, guided(name, seeds))
        found = [clusters.scores(ps.predict(key, one, x), y) for one in steps.members(result)]
        scores[name] = {score: [of[score] for of in found] for score in found[0]}
        bounds[name] = result.info["assess"]["elbo"][-1]
        curves[name] = result.info["ascent"]["objective"]
    median = {name: {k: np.median(v) for k, v in of.items()} for name, of in scores.items()}
    of_five = {
        "nll_at_most_-1.15_mean_field": median["mean_field"]["nll"] <= -1.15,
        "cover90_from_0.88_to_0.98_mean_field": 0.88 <= median["mean_field"]["cover90"] <= 0.98,
    }
    return Outcome(
        {
            **{f"{k}_{name}": v for name, of in scores.items() for k, v in of.items()},
            **{f"bound_{name}": values for name, values in bounds.items()},
        },
        {
            **(dict.fromkeys(of_five) if fast else of_five),
            **{f"beats_any_single_noise_{name}": of["nll"] <= one_noise() - 0.2
               for name, of in median.items()},
            **{f"cover90_at_least_0.88_{name}": of["cover90"] >= 0.88
               for name, of in median.items()},
        },
        {
            "objective": lambda ax: training_curve(
                {name.replace("_", " "): values[len(values) // 4 :]
                 for name, values in curves.items()},
                smooth=20, xlabel="epoch after the first quarter", ax=ax,
                title=f"Three guides, {seeds} seeds",
            )
        },
    )  # fmt: skip
