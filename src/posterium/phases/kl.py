"""The KL of a member of a family from the prior, where there is a closed form."""

from typing import Any

import jax
import jax.numpy as jnp

from posterium.model.model import Model
from posterium.model.priors.composed import ByPath, Centred
from posterium.model.priors.gaussian import GaussianPrior, correlated
from posterium.model.priors.normal import Flat, Normal
from posterium.model.subset import RestrictedPrior
from posterium.numerics.divergence import precision_trace, quadratic_kl
from posterium.numerics.families.base import Family
from posterium.posterior.family import FamilyPosterior, random_vector


def obstacle(family: Family, prior: Any, *, points: bool) -> str:
    """Say what stands against a closed form; nothing if nothing does.

    It takes a log prior that is quadratic in the weights, and a family whose members' entropy and
    variances are known.
    """
    if not hasattr(family, "entropy"):
        return type(family).__name__
    if not _is_quadratic(prior):
        return type(prior).__name__
    if correlated(prior) and (points or not family.gaussian):
        return "a prior with correlations"
    return ""


def _is_quadratic(prior: Any) -> bool:
    if isinstance(prior, Centred | RestrictedPrior):
        return _is_quadratic(prior.prior) and not correlated(prior.prior)
    if isinstance(prior, ByPath):
        return all(_is_quadratic(one) and not correlated(one) for one in prior.priors)
    return isinstance(prior, Flat | Normal | GaussianPrior)


def closed_kl(q: FamilyPosterior, model: Model) -> jax.Array:
    """Return the KL in nats.

    The prior of weights with a point estimate counts in full.
    """
    family: Any = q.family
    prior, at_mean = model.prior, q.mode().params
    if correlated(prior):
        trace = precision_trace(prior.root, family.covariance(q.raw))
    else:
        precision = random_vector(prior.precision_of(at_mean), q.point)
        trace = jnp.sum(precision * family.variance(q.raw))
    return quadratic_kl(prior.log_prob(at_mean), trace, family.entropy(q.raw))
