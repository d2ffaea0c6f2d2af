"""Likelihoods by name: what `likelihood="..."` means in an estimator and on the command line."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from posterium.model.hyper import learn
from posterium.model.likelihoods.base import LEAST_NOISE
from posterium.model.likelihoods.classes import Bernoulli, Categorical
from posterium.model.likelihoods.counts import NegativeBinomial, Poisson
from posterium.model.likelihoods.gaussian import Gaussian, HeteroscedasticGaussian
from posterium.model.likelihoods.mixture import MixtureOfGaussians
from posterium.model.likelihoods.ordinal import Ordinal
from posterium.model.likelihoods.quantiles import HeteroscedasticLaplace, LaplaceNoise, Quantile
from posterium.model.likelihoods.student_t import HeteroscedasticStudentT, StudentT
from posterium.model.likelihoods.survival import Weibull
from posterium.model.priors.scales import HalfNormal


@dataclass(frozen=True)
class Target:
    """What is known of the target when a likelihood is made.

    Parameters
    ----------
    count
        Number of target columns, or of classes.
    floor
        Least noise sd, in the model's target units: one number, or one a target column.
    mean
        Mean of the target in its own units, likewise: the unit of counts.
    sampled
        Whether a sampler draws free scales, which then need a density of their own.
    """

    count: int = 1
    floor: Any = LEAST_NOISE
    mean: Any = 1.0
    sampled: bool = False

    def scale(self, start: float = 0.5) -> Any:
        """Return a learned scale of the noise, above the floor."""
        prior = HalfNormal(1.0) if self.sampled else None
        return learn(np.maximum(start, 2 * np.asarray(self.floor)), floor=self.floor, prior=prior)


def gaussian(target: Target) -> Gaussian:
    """Return Gaussian noise of one sd, learned; one sd a column where there are several floors."""
    return Gaussian(target.scale())


def heteroscedastic(target: Target) -> HeteroscedasticGaussian:
    """Return Gaussian noise whose sd the network predicts."""
    return HeteroscedasticGaussian(target.floor)


def heavy_tailed(target: Target) -> HeteroscedasticStudentT:
    """Return Student-t noise whose scale the network predicts, degrees of freedom learned."""
    return HeteroscedasticStudentT(target.floor)


def _ordinal(target: Target) -> Ordinal:
    gaps = np.ones(max(0, target.count - 2))
    prior = HalfNormal(5.0) if target.sampled else None
    return Ordinal(learn(gaps, prior=prior) if gaps.size else gaps)


LIKELIHOODS: dict[str, dict[str, Callable[[Target], Any]]] = {
    "regression": {
        "gaussian": gaussian,
        "heteroscedastic": heteroscedastic,
        "student_t": lambda target: StudentT(target.scale()),
        "heteroscedastic_student_t": heavy_tailed,
        "laplace": lambda target: LaplaceNoise(target.scale()),
        "heteroscedastic_laplace": lambda target: HeteroscedasticLaplace(target.floor),
        "quantile": lambda target: Quantile(scale=target.scale(0.2)),
        "mixture": lambda target: MixtureOfGaussians(floor=target.floor),
        "poisson": lambda target: Poisson(target.mean),
        "negative_binomial": lambda target: NegativeBinomial(unit=target.mean),
        "weibull": lambda target: Weibull(),
    },
    "classification": {
        "bernoulli": lambda target: Bernoulli(),
        "categorical": lambda target: Categorical(),
        "ordinal": _ordinal,
    },
}
"""By task and name, called with what is known of the target."""


def likelihood_of(task: str, given: Any, usual: Callable[[Target], Any], target: Target) -> Any:
    """Return the likelihood that a name, a record or None stands for.

    Parameters
    ----------
    task
        ``"regression"`` or ``"classification"``.
    given
        A name of `LIKELIHOODS`, a record, or None for the usual one.
    usual
        What suits the method for a regression.
    target
        What is known of the target.

    Raises
    ------
    ValueError
        When there is no such name, or the record is for the other task.
    """
    if given is None and task == "classification":
        given = "bernoulli" if target.count == 2 else "categorical"
    if given is None:
        return usual(target)
    if not isinstance(given, str):
        return _checked(task, given)
    known = LIKELIHOODS[task]
    if given not in known:
        raise ValueError(
            f"likelihood for {task} must be one of {', '.join(known)}, or a record; got {given!r}."
        )
    return known[given](target)


def _checked(task: str, given: Any) -> Any:
    """Return a record for this task, or refuse it."""
    if isinstance(given, type) or not hasattr(given, "task"):
        raise ValueError(
            f"likelihood for {task} must be one of {', '.join(LIKELIHOODS[task])}, or a record "
            f"such as {'Gaussian(0.1)' if task == 'regression' else 'Categorical()'}; got "
            f"{given!r}."
        )
    if given.task != task:
        raise ValueError(
            f"Expected a likelihood for {task}; {type(given).__name__} is for {given.task}."
        )
    return given
