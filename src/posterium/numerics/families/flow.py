r"""A normalising flow over some of the weights; the others are independent Gaussians.

.. math:: w = m + \sigma \odot T(z), \qquad
          \log q(w) = \log N(z; 0, I) - \log |\det T'(z)| - \sum_i \log \sigma_i

T is a chain of affine couplings (Dinh, Sohl-Dickstein and Bengio 2017), each of which moves half of
its weights by what a small network makes of the other half, so that T and its inverse are exact and
of one cost. Flows as variational distributions: Rezende and Mohamed 2015.
"""

from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import static, struct
from posterium.numerics import random
from posterium.numerics.divergence import gaussian_log_prob
from posterium.numerics.families.base import (
    Family,
    Shapes,
    floored,
    log_positive,
    positive,
    raw_of,
)

MOST_LOG_SCALE = 2.0
"""Largest log scale of one coupling, approached as a hyperbolic tangent."""


@struct
class Coupling:
    """The network of one coupling: a hidden layer, then log scales and shifts.

    Parameters
    ----------
    inward, hidden
        Weights (a, h) and biases (h,) of the hidden layer.
    outward, out
        Weights (h, 2 b) and biases (2 b,) of the outputs.
    """

    inward: jax.Array
    hidden: jax.Array
    outward: jax.Array
    out: jax.Array

    def __call__(self, kept: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the log scales and shifts (b,) that the weights kept (a,) give."""
        hidden = jnp.tanh(kept @ self.inward + self.hidden)
        raw, shift = jnp.split(hidden @ self.outward + self.out, 2)
        return MOST_LOG_SCALE * jnp.tanh(raw / MOST_LOG_SCALE), shift


@struct
class FlowCoordinates:
    """Coordinates of a `Flow`.

    Parameters
    ----------
    mean, scale
        Means, and coordinates of the standard deviations, of all weights (p,) before the flow.
    couplings
        The networks, in the order in which unit normals go through.
    spans
        First entry and the one after the last of each array in the flow.
    """

    mean: jax.Array
    scale: jax.Array
    couplings: tuple[Coupling, ...]
    spans: tuple[tuple[int, int], ...] = static()

    def places(self) -> np.ndarray:
        """Return where the weights of the flow stand in the vector of all, (q,)."""
        return np.concatenate([np.arange(*span) for span in self.spans])


@struct
class Flow(Family):
    """Affine couplings over the weights named, around independent Gaussians for all.

    It starts as the Gaussian. A draw and a density of q weights in the flow take about
    3 q hidden layers multiplications each.

    Parameters
    ----------
    layers
        Couplings. Which half a coupling moves goes by the digits of a weight's number among the
        q, so that after 2 log2(q) of them every weight has moved with every other.
    hidden
        Hidden units of each coupling's network.
    on
        Globs over the paths of the arrays in the flow.
    """

    layers: int = static(default=6)
    hidden: int = static(default=32)
    on: tuple[str, ...] = static(default=("*",))

    gaussian: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.layers < 1 or self.hidden < 1 or isinstance(self.on, str):
            raise ValueError(
                "Flow expects at least one layer and one hidden unit, and a tuple of globs as "
                f"`on`; got layers={self.layers}, hidden={self.hidden} and on={self.on!r}."
            )

    def start(self, mean: jax.Array, sd: jax.Array, shapes: Shapes) -> FlowCoordinates:
        spans = self._spans(shapes)
        count = sum(end - first for first, end in spans)
        keys = jax.random.split(jax.random.key(0), self.layers)
        couplings = (self._coupling(k, i, count, mean.dtype) for i, k in enumerate(keys))
        scale = jnp.full(mean.size, raw_of(sd))
        return FlowCoordinates(mean, scale, tuple(couplings), spans)

    def _spans(self, shapes: Shapes) -> tuple[tuple[int, int], ...]:
        """Return where the arrays that `on` names begin and end."""
        ends = np.cumsum([0, *(np.prod(shape, dtype=int) for _, shape in shapes)]).tolist()
        named = [any(fnmatchcase(path, glob) for glob in self.on) for path, _ in shapes]
        spans = [span for span, is_on in zip(pairwise(ends), named, strict=True) if is_on]
        if sum(end - first for first, end in spans) < 2:
            raise ValueError(
                "Flow expects `on` to name arrays of at least two weights together; got "
                f"{self.on!r} where the paths are {', '.join(path for path, _ in shapes)}."
            )
        return tuple(spans)

    def _coupling(self, key: jax.Array, layer: int, count: int, dtype: Any) -> Coupling:
        """Return a coupling that moves nothing: its outputs are 0, its hidden units differ."""
        kept, moved = (len(side) for side in _sides(layer, count))
        inward = jax.random.normal(key, (kept, self.hidden), dtype) / np.sqrt(kept)
        outward = jnp.zeros((self.hidden, 2 * moved), dtype)
        return Coupling(inward.astype(dtype), jnp.zeros(self.hidden, dtype), outward, outward[0])

    def noise(self, key: jax.Array, raw: FlowCoordinates, draws: int) -> jax.Array:
        return random.normal(key, (draws, raw.mean.size), raw.mean.dtype)

    def draw(self, raw: FlowCoordinates, z: jax.Array) -> jax.Array:
        places = raw.places()
        moved = z.at[places].set(_forward(raw, z[places])[0])
        return raw.mean + positive(raw.scale) * moved

    def log_prob(self, raw: FlowCoordinates, w: jax.Array) -> jax.Array:
        places = raw.places()
        offset = (w - raw.mean) / floored(log_positive(raw.scale))
        inner, log_det = _inverse(raw, offset[places])
        return self._density(raw, offset.at[places].set(inner), log_det)

    def log_prob_of(self, raw: FlowCoordinates, z: jax.Array) -> jax.Array:
        return self._density(raw, z, _forward(raw, z[raw.places()])[1])

    def mean(self, raw: FlowCoordinates) -> jax.Array:
        """Return the weights that the middle of the unit normals is mapped to: no mean, (p,)."""
        return self.draw(raw, jnp.zeros_like(raw.mean))

    def _density(self, raw: FlowCoordinates, z: jax.Array, log_det: jax.Array) -> jax.Array:
        """Return the log density of a draw by its noise and the log determinant of T'."""
        return gaussian_log_prob(z, 2 * (log_det + jnp.sum(log_positive(raw.scale))))


def _sides(layer: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which weights a coupling keeps and which it moves.

    Layers go through the binary digits of a weight's number, two a digit: both halves have a turn.
    """
    digits = max(1, (count - 1).bit_length())
    digit = np.arange(count) >> (layer // 2 % digits) & 1
    return np.flatnonzero(digit == layer % 2), np.flatnonzero(digit != layer % 2)


def _forward(raw: FlowCoordinates, z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return T(z) and log |det T'(z)| for unit normals z (q,)."""
    log_det = jnp.zeros((), z.dtype)
    for layer, coupling in enumerate(raw.couplings):
        kept, moved = _sides(layer, z.size)
        log_scale, shift = coupling(z[kept])
        z = z.at[moved].set(z[moved] * jnp.exp(log_scale) + shift)
        log_det += jnp.sum(log_scale)
    return z, log_det


def _inverse(raw: FlowCoordinates, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the z with T(z) = y, and log |det T'(z)|."""
    log_det = jnp.zeros((), y.dtype)
    for layer, coupling in reversed(list(enumerate(raw.couplings))):
        kept, moved = _sides(layer, y.size)
        log_scale, shift = coupling(y[kept])
        y = y.at[moved].set((y[moved] - shift) * jnp.exp(-log_scale))
        log_det += jnp.sum(log_scale)
    return y, log_det
