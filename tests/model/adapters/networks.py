"""The same small network in every framework: dense, batch norm, tanh, dropout, dense."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from posterium import MLP, Functions, from_equinox, from_linen, from_nnx

RNG = np.random.default_rng(5)
X = np.tile(RNG.normal(size=(5, 3)).astype(np.float32), (2, 1))
"""Five rows twice."""
Y = np.sin(X[:, 0]) + 0.1 * RNG.normal(size=10)
KEY = jax.random.key(3)
MOMENTUM = 0.9


class LinenNet(nn.Module):
    """One flag for both switches, as most Linen modules have it."""

    outputs: int = 1

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Dense(4, name="first")(x)
        x = nn.BatchNorm(not train, momentum=MOMENTUM, name="norm")(x)
        x = nn.Dropout(0.5)(jnp.tanh(x), deterministic=not train)
        return nn.Dense(self.outputs, name="last")(x)


class NNXNet(nnx.Module):
    """Switches are attributes of the layers."""

    def __init__(self, rngs):
        self.first = nnx.Linear(3, 4, rngs=rngs)
        self.norm = nnx.BatchNorm(4, momentum=MOMENTUM, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.last = nnx.Linear(4, 1, rngs=rngs)

    def __call__(self, x):
        return self.last(self.drop(jnp.tanh(self.norm(self.first(x)))))


class NNXFlagged(NNXNet):
    """One flag for both switches, as in Linen."""

    def __call__(self, x, train):
        x = self.norm(self.first(x), use_running_average=not train)
        return self.last(self.drop(jnp.tanh(x), deterministic=not train))


class EquinoxNet(eqx.Module):
    """A network for one row, with a state and a key."""

    first: eqx.nn.Linear
    norm: eqx.nn.BatchNorm
    drop: eqx.nn.Dropout
    last: eqx.nn.Linear
    columns: jax.Array

    def __init__(self, key):
        one, two = jax.random.split(key)
        self.first, self.last = eqx.nn.Linear(3, 4, key=one), eqx.nn.Linear(4, 1, key=two)
        self.norm = eqx.nn.BatchNorm(4, "rows", mode="batch", momentum=MOMENTUM)
        self.drop = eqx.nn.Dropout(0.5)
        self.columns = jnp.arange(3)

    def __call__(self, x, state, key=None):
        x, state = self.norm(self.first(x[self.columns]), state)
        return self.last(self.drop(jnp.tanh(x), key=key)), state


def plain_linen():
    return nn.Sequential([nn.Dense(4), nn.tanh, nn.Dense(1)])


def plain_nnx(rngs):
    return nnx.Sequential(nnx.Linear(3, 4, rngs=rngs), nnx.tanh, nnx.Linear(4, 1, rngs=rngs))


def plain_equinox(key):
    return eqx.nn.MLP(3, 1, 4, 1, jnp.tanh, key=key)


def draw(key, x):
    kernel = jax.random.normal(key, (x.shape[1], 1))
    return {"layer": {"kernel": kernel, "bias": jnp.zeros(1)}, "columns": jnp.array([2, 0, 1])}


def forward(params, x):
    x = jnp.take(x, params["columns"], axis=1)
    return jnp.tanh(x @ params["layer"]["kernel"]) + params["layer"]["bias"][None, :]


@dataclass(frozen=True)
class Case:
    """A network; whether it has dropout and batch norm, and a path of its weights."""

    network: Any
    path: str
    full: bool = True


CASES = {
    "linen": Case(from_linen(LinenNet()), "first/kernel"),
    "nnx": Case(from_nnx(NNXNet), "first/kernel"),
    "nnx, flagged": Case(from_nnx(NNXFlagged), "last/bias"),
    "equinox": Case(from_equinox(EquinoxNet), "first/weight"),
    "linen, plain": Case(from_linen(plain_linen()), "layers_0/kernel", False),
    "nnx, plain": Case(from_nnx(plain_nnx), "layers/0/kernel", False),
    "equinox, plain": Case(from_equinox(plain_equinox), "layers/0/weight", False),
    "functions": Case(Functions(draw, forward), "layer/kernel", False),
    "MLP": Case(MLP(1, (4,), "tanh"), "layers/0/kernel", False),
}
FULL = [name for name, case in CASES.items() if case.full]
FRAMEWORKS = ["linen", "nnx", "equinox"]
