"""Models that are linear in their weights: fixed features of the inputs.

`exact` solves these in closed form; every other method takes them too, and is tested on them.
"""

import math
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from posterium._struct import static, struct
from posterium.model.hyper import value
from posterium.model.weights import Weights


class Features(Protocol):
    """A basis: `draw(key, x)` its fixed random numbers, `evaluate(numbers, x) -> (n, m)`."""

    def draw(self, key: jax.Array, x: jax.Array) -> Any:
        """Return the random numbers of the basis, or None."""
        ...

    def evaluate(self, numbers: Any, x: jax.Array) -> jax.Array:
        """Return the features, (n, m)."""
        ...


def _float(like: jax.Array) -> Any:
    """Return the dtype of weights on such inputs: their own, or the default for integers."""
    return like.dtype if jnp.issubdtype(like.dtype, jnp.floating) else jnp.zeros(()).dtype


@struct
class Affine:
    """The inputs themselves behind a column of ones: m = 1 + d."""

    def draw(self, key: jax.Array, x: jax.Array) -> None:
        return None

    def evaluate(self, numbers: Any, x: jax.Array) -> jax.Array:
        return jnp.concatenate([jnp.ones_like(x[:, :1]), x], axis=1)


@struct
class Polynomial:
    """A column of ones and the powers 1 to `degree` of every input: m = 1 + degree * d."""

    degree: int = static(default=2)

    def draw(self, key: jax.Array, x: jax.Array) -> None:
        return None

    def evaluate(self, numbers: Any, x: jax.Array) -> jax.Array:
        x = x.astype(_float(x))  # powers of integers would overflow
        powers = [x**p for p in range(1, self.degree + 1)]
        return jnp.concatenate([jnp.ones_like(x[:, :1]), *powers], axis=1)


@struct
class Fourier:
    """Random cosines, cos(scale * w_j x + u_j) / sqrt(m), w_j ~ N(0, 1), u_j ~ U(-pi, pi).

    With a Gaussian prior on the coefficients this approaches a Gaussian process with the
    squared-exponential kernel of length scale 1 / scale (Rahimi and Recht 2007).

    Parameters
    ----------
    count
        Number of features m.
    scale
        Frequency sd, in one over input units; `learn(...)` marks it as free for evidence.
    """

    count: int = static(default=300)
    scale: Any = 1.0

    def draw(self, key: jax.Array, x: jax.Array) -> dict[str, jax.Array]:
        frequency, phase = jax.random.split(key)
        return {
            "frequency": jax.random.normal(frequency, (x.shape[1], self.count), _float(x)),
            "phase": jax.random.uniform(phase, (self.count,), _float(x), -math.pi, math.pi),
        }

    def evaluate(self, numbers: Any, x: jax.Array) -> jax.Array:
        angle = value(self.scale) * (x @ numbers["frequency"]) + numbers["phase"][None, :]
        return jnp.cos(angle) / math.sqrt(self.count)


@struct
class Linear:
    """A network that is linear in its weights: f = features(x) @ coefficients.

    Parameters
    ----------
    features
        `Affine()`, `Polynomial(degree)` or `Fourier(count, scale)`.
    outputs
        Number of outputs k. Coefficients have shape (m, k) and start at 0.
    """

    features: Any = Affine()
    outputs: int = static(default=1)

    def init(self, key: jax.Array, x: jax.Array) -> Weights:
        numbers = self.features.draw(key, x)
        basis = jax.eval_shape(self.features.evaluate, numbers, x)
        start = jnp.zeros((basis.shape[1], self.outputs), _float(basis))
        return Weights({"coefficients": start}, numbers)

    def design(self, weights: Weights, x: jax.Array) -> jax.Array:
        """Return the feature matrix, (n, m)."""
        return self.features.evaluate(weights.state, x)

    def apply(
        self, weights: Weights, x: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Any]:
        return self.design(weights, x) @ weights.params["coefficients"], weights.state
