"""R1.ls: a line through six points by least squares, found by gradients."""

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import outlier6
from posterium.plots.training import training_curve
from posterium.recipes.runner import Outcome, close, recipe

SUMMARY = "least squares on the affine basis by Adam, against the closed form"


@recipe("R1.ls", SUMMARY, fast="nothing")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Compare Adam, then a Newton polish, with the normal equations."""
    x, y = outlier6()
    data = ps.as_data(x, y)
    model = ps.Model(ps.Linear(ps.Affine()), ps.Flat(), ps.Gaussian(1.0))
    adam = {
        "steps": 1000,
        "learning_rate": 1e-2,
        "schedule": "constant",
        "betas": (0.99, 0.999),
    }
    rough = ps.fit(key, model, data, ps.MLE(**adam), precision="float64")
    sharp = ps.fit(key, model, data, ps.MLE(**adam, polish="newton"), precision="float64")

    exact, residual, *_ = np.linalg.lstsq(np.column_stack([np.ones(6), x]), y)
    by_adam = rough.posterior.mode().params["coefficients"][:, 0]
    polished = sharp.posterior.mode().params["coefficients"][:, 0]
    best = 0.5 * np.log(2 * np.pi) + 0.5 * residual[0] / 6
    return Outcome(
        {"adam": by_adam, "polished": polished, "closed_form": exact},
        {
            "adam_within_0.1": close(by_adam, exact, 0.1),
            "polished_within_1e-8": close(polished, exact, 1e-8),
        },
        {
            "training": lambda ax: training_curve(
                {"Adam": -rough.info["descent"]["objective"]},
                reference={"closed form": best},
                title="Least squares on outlier6",
                ylabel="mean negative log likelihood (nats)",
                ax=ax,
            )
        },
    )
