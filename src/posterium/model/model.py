"""The model: network, prior and likelihood, and the one place where N/B stands."""

from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import struct
from posterium.model import hyper
from posterium.model.data import Data
from posterium.model.weights import Weights


@struct
class Model:
    """What we believe: a network, a prior over its weights and a likelihood of the target.

    Hyper-parameters are leaves of the three records; `learn(...)` marks one as free.
    """

    network: Any
    prior: Any
    likelihood: Any

    def log_joint(
        self, weights: Weights, data: Data, *, train: bool = False
    ) -> tuple[jax.Array, jax.Array, Any]:
        """Return log prior and scaled log likelihood in nats, and the network's new state.

        log joint = log prior + N/B * sum_i weight_i log p(y_i | f_i), with N the summed weight of
        all data and B that of these rows. The log prior includes that of free hyper-parameters.
        """
        f, state = self.network.apply(weights, data.x, train=train)
        row = self.likelihood.log_prob(f, data.y)
        held = jnp.sum(data.weight)
        scale = data.size / jnp.where(held > 0, held, 1)
        log_likelihood = scale * jnp.sum(data.weight * row)
        return self.log_prior(weights.params), log_likelihood, state

    def log_prior(self, params: Any) -> jax.Array:
        """Return the log prior of weights and free hyper-parameters in nats."""
        return self.prior.log_prob(params) + hyper.log_prior(self)
