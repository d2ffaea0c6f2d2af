"""The variational bound of a batch, as estimated from draws of the weights."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import replace, static, struct
from posterium.driver.protocol import Info
from posterium.model import hyper
from posterium.model.data import Data
from posterium.model.model import Model, scaled_sum
from posterium.numerics import noise, trees
from posterium.numerics.divergence import gaussian_log_prob
from posterium.numerics.families.base import Family
from posterium.numerics.families.gaussian import MeanField
from posterium.numerics.interpret import rows_are_alone
from posterium.phases.kl import closed_kl
from posterium.phases.objectives import ELBO, BlackBoxAlpha, Renyi
from posterium.posterior.family import FamilyPosterior

ROWWISE = ("local", "flipout")
"""Estimators that draw the weights of each row by themselves."""
ESTIMATORS = ("shared", *ROWWISE, "sigma_points")


@struct
class Bound:
    """How the bound is estimated.

    Parameters
    ----------
    objective
        What is climbed: `ELBO`, `Renyi` or `BlackBoxAlpha`.
    estimator
        ``"shared"``: all rows under the same draws. ``"local"`` and ``"flipout"``: each row under
        draws of its own, of independent weights (`numerics.noise`). ``"sigma_points"``: the 2 p
        points mean +-sqrt(p) S^(1/2) e_i in the place of draws of a Gaussian.
    samples
        Draws a step, of a row or of all.
    closed
        Take the KL in closed form.
    stopped
        Take no slope of log q by its own coordinates, only by way of the draw.
    """

    objective: Any = ELBO()
    estimator: str = static(default="shared")
    samples: int = static(default=1)
    closed: bool = static(default=True)
    stopped: bool = static(default=False)

    def checked(self, family: Family) -> "Bound":
        """Return this bound, or refuse an estimator that does not suit family or objective."""
        named, weighed = self.estimator, not isinstance(self.objective, ELBO)
        renyi = isinstance(self.objective, Renyi)
        if weighed and not isinstance(self.objective, Renyi | BlackBoxAlpha):
            raise ValueError(
                "objective must be 'elbo', Renyi(alpha) or BlackBoxAlpha(alpha); got "
                f"{self.objective!r}."
            )
        if weighed and (self.samples < 2 or named == "sigma_points"):
            raise ValueError(
                f"{type(self.objective).__name__} weighs draws against each other: it expects "
                f"samples of at least 2, and no sigma points; got samples={self.samples} and "
                f"estimator={named!r}."
            )
        if named in ROWWISE and not isinstance(family, MeanField):
            raise ValueError(
                f"estimator={named!r} expects independent weights, family='mean_field'; got "
                f"{type(family).__name__}. Use estimator='shared'."
            )
        if named in ROWWISE and (renyi or self.stopped):
            raise ValueError(
                f"estimator={named!r} draws weights for each row, while Renyi and "
                "sticking_the_landing need the density of draws that all rows share. Use "
                "estimator='shared'."
            )
        if renyi and self.stopped:
            raise ValueError(
                "sticking_the_landing has the right slopes on average for objective='elbo' and "
                "BlackBoxAlpha, not for Renyi. Leave it out."
            )
        if named == "sigma_points" and not family.gaussian:
            raise ValueError(
                f"estimator='sigma_points' expects a Gaussian family; got {type(family).__name__}. "
                "Use estimator='shared'."
            )
        return self

    def value(
        self, key: jax.Array, q: FamilyPosterior, model: Model, part: Data, kl_weight: jax.Array
    ) -> tuple[jax.Array, Info]:
        """Return the objective in nats under a weight of the KL, and the terms of the ELBO.

        Both contain the log prior of free hyper-parameters. Draws take a network's running
        statistics as they are, as predictions do: under statistics of their own, they would fit
        data that they do not predict.
        """
        row, kl = self.terms(key, q, model, part)

        def total(row: jax.Array) -> jax.Array:
            return scaled_sum(row, part)

        rest = hyper.log_prior(model)
        value = self.objective.value(row, kl_weight * kl, total) + rest
        log_likelihood, kl = jnp.mean(jax.vmap(total)(row)), jnp.mean(kl)
        elbo = log_likelihood - kl + rest
        return value, {"elbo": elbo, "log_likelihood": log_likelihood, "kl": kl}

    def terms(
        self, key: jax.Array, q: FamilyPosterior, model: Model, part: Data
    ) -> tuple[jax.Array, jax.Array]:
        """Return the log likelihood of draws and rows (s, b), and log q - log p (s,) or the KL."""
        z = self._noise(key, q)

        def shared(z: Any) -> jax.Array:
            return model.network.apply(q.at(self._draw(q, z)), part.x)[0]

        def rowwise(key: jax.Array) -> jax.Array:
            return self._rowwise(key, q, model, part.x)

        if self.estimator in ROWWISE:
            keys = jax.random.split(jax.random.fold_in(key, 1), self.samples)
            f = _each(rowwise, keys)
        else:
            f = _each(shared, z)
        row = jax.vmap(lambda f: model.likelihood.log_prob(f, part.y))(f)
        if self.closed:
            return row, closed_kl(q, model)
        return row, jax.vmap(lambda z: self._log_ratio(q, model, z))(z)

    def _noise(self, key: jax.Array, q: FamilyPosterior) -> Any:
        """Return the base noise of the draws, or the unit points that stand for it, (2 p, p)."""
        if self.estimator != "sigma_points":
            return q.family.noise(key, q.raw, self.samples)
        return sigma_points(q.family.mean(q.raw))

    def _draw(self, q: FamilyPosterior, z: Any) -> jax.Array:
        family: Any = q.family
        if self.estimator != "sigma_points":
            return family.draw(q.raw, z)
        return family.mean(q.raw) + family.covariance(q.raw).sqrt(z)

    def _rowwise(self, key: jax.Array, q: FamilyPosterior, model: Model, x: Any) -> jax.Array:
        family: Any = q.family
        mean, sd = (q.by_path(vector) for vector in (family.mean(q.raw), family.sd(q.raw)))

        def f(drawn: dict[str, jax.Array], x: Any) -> jax.Array:
            params = trees.overlay(q.weights.params, drawn)
            return model.network.apply(replace(q.weights, params=params), x)[0]

        return noise.draw(f, mean, sd, x, key, mode=self.estimator)[0]

    def _log_ratio(self, q: FamilyPosterior, model: Model, z: Any) -> jax.Array:
        """Return log q - log p of one draw."""
        family: Any = q.family
        w = self._draw(q, z)
        if self.estimator == "sigma_points":
            log_q = gaussian_log_prob(z, family.log_det(q.raw))
        else:
            log_q = family.log_prob_of(q.raw, z)
        if self.stopped:
            path = family.log_prob(jax.lax.stop_gradient(q.raw), w)
            log_q = path + jax.lax.stop_gradient(log_q - path)
        return log_q - model.prior.log_prob(q.at(w).params)


def _each(f: Callable[[Any], jax.Array], given: Any) -> jax.Array:
    """Map a function over a leading axis; one entry goes without it, for quicker products."""
    if trees.leading_size(given) > 1:
        return jax.vmap(f)(given)
    return f(trees.index(given, 0))[None]


def refuse_rows_together(network: Any, x: Any) -> None:
    """Refuse a network whose answer to a row depends on others, for draws of each row's own."""
    x = jax.tree.map(lambda a: a[:2], x)
    weights = network.init(jax.random.key(0), x)

    def f(params: Any, x: Any) -> Any:
        return network.apply(replace(weights, params=params), x)[0]

    if not rows_are_alone(f, weights.params, x):
        raise ValueError(
            "Estimators 'local' and 'flipout' expect a network whose answer to a row does not "
            "depend on the others; this one's does. Use estimator='shared'."
        )


def sigma_points(mean: jax.Array) -> jax.Array:
    """Return the points +-sqrt(p) e_i that stand for unit normals around a mean (p,): (2 p, p)."""
    points = jnp.sqrt(jnp.asarray(mean.size, mean.dtype)) * jnp.eye(mean.size, dtype=mean.dtype)
    return jnp.concatenate([points, -points])
