"""From what a likelihood predicts to components: its distribution by name."""

from typing import Any

import numpy as np

from posterium.numerics.laws.base import Law
from posterium.numerics.laws.counts import NegativeBinomialLaw, PoissonLaw
from posterium.numerics.laws.gaussian_mixture import GaussianMixtureLaw
from posterium.numerics.laws.quantiles import QuantilesLaw
from posterium.numerics.laws.student_t import StudentTLaw
from posterium.numerics.laws.weibull import WeibullLaw
from posterium.posterior.components.classes import ClassComponents
from posterium.posterior.components.gaussian import GaussianComponents
from posterium.posterior.components.laws import LawComponents

LAWS: dict[str, Law] = {
    "student_t": StudentTLaw(),
    "asymmetric_laplace": QuantilesLaw(),
    "poisson": PoissonLaw(),
    "negative_binomial": NegativeBinomialLaw(),
    "weibull": WeibullLaw(),
    "mixture": GaussianMixtureLaw(),
    "quantiles": QuantilesLaw(),
}
"""By what a likelihood calls its `distribution`; one without a name is Gaussian."""

PARTS = ("mixture", "quantiles")
"""Distributions of one target whose parameters have their parts side by side, (n, m)."""


def law_of(likelihood: Any) -> Law | None:
    """Return the law of a likelihood's target; None for classes and Gaussian ones."""
    name = getattr(likelihood, "distribution", None)
    if name is None or likelihood.task == "classification":
        return None
    if name not in LAWS:
        raise ValueError(
            f"distribution must be one of {', '.join(LAWS)}; {type(likelihood).__name__} has "
            f"{name!r}. Leave it out for Gaussian predictions with the moments."
        )
    return LAWS[name]


def outputs(likelihood: Any, width: int) -> int:
    """Return the number of outputs, or classes, of a prediction whose first array is so wide."""
    return 1 if getattr(likelihood, "distribution", None) in PARTS else width


def components(likelihood: Any, parts: list[np.ndarray]) -> Any:
    """Return the components of what a likelihood predicts, arrays (s, n, k) or (s, n, m)."""
    law = law_of(likelihood)
    if law is None:
        kind = ClassComponents if likelihood.task == "classification" else GaussianComponents
        return kind(*parts)
    if likelihood.distribution in PARTS:
        parts = [part[:, :, None, :] for part in parts]
    elif law.wide:
        parts = [part[..., None] for part in parts]
    return LawComponents(law, tuple(parts))
