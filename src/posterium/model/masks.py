r"""Masks of dropout: which units are dropped, and what is left of the others.

.. math:: x \mapsto \frac{z}{1 - p} \, x, \qquad z \sim \mathrm{Bernoulli}(1 - p)

with p the rate (Srivastava et al. 2014). Where a rate is learned, z is relaxed in training, so that
slopes reach it (Gal, Hron and Kendall 2017, eq. 5).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, struct
from posterium.model import hyper
from posterium.model.weights import Weights
from posterium.numerics import random

TEMPERATURE = 0.1
"""Of the relaxation: towards 0 masks become hard, and slopes by the rate wild."""


def hard(key: jax.Array, rate: Any, shape: tuple[int, ...]) -> jax.Array:
    """Return factors: 0 with probability `rate`, and 1 / (1 - rate) otherwise."""
    return jnp.where(random.bernoulli(key, 1 - rate, shape), 1 / (1 - rate), 0.0)


def relaxed(key: jax.Array, rate: Any, shape: tuple[int, ...]) -> jax.Array:
    """Return factors between those of `hard`, mostly near one of them, that follow the rate."""
    log_odds = jnp.log1p(-rate) - jnp.log(rate)
    noise = jax.random.logistic(key, shape, jnp.result_type(rate, float))
    return jax.nn.sigmoid((log_odds + noise) / TEMPERATURE) / (1 - rate)


def entropy(rate: Any) -> jax.Array:
    """Return the entropy of one unit's mask in nats."""
    return -(jax.scipy.special.xlogy(rate, rate) + jax.scipy.special.xlog1py(1 - rate, -rate))


def check_rate(name: str, rate: Any) -> None:
    """Refuse a rate that is no probability below 1, or is learned without that bound.

    What JAX traces is not looked at.
    """
    if hyper.is_learned(rate):
        if rate.ceiling is None:
            raise ValueError(
                f"A learned {name} must stay below 1; got {rate}, without a ceiling. "
                f"Give it one: {name}=learn(0.1, ceiling=1.0)."
            )
    elif isinstance(rate, float | int | np.ndarray) and not np.all((rate >= 0) & (rate < 1)):
        raise ValueError(
            f"{name} must be a rate from 0 to below 1, or an array of them; got {rate}."
        )


@struct
class RowMasks:
    """A network whose own noise is another at every row.

    A row's noise comes from the key and from the row itself, so that it is the same alone and in
    company. In training, or without a key, it is the network inside.

    Parameters
    ----------
    network
        The network, which makes one function of a key.
    """

    network: Any

    @property
    def layout(self) -> tuple[tuple[str, str], ...]:
        """Where weights have their inputs."""
        return getattr(self.network, "layout", ())

    def init(self, key: jax.Array, x: jax.Array) -> Weights:
        return self.network.init(key, x)

    def apply(
        self, weights: Weights, x: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Any]:
        if weights.key is None or train:
            return self.network.apply(weights, x, train=train)

        def one(row: jax.Array, word: jax.Array) -> jax.Array:
            own = replace(weights, key=random.fold_in(weights.key, word))
            return self.network.apply(own, row[None])[0][0]

        return jax.vmap(one)(x, random.fingerprints(x)), weights.state
