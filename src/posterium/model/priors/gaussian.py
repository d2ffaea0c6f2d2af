"""A Gaussian prior around given weights: what was learned before, for what comes next."""

from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import struct
from posterium.model.priors.base import LOG_2PI, refuse_others
from posterium.numerics import trees
from posterium.numerics.precisions import DiagonalPrecision, Precision


@struct
class GaussianPrior:
    """A Gaussian around given weights, correlated or not.

    ``fit.posterior.as_prior()`` makes one, so that a fit to new data goes on from an earlier one:
    with the posterior of the first rows as its prior, the posterior of the others is that of all,
    as far as the Gaussian holds (for networks Ritter, Botev and Barber 2018).

    Parameters
    ----------
    mean
        The weights in the middle, a tree like the network's parameters.
    root
        A precision operator over them as one vector.
    """

    mean: Any
    root: Precision

    def log_prob(self, params: Any) -> jax.Array:
        z = self.root.whiten(self._offset(params))
        return 0.5 * (self.root.log_det() - z @ z - z.size * LOG_2PI)

    def _offset(self, params: Any) -> jax.Array:
        refuse_others(self, self.mean, params)
        return trees.vector(params) - trees.vector(self.mean)

    def terms(self, params: Any) -> Any:
        """Return the log density of every leaf, where weights are independent."""
        self._refuse_correlated()
        z = self.root.whiten(self._offset(params))
        each = 0.5 * (jnp.log(self.root.diagonal()) - z**2 - LOG_2PI)
        return jax.tree.map(jnp.sum, trees.ravel(self.mean)[1](each))

    def precision_of(self, params: Any) -> Any:
        """Return the precision of every weight, where weights are independent."""
        self._refuse_correlated()
        return trees.ravel(params)[1](self.root.diagonal())

    def precision_matrix(self) -> jax.Array:
        """Return the precision of all weights as one vector, (p, p)."""
        return self.root.dense()

    def _refuse_correlated(self) -> None:
        if correlated(self):
            raise ValueError(
                "Expected a prior with independent weights; those of this GaussianPrior are "
                "correlated. Use a method that takes its log density as a whole, such as MAP, NUTS "
                "or Laplace(structure='full'), or make the prior from a diagonal posterior."
            )

    def sample(self, key: jax.Array, like: Any) -> Any:
        mean, unravel = trees.ravel(self.mean)
        z = jax.random.normal(key, mean.shape, mean.dtype)
        return unravel(mean + self.root.colour(z))


def correlated(prior: Any) -> bool:
    """Say whether weights depend on one another under a prior."""
    is_gaussian = isinstance(prior, GaussianPrior)
    return is_gaussian and not isinstance(prior.root, DiagonalPrecision)
