r"""Tempered models: the log joint divided by a temperature T, prior and likelihood alike.

.. math:: p_T(w) \propto p(w)^{1/T} \prod_i p(y_i \mid f(x_i; w))^{1/T}

Where the power of a density is a density of the same kind with other numbers, that one stands for
it, so that whatever is exact remains so; elsewhere the records here do.
"""

from typing import Any

import jax

from posterium._struct import replace, struct
from posterium.model import hyper
from posterium.model.likelihoods.gaussian import Gaussian
from posterium.model.model import Model
from posterium.model.priors.gaussian import correlated
from posterium.model.priors.normal import Normal


def tempered(model: Model, temperature: Any) -> Model:
    """Return the model whose log joint is that of another one divided by a temperature.

    Its free hyper-parameters are those of the other one, and in the same order.
    """
    prior, likelihood = model.prior, model.likelihood
    if type(prior) is Normal and not hyper.learned(prior):
        precision = jax.tree.map(lambda number: number / temperature, prior.precision)
        prior = replace(prior, precision=precision)
    else:
        prior = TemperedPrior(_with_densities(prior, temperature), temperature)
    if type(likelihood) is Gaussian and not hyper.learned(likelihood):
        likelihood = Gaussian(likelihood.scale * temperature**0.5)
    else:
        likelihood = TemperedLikelihood(_with_densities(likelihood, temperature), temperature)
    network = _with_densities(model.network, temperature)
    return Model(network, prior, likelihood)


def refuse_correlated(model: Model) -> None:
    """Refuse a prior that methods take for its matrix of precisions."""
    if correlated(model.prior):
        raise ValueError(
            "Tempered expects a prior with independent weights; those of this GaussianPrior are "
            "correlated. Temper the fit that it was made from instead."
        )


def _with_densities(part: Any, temperature: Any) -> Any:
    """Return a part of a model whose free hyper-parameters have tempered densities."""

    def one(leaf: Any) -> Any:
        if not hyper.is_learned(leaf) or leaf.prior is None:
            return leaf
        return replace(leaf, prior=TemperedScale(leaf.prior, temperature))

    return jax.tree.map(one, part, is_leaf=hyper.is_learned)


@struct
class TemperedPrior:
    """A prior to the power 1 / temperature, not normalised."""

    prior: Any
    temperature: Any

    def terms(self, params: Any) -> Any:
        """As of `Prior`."""
        return jax.tree.map(lambda term: term / self.temperature, self.prior.terms(params))

    def log_prob(self, params: Any) -> jax.Array:
        """As of `Prior`."""
        return self.prior.log_prob(params) / self.temperature

    def precision_of(self, params: Any) -> Any:
        """As of `Prior`."""
        found = self.prior.precision_of(params)
        return jax.tree.map(lambda precision: precision / self.temperature, found)

    def sample(self, key: jax.Array, like: Any) -> Any:
        """Refuse: the power of a density is drawn from by no general way."""
        raise ValueError(
            f"A tempered {type(self.prior).__name__} has no draws. Use start='network', a fixed "
            "Normal prior, or StartFrom."
        )


@struct
class TemperedScale:
    """The density of a free hyper-parameter to the power 1 / temperature, not normalised."""

    prior: Any
    temperature: Any

    @property
    def vanishes(self) -> tuple[str, ...]:
        """The ends towards which the density falls faster than any power."""
        return self.prior.vanishes

    def log_prob(self, value: jax.Array) -> jax.Array:
        """As of `ScalePrior`."""
        return self.prior.log_prob(value) / self.temperature


@struct
class TemperedLikelihood:
    """A likelihood to the power 1 / temperature; in all else it answers as the likelihood does."""

    likelihood: Any
    temperature: Any

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "likelihood":
            raise AttributeError(name)
        return getattr(self.likelihood, name)

    def log_prob(self, f: jax.Array, y: jax.Array) -> jax.Array:
        """As of `Likelihood`."""
        return self.likelihood.log_prob(f, y) / self.temperature

    def fisher(self, f: jax.Array) -> jax.Array:
        """As of `Likelihood`."""
        return self.likelihood.fisher(f) / self.temperature
