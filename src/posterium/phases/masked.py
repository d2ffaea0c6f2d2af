r"""Masked: a training with dropout that ends with the distribution it has fitted.

Where rates are learned, the prior's term of the objective is that of the distribution that masks
make of the weights M, less its entropy (Gal, Hron and Kendall 2017, eq. 3):

.. math:: -KL = \sum_l \left[ \log p\!\left(\frac{M_l}{\sqrt{1 - p_l}}\right)
   + K_l H(p_l) \right]

up to a constant, with K_l inputs of layer l dropped at rate p_l, and H the entropy of one mask.
Kept inputs are divided by 1 - p, so that a weight's mean square is M^2 / (1 - p).
"""

from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import replace, static, struct
from posterium.driver.protocol import Around, Info, Phase
from posterium.model import hyper, masks
from posterium.model.data import Batch, Data
from posterium.model.model import Model
from posterium.model.weights import Weights
from posterium.posterior.posterior import DropoutPosterior


@struct
class Bounded:
    """A model of an `MLP` with learned rates, whose prior's term is -KL in place of the log prior.

    Parameters
    ----------
    model
        The model.
    """

    model: Model

    @property
    def network(self) -> Any:
        """The network of the model."""
        return self.model.network

    @property
    def likelihood(self) -> Any:
        """The likelihood of the model."""
        return self.model.likelihood

    def log_joint(
        self, weights: Weights, data: Data, *, train: bool = False
    ) -> tuple[jax.Array, jax.Array, Any]:
        """Return -KL and scaled log likelihood in nats, and the network's new state."""
        _, log_likelihood, state = self.model.log_joint(weights, data, train=train)
        return self.negative_kl(weights.params), log_likelihood, state

    def negative_kl(self, params: dict[str, Any]) -> jax.Array:
        """Return -KL in nats, with the log prior of free hyper-parameters."""
        layers, entropy = [], jnp.zeros(())
        for layer, rate in zip(params["layers"], self.network.rates(), strict=True):
            if rate is not None:
                entropy += len(layer["kernel"]) * masks.entropy(rate)
                layer = layer | {"kernel": layer["kernel"] / jnp.sqrt(1 - rate)}
            layers.append(layer)
        return self.model.log_prior({"layers": layers}) + entropy


@struct
class Masked(Around):
    """A descent under dropout, that ends with a `DropoutPosterior`.

    Learned rates are recorded as `rate`, one a layer that drops inputs.

    Parameters
    ----------
    of
        The descent.
    rowwise
        Whether each row of a prediction has masks of its own.
    """

    of: Phase
    rowwise: bool = static(default=False)

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> Any:
        return self.of.init(key, seen(model), data, start)

    def step(self, key: jax.Array, state: Any, model: Model, batch: Batch) -> tuple[Any, Info]:
        state, info = self.of.step(key, state, seen(model), batch)
        if hyper.learned(model.network):
            rates = hyper.fill(model, state.raws).network.rates()
            info["rate"] = jnp.stack([jnp.asarray(rate) for rate in rates if rate is not None])
        return state, info

    def end(self, state: Any, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        point, learned = self.of.end(state, kept, seen(model), data)
        learned = learned.model if isinstance(learned, Bounded) else learned
        if self.rowwise:
            learned = replace(learned, network=masks.RowMasks(learned.network))
        return DropoutPosterior(point.weights), learned


def seen(model: Model) -> Any:
    """Return the model as the descent climbs it."""
    return Bounded(model) if hyper.learned(model.network) else model
