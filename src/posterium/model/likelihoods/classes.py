"""Classes without an order: two from one output, or any number from one logit each."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from posterium._struct import struct
from posterium.model.likelihoods.base import diagonal


@struct
class Bernoulli:
    """Two classes from one output: P(y = 1) = sigmoid(f); y holds 0 and 1."""

    task: ClassVar[str] = "classification"
    linear_mean: ClassVar[bool] = False

    def outputs(self, targets: int) -> int:
        if targets != 2:
            raise ValueError(f"Bernoulli expects 2 classes; got {targets}. Use Categorical().")
        return 1

    def log_prob(self, f: jax.Array, y: jax.Array) -> jax.Array:
        sign = 2 * y.astype(f.dtype) - 1
        return jax.nn.log_sigmoid(sign * f[..., 0])

    def log_probs(self, f: jax.Array) -> jax.Array:
        """Return the log probabilities of both classes, (n, 2), in nats."""
        return jax.nn.log_sigmoid(jnp.concatenate([-f, f], axis=-1))

    def probs(self, f: jax.Array) -> jax.Array:
        """Return the probabilities of both classes, (n, 2)."""
        return jax.nn.sigmoid(jnp.concatenate([-f, f], axis=-1))

    def fisher(self, f: jax.Array) -> jax.Array:
        return diagonal(jax.nn.sigmoid(f) * jax.nn.sigmoid(-f))

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        return jax.random.bernoulli(key, jax.nn.sigmoid(f[..., 0])).astype(jnp.int32)


@struct
class Categorical:
    """Classes from one logit each: P(y = c) = softmax(f)_c; y holds 0 to c - 1."""

    task: ClassVar[str] = "classification"
    linear_mean: ClassVar[bool] = False

    def outputs(self, targets: int) -> int:
        return targets

    def log_prob(self, f: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.take_along_axis(self.log_probs(f), y[..., None], axis=-1)[..., 0]

    def log_probs(self, f: jax.Array) -> jax.Array:
        """Return the log probabilities of all classes, (n, c), in nats."""
        return jax.nn.log_softmax(f, axis=-1)

    def probs(self, f: jax.Array) -> jax.Array:
        """Return the probabilities of all classes, (n, c)."""
        return jax.nn.softmax(f, axis=-1)

    def fisher(self, f: jax.Array) -> jax.Array:
        p = jax.nn.softmax(f, axis=-1)
        return diagonal(p) - p[..., :, None] * p[..., None, :]

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        return jax.random.categorical(key, f).astype(jnp.int32)
