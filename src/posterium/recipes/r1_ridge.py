"""R1.ridge: the same line with a Gaussian prior, by gradients and in closed form."""

import jax

import posterium as ps
from posterium.datasets.reference import outlier6
from posterium.plots.training import training_curve
from posterium.recipes.runner import Outcome, close, recipe

SUMMARY = "ridge regression, prior precisions 0, 3.58 and 20: Adam against the closed form"
ALPHAS = (0.0, 3.58, 20.0)
PUBLISHED = (-1.6283925, -1.2650791)
"""Weights for 3.58."""


@recipe("R1.ridge", SUMMARY, fast="nothing")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Compare the mode found by Adam, then by a Newton polish, with the exact posterior mean."""
    data = ps.as_data(*outlier6())
    adam = {"steps": 1000, "learning_rate": 1e-2, "schedule": "constant", "betas": (0.99, 0.999)}
    methods = {
        "adam": ps.MAP(**adam),
        "polished": ps.MAP(**adam, polish="newton"),
        "closed_form": ps.Exact(),
    }
    found, curves = {name: [] for name in methods}, {}
    for alpha in ALPHAS:
        prior = ps.Normal(alpha, scaling="none")
        model = ps.Model(ps.Linear(ps.Affine()), prior, ps.Gaussian(1.0))
        for name, method in methods.items():
            result = ps.fit(key, model, data, method, precision="float64")
            found[name].append(result.posterior.mode().params["coefficients"][:, 0])
            if name == "adam":
                curves[f"alpha = {alpha:g}"] = -result.info["descent"]["objective"]
    return Outcome(
        {"alpha": ALPHAS, **found},
        {
            "adam_within_0.1": close(found["adam"], found["closed_form"], 0.1),
            "polished_within_1e-8": close(found["polished"], found["closed_form"], 1e-8),
            "published": close(found["closed_form"][1], PUBLISHED, 1e-6),
        },
        {
            "training": lambda ax: training_curve(
                curves,
                title="Ridge regression on outlier6 by Adam",
                ylabel="negative log joint per row (nats)",
                ax=ax,
            )
        },
    )
