"""Covariances of some weights, the others of which do not vary."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from posterium._struct import static, struct
from posterium.numerics.covariances.base import Covariance


@struct
class Embedded(Covariance):
    """A covariance over some of the weights, with zeros for all others: it is singular.

    Parameters
    ----------
    inner
        The covariance of those that vary, (q, q).
    places
        Their places in the vector of all weights, (q,).
    size
        Number p of all weights.
    """

    inner: Covariance
    places: jax.Array
    size: int = static()

    title: ClassVar[str] = "singular"

    def sqrt(self, z: jax.Array) -> jax.Array:
        return self._spread(self.inner.sqrt(z[self.places]))

    def variance(self) -> jax.Array:
        return self._spread(self.inner.variance())

    def quadratic(self, jacobian: jax.Array) -> jax.Array:
        return self.inner.quadratic(jacobian[:, self.places])

    def log_det(self) -> jax.Array:
        return jnp.full((), -jnp.inf)

    def dense(self) -> jax.Array:
        inner = jnp.asarray(self.inner.dense())
        at = self.places[:, None], self.places[None, :]
        return jnp.zeros((self.size, self.size), inner.dtype).at[at].set(inner)

    def _spread(self, values: jax.Array) -> jax.Array:
        values = jnp.asarray(values)
        return jnp.zeros(self.size, values.dtype).at[self.places].set(values)
