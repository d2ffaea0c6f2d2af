"""Curvature at a mode: what it says of covariance, evidence and the mode itself.

The phase that adds it up, `accumulate`, ends with these records.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import static, struct
from posterium.model.model import Model
from posterium.model.priors.base import LOG_2PI
from posterium.model.priors.gaussian import correlated
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.numerics.covariances.base import Covariance
from posterium.numerics.structures.base import Structure
from posterium.numerics.structures.dense import DiagonalCurvature, FullCurvature
from posterium.posterior.fit import Verdict

LARGEST_DECREMENT = 0.1
"""Nats that a Newton step may still gain at what counts as a mode."""


@struct
class Sums:
    """What one pass over the rows adds up, at the mode and free of the noise sd.

    Where the network's outputs are the mean, b is the number of outputs, each with half its
    squared residuals; elsewhere b is 1, with minus the log likelihood.

    Parameters
    ----------
    loss
        The sums themselves, (b,).
    slope
        Their gradients, (b, p).
    curvature
        Their curvature, as the structure keeps it; the empirical one is one group of all outputs.
    weight
        Summed weight of the rows.
    """

    loss: Any
    slope: Any
    curvature: Any
    weight: Any


@struct
class LaplaceCurvature:
    """The curvature at a mode: covariance and log evidence at any hyper-parameters.

    Parameters
    ----------
    weights
        The mode.
    sums
        Losses and gradients over all rows.
    ready
        The curvature of all rows, as the structure prepared it.
    at
        The model at which the mode was found.
    structure
        What is kept of the curvature.
    kind
        ``"ggn"``, ``"empirical"`` or ``"hessian"``.
    """

    weights: Weights
    sums: Sums
    ready: Any
    at: Model
    structure: Structure = static()
    kind: str = static(default="ggn")

    def _scales(self, model: Model) -> tuple[jax.Array, jax.Array]:
        """Return the factor of each group (g,), and the prior's precision."""
        factor = factors(model, self.sums)
        if self.kind == "empirical":
            factor = factor[:1] ** 2
        return factor, prior_precision(model, self.weights.params)

    def covariance(self, model: Model) -> Covariance:
        """Return the inverse of the precision; NaN where it is not positive definite."""
        return self.structure.covariance(self.ready, *self._scales(model))

    def diagonal(self, model: Model) -> jax.Array:
        """Return the diagonal of the precision, (p,)."""
        factor, prior = self._scales(model)
        own = prior if prior.ndim == 1 else jnp.diagonal(prior)
        return self.structure.diagonal(self.ready, factor) + own

    def precision(self, model: Model) -> jax.Array:
        """Return the precision that a structure keeps by its entries: (p, p), or (p,)."""
        structure: Any = self.structure
        return structure.precision(self.ready, *self._scales(model))

    def log_evidence(self, model: Model) -> jax.Array:
        """Return log p(y) in nats, hyper-priors included, differentiable in the model's leaves.

        The mode stays where it is; at the maximum over the weights that costs no first-order
        term in the value, and the gradient is that at a fixed mode.
        """
        factor, prior = self._scales(model)
        log_joint = model.log_prior(self.weights.params) + self.log_likelihood(model)
        log_det = self.structure.log_det(self.ready, factor, prior)
        return log_joint + 0.5 * (len(prior) * LOG_2PI - log_det)

    def log_likelihood(self, model: Model) -> jax.Array:
        """Return the log likelihood of all rows at the mode in nats."""
        return log_likelihood_of(model, self.sums)

    def gradient(self, model: Model) -> jax.Array:
        """Return the gradient of the log joint in the weights, (p,)."""
        prior = jax.grad(lambda params: model.prior.log_prob(params))(self.weights.params)
        return trees.vector(prior) - factors(model, self.sums) @ self.sums.slope

    def decrement(self, covariance: Covariance) -> jax.Array:
        """Return what a Newton step from the weights would gain, in nats."""
        gradient = self.gradient(self.at)
        return 0.5 * covariance.quadratic(gradient[None, :])[0, 0]


def factors(model: Model, sums: Sums) -> jax.Array:
    """Return how much each sum counts in minus the log likelihood, (b,): 1 / variance, or 1."""
    if not model.likelihood.linear_mean:
        return jnp.ones_like(sums.loss)
    return jnp.diagonal(model.likelihood.fisher(jnp.zeros_like(sums.loss)[None])[0])


def log_likelihood_of(model: Model, sums: Sums) -> jax.Array:
    """Return the log likelihood of the rows summed, in nats, at a model's noise."""
    total = -jnp.sum(factors(model, sums) * sums.loss)
    if not model.likelihood.linear_mean:
        return total
    zero = jnp.zeros_like(sums.loss)[None]
    return total + sums.weight * model.likelihood.log_prob(zero, zero)[0]


def prior_precision(model: Model, params: Any) -> jax.Array:
    """Return the precisions of the prior (p,); of one with correlations the matrix (p, p)."""
    if correlated(model.prior):
        return model.prior.precision_matrix()
    return trees.vector(model.prior.precision_of(params))


def judge_curvature(found: LaplaceCurvature, covariance: Covariance) -> Verdict:
    """Fail a precision that is not positive definite; warn where the weights are at no mode."""
    entries, variance, decrement, slope = map(np.asarray, _seen(found, covariance))
    if _singular(entries, variance):
        return _not_positive(found, entries)
    if decrement <= LARGEST_DECREMENT:
        return Verdict()
    reason = (
        f"The weights are not at a mode: a Newton step would still gain {decrement:.2g} nats "
        f"(at most {LARGEST_DECREMENT} expected); the gradient's norm is {slope:.2g}."
    )
    advice = "Polish them first, at=MAP(polish='lbfgs') or at=MAP(polish='newton')."
    return Verdict("warned", (reason,), (advice,))


@jax.jit
def _seen(found: LaplaceCurvature, covariance: Covariance) -> tuple[jax.Array, ...]:
    """Return the precision's diagonal, the variances, the decrement and the gradient's norm."""
    slope = jnp.linalg.norm(found.gradient(found.at))
    return found.diagonal(found.at), covariance.variance(), found.decrement(covariance), slope


def _singular(entries: np.ndarray, variance: np.ndarray) -> bool:
    """Say whether a precision with this diagonal has no inverse, to rounding.

    The product of a weight's variance and its entry in the precision is 1 without correlations;
    towards 1 / eps no digit of the variance is left. One percent of that is the limit.
    """
    inflation = variance * entries
    limit = 0.01 / np.finfo(entries.dtype).eps
    return not (np.isfinite(inflation).all() and np.max(inflation) < limit)


def _not_positive(found: LaplaceCurvature, entries: np.ndarray) -> Verdict:
    if not np.isfinite(entries).all():
        reason = "The curvature has entries that are not finite."
        return Verdict("failed", (reason,), ("Look at the weights and the scale of the inputs.",))
    reason = f"The precision of the weights is not positive definite in {entries.dtype}"
    if isinstance(found.structure, FullCurvature | DiagonalCurvature):
        precision = np.asarray(found.precision(found.at))
        values = np.sort(precision) if precision.ndim == 1 else np.linalg.eigvalsh(precision)
        reason += f": its smallest eigenvalue is {values[0]:.3g}, its largest {values[-1]:.3g}"
    if found.kind == "hessian":
        return Verdict("failed", (reason + ".",), ("Use curvature='ggn', or train on to a mode.",))
    return Verdict("failed", (reason + ".",), ("Give every weight a prior precision above 0.",))
