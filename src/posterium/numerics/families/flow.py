r"""A normalising flow over some of the weights; the others are independent Gaussians.

.. math:: w = m + \sigma \odot T(z), \qquad
          \log q(w) = \log N(z; 0, I) - \log |\det T'(z)| - \sum_i \log \sigma_i

T is a chain of affine couplings (Dinh, Sohl-Dickstein and Bengio 2017), each of which moves half of
its weights by what a small network makes of the other half, so that T and its inverse are exact and
of one cost. Flows as variational distributions: Rezende and Mohamed 2015.
"""

import math
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

    It goes from all q weights of the flow to all, of which a mask lets through half on each side.

    Parameters
    ----------
    inward, hidden
        Weights (q, h) and biases (h,) of the hidden layer.
    outward, out
        Weights (h, 2 q) and biases (2 q,) of the outputs.
    """

    inward: jax.Array
    hidden: jax.Array
    outward: jax.Array
    out: jax.Array

    def __call__(self, kept: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the log scales and shifts (q,) that the weights kept give, others being 0."""
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
        The networks, one behind another along a leading axis as unit normals go through.
    spans
        First entry and the one after the last of each array in the flow.
    """

    mean: jax.Array
    scale: jax.Array
    couplings: Coupling
    spans: tuple[tuple[int, int], ...] = static()

    def places(self) -> np.ndarray:
        """Return where the weights of the flow stand in the vector of all, (q,)."""
        return np.concatenate([np.arange(*span) for span in self.spans])


@struct
class Flow(Family):
    """Affine couplings over the weights named, around independent Gaussians for all.

    It starts as the Gaussian. A draw and a density of q weights in the flow take about
    3 q hidden multiplications a layer each, for which a layer has as many coordinates.

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
        return FlowCoordinates(
            mean, jnp.full(mean.size, raw_of(sd)), self._couplings(count, mean.dtype), spans
        )

    def _couplings(self, count: int, dtype: Any) -> Coupling:
        """Return couplings that move nothing: outputs are 0, but hidden units differ."""

        def zeros(*shape: int) -> jax.Array:
            return jnp.zeros((self.layers, *shape), dtype)

        shape = self.layers, count, self.hidden
        inward = jax.random.normal(jax.random.key(0), shape, dtype) / math.sqrt(count / 2)
        return Coupling(inward, zeros(self.hidden), zeros(self.hidden, 2 * count), zeros(2 * count))

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

    def noise(self, key: jax.Array, raw: FlowCoordinates, draws: int) -> jax.Array:
        return random.normal(key, (draws, raw.mean.size), raw.mean.dtype)

    def draw(self, raw: FlowCoordinates, z: jax.Array) -> jax.Array:
        places = raw.places()
        moved = z.at[places].set(_forward(raw.couplings, z[places])[0])
        return raw.mean + positive(raw.scale) * moved

    def log_prob(self, raw: FlowCoordinates, w: jax.Array) -> jax.Array:
        places = raw.places()
        offset = (w - raw.mean) / floored(log_positive(raw.scale))
        inner, log_det = _inverse(raw.couplings, offset[places])
        return self._density(raw, offset.at[places].set(inner), log_det)

    def log_prob_of(self, raw: FlowCoordinates, z: jax.Array) -> jax.Array:
        return self._density(raw, z, _forward(raw.couplings, z[raw.places()])[1])

    def mean(self, raw: FlowCoordinates) -> jax.Array:
        """Return the weights that the middle of the unit normals is mapped to: no mean, (p,)."""
        return self.draw(raw, jnp.zeros_like(raw.mean))

    def _density(self, raw: FlowCoordinates, z: jax.Array, log_det: jax.Array) -> jax.Array:
        """Return the log density of a draw by its noise and the log determinant of T'."""
        return gaussian_log_prob(z, 2 * (log_det + jnp.sum(log_positive(raw.scale))))


def _masks(couplings: Coupling) -> jax.Array:
    """Return which weights each coupling keeps, not moves: (layers, q).

    Layers go through the binary digits of a weight's number, two a digit: both halves have a turn.
    """
    layers, count = couplings.inward.shape[:2]
    layer, number = np.arange(layers)[:, None], np.arange(count)[None]
    digit = number >> (layer // 2 % (count - 1).bit_length()) & 1
    return jnp.asarray(digit == layer % 2)


def _forward(couplings: Coupling, z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return T(z) and log |det T'(z)| for unit normals z (q,)."""

    def step(z: jax.Array, layer: tuple[Coupling, jax.Array]) -> tuple[jax.Array, jax.Array]:
        coupling, keeps = layer
        log_scale, shift = coupling(jnp.where(keeps, z, 0))
        moved = z * jnp.exp(log_scale) + shift
        return jnp.where(keeps, z, moved), jnp.sum(jnp.where(keeps, 0, log_scale))

    y, log_dets = jax.lax.scan(step, z, (couplings, _masks(couplings)))
    return y, jnp.sum(log_dets)


def _inverse(couplings: Coupling, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the z with T(z) = y, and log |det T'(z)|."""

    def step(y: jax.Array, layer: tuple[Coupling, jax.Array]) -> tuple[jax.Array, jax.Array]:
        coupling, keeps = layer
        log_scale, shift = coupling(jnp.where(keeps, y, 0))
        moved = (y - shift) * jnp.exp(-log_scale)
        return jnp.where(keeps, y, moved), jnp.sum(jnp.where(keeps, 0, log_scale))

    layers = couplings, _masks(couplings)
    z, log_dets = jax.lax.scan(step, y, layers, reverse=True)
    return z, jnp.sum(log_dets)
