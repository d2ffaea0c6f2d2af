"""R1.logistic: Bayesian logistic regression on seven points: mode, Laplace and quadrature."""

import jax
import numpy as np
from scipy.special import expit

import posterium as ps
from posterium.datasets.reference import classification7
from posterium.plots.classification import probability_curve
from posterium.plots.weights import landscape
from posterium.recipes import plane
from posterium.recipes.runner import Outcome, close, recipe

SUMMARY = "logistic regression on classification7: mode, Laplace, and the truth by quadrature"
MODE, COVARIANCE = (0.3076198, 1.3645799), ((0.6832779, 0.0030519), (0.0030519, 0.4869064))
LOG_EVIDENCE, MEAN = -2.4852461, (0.3027384, 1.6461642)
"""By quadrature."""


@recipe("R1.logistic", SUMMARY, fast="nothing")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Hold the mode, its curvature and the integrals over the landscape against the published."""
    x, y = classification7()
    data = ps.as_data(x, y)
    model = ps.Model(ps.Linear(ps.Affine()), ps.Normal(0.75, scaling="none"), ps.Bernoulli())
    adam = {"steps": 800, "learning_rate": 1e-2, "schedule": "constant", "betas": (0.99, 0.999)}
    rough = ps.fit(key, model, data, ps.MAP(**adam), precision="float64")
    result = ps.fit(key, model, data, ps.Laplace(at=ps.MAP(**adam, polish="newton")))
    by_adam = rough.posterior.mode().params["coefficients"][:, 0]
    mode, covariance = plane.moments(result)

    b, w = np.linspace(-8, 8, 200), np.linspace(-6, 10, 200)
    values = plane.log_joint(model, data, b, w)
    log_evidence, density = plane.integrate(values, b, w)
    mean = np.array([density.sum(axis=0) @ b, density.sum(axis=1) @ w])
    volume = 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
    at_mode = plane.log_joint(model, data, mode[:1], mode[1:]).item()
    grid = np.linspace(-6, 6, 201)
    averaged = [np.sum(density * expit(b + w[:, None] * at)) for at in grid]
    curves = {"at the mode": expit(mode[0] + mode[1] * grid), "averaged by quadrature": averaged}
    return Outcome(
        {
            "mode_by_adam": by_adam,
            "mode": mode,
            "laplace_covariance": covariance,
            "log_evidence_laplace": result.log_evidence,
            "log_evidence_quadrature": log_evidence,
            "posterior_mean_quadrature": mean,
        },
        {
            "adam_within_0.1": close(by_adam, MODE, 0.1),
            "mode": close(mode, MODE, 1e-6),
            "laplace_covariance": close(covariance, COVARIANCE, 1e-6),
            "laplace_evidence": close(result.log_evidence, at_mode + volume, 1e-9),
            "quadrature_evidence": close(log_evidence, LOG_EVIDENCE, 1e-6),
            "quadrature_mean": close(mean, MEAN, 1e-6),
        },
        {
            "landscape": lambda ax: landscape(
                b, w, values, gaussians={"Laplace": (mode, covariance)}, sds=(1, 2, 4),
                points={"mode": mode, "posterior mean": mean},
                title="Log posterior on classification7, prior precision 0.75", ax=ax,
            ),
            "probability": lambda ax: probability_curve(
                grid, curves, data=(x, y), title="Class probability on classification7", ax=ax
            ),
        },
    )  # fmt: skip
