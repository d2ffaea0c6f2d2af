"""R1.blr: the exact posterior of a line, for two prior precisions."""

import functools

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import outlier6
from posterium.plots.weights import landscape
from posterium.recipes import plane
from posterium.recipes.runner import Outcome, close, recipe

SUMMARY = "Bayesian linear regression: exact posterior and evidence for prior precisions 3 and 3.58"
PUBLISHED = {
    3.0: ((-1.7333333, -1.3466064), -26.8521733),
    3.58: ((-1.6283925, -1.2650791), -28.0504479),
}


@recipe("R1.blr", SUMMARY, fast="nothing")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Hold means, covariances and log evidences against the published values."""
    data, axis = ps.as_data(*outlier6()), np.linspace(-8, 8, 200)
    figures, gates, plots = {}, {}, {}
    for alpha, (published_mean, published_evidence) in PUBLISHED.items():
        prior = ps.Normal(alpha, scaling="none")
        model = ps.Model(ps.Linear(ps.Affine()), prior, ps.Gaussian(1.0))
        result = ps.fit(key, model, data, ps.Exact())
        mean, covariance = plane.moments(result)
        figures |= {
            f"mean_{alpha:g}": mean,
            f"covariance_{alpha:g}": covariance,
            f"log_evidence_{alpha:g}": result.log_evidence,
        }
        gates |= {
            f"mean_{alpha:g}": close(mean, published_mean, 1e-6),
            f"covariance_{alpha:g}": close(covariance, np.eye(2) / (6 + alpha), 1e-12),
            f"log_evidence_{alpha:g}": close(result.log_evidence, published_evidence, 1e-6),
        }
        plots[f"landscape-{alpha:g}"] = functools.partial(
            landscape,
            axis,
            axis,
            plane.log_joint(model, data, axis, axis),
            gaussians={"prior": (np.zeros(2), np.eye(2) / alpha), "posterior": (mean, covariance)},
            points={"posterior mean": mean},
            title=f"Log posterior on outlier6, prior precision {alpha:g}",
        )
    return Outcome(figures, gates, plots)
