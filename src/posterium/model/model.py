"""The model: network, prior and likelihood, and the one place where n/b stands."""

from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import struct
from posterium.model import hyper
from posterium.model.adapters.recognise import adapted
from posterium.model.data import Data
from posterium.model.prior import laid_out
from posterium.model.weights import Weights


@struct
class Model:
    """What we believe: a network, a prior over its weights and a likelihood of the target.

    Hyper-parameters are leaves of the three records; `learn(...)` marks one as free. The network
    may be any framework's as it is: a Flax Linen module, a PyTorch module, a function of `rngs`
    that builds a Flax NNX module, a function of `key` that builds an Equinox module, or a pair of
    functions.
    """

    network: Any
    prior: Any
    likelihood: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", adapted(self.network))
        object.__setattr__(self, "prior", laid_out(self.prior, self.network))

    def log_joint(
        self, weights: Weights, data: Data, *, train: bool = False
    ) -> tuple[jax.Array, jax.Array, Any]:
        """Return log prior and scaled log likelihood in nats, and the network's new state.

        log joint = log prior + n/b * sum_i weight_i log p(y_i | f_i), with n the number of all rows
        and b that of these (those of weight 0 are padding), so that batches of weighted rows are
        right on average too. The log prior includes that of free hyper-parameters.
        """
        f, state = self.network.apply(weights, data.x, train=train)
        row = self.likelihood.log_prob(f, data.y)
        here = jnp.sum(data.weight > 0)
        log_likelihood = data.rows / jnp.maximum(here, 1) * jnp.sum(data.weight * row)
        return self.log_prior(weights.params), log_likelihood, state

    def log_prior(self, params: Any) -> jax.Array:
        """Return the log prior of weights and free hyper-parameters in nats."""
        return self.prior.log_prob(params) + hyper.log_prior(self)
