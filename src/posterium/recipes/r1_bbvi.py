"""R1.bbvi: black-box variational inference with a full-covariance Gaussian."""

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import classification7, outlier6
from posterium.plots.training import training_curve
from posterium.plots.weights import landscape
from posterium.recipes import plane
from posterium.recipes.runner import Outcome, close, recipe

SUMMARY = "full-covariance VI: recovers a line's exact posterior; two classes against the mode"
LOG_EVIDENCE, MEAN = -2.4852461, (0.3027384, 1.6461642)
"""Of classification7, by quadrature."""


def averaging_vi(steps: int, samples: int) -> ps.VI:
    """Return VI with Adam at a constant rate; the iterates of the last 300 steps are averaged."""
    return ps.VI(
        family="full", steps=steps, samples=samples, learning_rate=5e-3, schedule="constant",
        betas=(0.99, 0.999), average=300 / steps,
    )  # fmt: skip


@recipe("R1.bbvi", SUMMARY, fast="nothing")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Hold both Gaussians, and the bounds over the last 300 steps, against what is exact."""
    line = ps.Model(ps.Linear(ps.Affine()), ps.Normal(3.0, scaling="none"), ps.Gaussian(1.0))
    data = ps.as_data(*outlier6())
    result = ps.fit(key, line, data, averaging_vi(1500, 1000), precision="float64")
    exact = ps.fit(key, line, data, ps.Exact())
    q, p = plane.moments(result), plane.moments(exact)
    kl = plane.divergence(q, p)
    bounds = result.info["ascent"]["elbo"]

    classes = ps.Model(ps.Linear(ps.Affine()), ps.Normal(0.75, scaling="none"), ps.Bernoulli())
    labels = ps.as_data(*classification7())
    of_classes = ps.fit(key, classes, labels, averaging_vi(2000, 100), precision="float64")
    at_mode = ps.fit(key, classes, labels, ps.MAP(steps=1, polish="newton"), precision="float64")
    mean, covariance = plane.moments(of_classes)
    mode = at_mode.posterior.mode().params["coefficients"][:, 0]
    class_bounds = of_classes.info["ascent"]["elbo"]

    def below(bounds: np.ndarray, log_evidence: float) -> bool:
        late = bounds[-300:]
        return late.mean() <= log_evidence + 4 * late.std() / np.sqrt(len(late))

    b, w = np.linspace(-8, 8, 200), np.linspace(-6, 10, 200)
    return Outcome(
        {
            "kl": kl,
            "mean": q[0],
            "covariance": q[1],
            "bound": bounds[-300:].mean(),
            "log_evidence": exact.log_evidence,
            "classes_mean": mean,
            "classes_covariance": covariance,
            "classes_mode": mode,
            "classes_bound": class_bounds[-300:].mean(),
        },
        {
            "kl_at_most_1e-4": kl <= 1e-4,
            "bound_below_evidence": below(bounds, exact.log_evidence),
            "classes_mean_within_0.05": close(mean, MEAN, 0.05),
            "classes_bound_below_evidence": below(class_bounds, LOG_EVIDENCE),
        },
        {
            "bound": lambda ax: training_curve(
                {"bound": bounds}, reference={"log evidence": exact.log_evidence}, smooth=10,
                ylabel="evidence lower bound (nats)", title="VI of a line on outlier6", ax=ax,
            ),
            "landscapes": [
                lambda ax: landscape(
                    b, b, plane.log_joint(line, data, b, b), gaussians={"exact": p, "VI": q},
                    title="outlier6, prior precision 3", ax=ax,
                ),
                lambda ax: landscape(
                    b, w, plane.log_joint(classes, labels, b, w), points={"mode": mode},
                    gaussians={"VI": (mean, covariance)}, sds=(1, 2, 4),
                    title="classification7, prior precision 0.75", ax=ax,
                ),
            ],
        },
    )  # fmt: skip
