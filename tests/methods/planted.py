"""Densities with a known trap, all in one record so that they share one compiled sampler."""

from typing import Any

import jax
import jax.numpy as jnp

from posterium import Functions, Gaussian, Model, as_data
from posterium._struct import struct

SIZE = 6
KINDS = ("normal", "two modes", "funnel", "nan region", "islands")


@struct
class Planted:
    """A density over one vector of six weights; `kind` is its number in KINDS."""

    kind: Any

    def log_prob(self, params):
        w = params["w"]
        normal = -0.5 * jnp.sum(w**2)
        modes = jnp.logaddexp(-0.5 * (w[0] - 12) ** 2, -0.5 * (w[0] + 12) ** 2)
        neck = w[1:] * jnp.exp(-w[0] / 2)
        funnel = -0.5 * (w[0] / 3) ** 2 - 0.5 * jnp.sum(neck**2) - 0.5 * w[0] * (SIZE - 1)
        hole = jnp.where(w[0] > 0.5, jnp.nan, normal)
        island = jnp.where(jnp.all(w == jnp.round(w)), 0.0, jnp.nan)
        two = modes - 0.5 * jnp.sum(w[1:] ** 2)
        return jnp.stack([normal, two, funnel, hole, island])[self.kind]

    def sample(self, key, like):
        w = jax.random.normal(key, (SIZE,))
        apart = w.at[0].set(12 * jnp.sign(w[0]) + w[1])
        starts = jnp.stack([w, apart, w, w, jnp.round(w)])
        return {"w": starts[self.kind]}


def first(key, x):
    return {"w": jnp.zeros(SIZE, x.dtype)}


def forward(params, x):
    return x @ params["w"][:, None]


def planted(kind: str):
    """Return model and data: the likelihood says next to nothing, and functions are weights."""
    import numpy as np

    x = np.eye(SIZE)
    model = Model(Functions(first, forward), Planted(KINDS.index(kind)), Gaussian(1e6))
    return model, as_data(x, np.zeros(SIZE))
