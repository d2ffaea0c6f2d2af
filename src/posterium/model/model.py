"""The model: network, prior and likelihood, and the one place where n/b stands."""

from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import struct
from posterium.model import hyper
from posterium.model.adapters.recognise import adapted
from posterium.model.data import Data
from posterium.model.priors.base import laid_out
from posterium.model.priors.recognise import as_prior
from posterium.model.weights import Weights


@struct
class Model:
    """What we believe: a network, a prior over its weights and a likelihood of the target.

    Hyper-parameters are leaves of the three records; `learn(...)` marks one as free. The network
    may be any framework's as it is: a Flax Linen module, a PyTorch module, a function of `rngs`
    that builds a Flax NNX module, a function of `key` that builds an Equinox module, or a pair of
    functions. The prior may be an earlier fit with a Gaussian posterior, or any distribution over
    one weight that has `log_prob` and `sample`, such as one of NumPyro.
    """

    network: Any
    prior: Any
    likelihood: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", adapted(self.network))
        prior = laid_out(as_prior(self.prior), getattr(self.network, "layout", ()))
        object.__setattr__(self, "prior", prior)

    def log_joint(
        self, weights: Weights, data: Data, *, train: bool = False
    ) -> tuple[jax.Array, jax.Array, Any]:
        """Return log prior and scaled log likelihood in nats, and the network's new state.

        log joint = log prior + n/b * sum_i weight_i log p(y_i | f_i), with n the number of all rows
        and b that of these (those of weight 0 are padding), so that batches of weighted rows are
        right on average too. The log prior includes that of free hyper-parameters.
        """
        f, state = self.network.apply(weights, data.x, train=train)
        return self.log_prior(weights.params), self.log_likelihood(f, data), state

    def log_likelihood(self, f: jax.Array, data: Data) -> jax.Array:
        """Return the scaled log likelihood in nats of outputs f (b, k) at some rows."""
        return scaled_sum(self.likelihood.log_prob(f, data.y), data)

    def log_prior(self, params: Any) -> jax.Array:
        """Return the log prior of weights and free hyper-parameters in nats."""
        return self.prior.log_prob(params) + hyper.log_prior(self)


def scaled_sum(row: jax.Array, data: Data) -> jax.Array:
    """Return n/b * sum_i weight_i row_i for a quantity of each row, (b,)."""
    here = jnp.sum(data.weight > 0)
    return data.rows / jnp.maximum(here, 1) * jnp.sum(data.weight * row)
