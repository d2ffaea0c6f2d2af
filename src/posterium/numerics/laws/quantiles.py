"""Quantiles at some levels with exponential tails; at one, asymmetric Laplace distributions."""

from typing import ClassVar

import numpy as np

from posterium.numerics.laws.base import Array, ContinuousLaw
from posterium.numerics.laws.nodes import broken

TAIL = 36.0
"""Multiples of a tail's length beyond which 2e-16 of it is left."""


class QuantilesLaw(ContinuousLaw):
    """Quantiles, scale and levels, a part each; a wide law.

    The probability between two neighbours is spread evenly. Below the lowest quantile it falls off
    exponentially over scale / (1 - level), above the highest over scale / level. With one part
    this is the asymmetric Laplace distribution.
    """

    positive: ClassVar[tuple[int, ...]] = (1, 2)
    wide: ClassVar[bool] = True

    def log_density(self, y: Array, *parameters: Array) -> Array:
        (first, low, p), (last, high, r) = _tails(parameters)
        at, _, level = parameters
        below = np.log(p / low) + np.minimum(y - first, 0) / low
        above = np.log(r / high) - np.maximum(y - last, 0) / high
        found = np.where(y < first, below, above)
        with np.errstate(divide="ignore"):
            inner = np.log(np.diff(level) / np.diff(at))
        for part in range(at.shape[-1] - 1):
            inside = (y >= at[..., part]) & (y < at[..., part + 1])
            found = np.where(inside, inner[..., part], found)
        return found

    def cdf(self, y: Array, *parameters: Array) -> Array:
        (first, low, p), (last, high, r) = _tails(parameters)
        below = p * np.exp(np.minimum(y - first, 0) / low)
        above = -r * np.expm1(-np.maximum(y - last, 0) / high)
        return below + (np.diff(parameters[2]) * _passed(y, parameters[0])).sum(axis=-1) + above

    def survival(self, y: Array, *parameters: Array) -> Array:
        (first, low, p), (last, high, r) = _tails(parameters)
        below = -p * np.expm1(np.minimum(y - first, 0) / low)
        above = r * np.exp(-np.maximum(y - last, 0) / high)
        left = 1 - _passed(y, parameters[0])
        return below + (np.diff(parameters[2]) * left).sum(axis=-1) + above

    def mean(self, *parameters: Array) -> Array:
        (first, low, p), (last, high, r) = _tails(parameters)
        inner = (np.diff(parameters[2]) * _middles(parameters[0])).sum(axis=-1)
        return p * (first - low) + inner + r * (last + high)

    def variance(self, *parameters: Array) -> Array:
        (first, low, p), (last, high, r) = _tails(parameters)
        at, _, level = parameters
        mean = self.mean(*parameters)
        outer = p * ((first - low - mean) ** 2 + low**2) + r * ((last + high - mean) ** 2 + high**2)
        inner = (_middles(at) - mean[..., None]) ** 2 + np.diff(at) ** 2 / 12
        return outer + (np.diff(level) * inner).sum(axis=-1)

    def quantile(self, q: float | Array, *parameters: Array) -> Array:
        (first, low, p), (_, high, r) = _tails(parameters)
        at, _, level = parameters
        q = np.asarray(q)
        share = np.clip((q[..., None] - level[..., :-1]) / np.diff(level), 0, 1)
        inner = first + (share * np.diff(at)).sum(axis=-1)
        below, above = np.minimum(q / p, 1), np.minimum((1 - q) / r, 1)
        return inner + low * np.log(below) - high * np.log(above)

    def distance(self, y: Array, *parameters: Array) -> Array:
        (first, low, p), (last, high, r) = _tails(parameters)
        at, _, level = parameters
        away = np.abs(np.asarray(y)[..., None] - _middles(at))
        length = np.diff(at)
        inside = (0.25 * length**2 + away**2) / np.where(length > 0, length, 1)
        inner = np.where(away < 0.5 * length, inside, away)
        outer = p * _beyond(y - first, low) + r * _beyond(last - y, high)
        return outer + (np.diff(level) * inner).sum(axis=-1)

    def width(self, *parameters: Array) -> Array:
        return parameters[1]

    def nodes(self, *parameters: Array) -> tuple[Array, Array]:
        (_, low, _), (_, high, _) = _tails(parameters)
        near = 0.5 * float(min(low.min(), high.min()))
        kinks = np.unique(parameters[0])
        return broken(kinks, near, TAIL * float(low.max()), TAIL * float(high.max()))

    def sample(self, generator: np.random.Generator, *parameters: Array) -> Array:
        return self.quantile(1 - generator.random(parameters[0].shape[:-1]), *parameters)

    def affine(self, shift: Array, scale: Array, *parameters: Array) -> tuple[Array, ...]:
        at, own, level = parameters
        at, own = shift + scale * at, np.abs(scale) * own
        flip = np.broadcast_to(scale < 0, at.shape)
        return (
            np.where(flip, at[..., ::-1], at), own, np.where(flip, 1 - level[..., ::-1], level),
        )  # fmt: skip


def _tails(parameters: tuple[Array, ...]) -> tuple[tuple[Array, Array, Array], ...]:
    """Return quantile, length and probability of the lower and of the upper tail."""
    at, scale, level = parameters
    below, above = level[..., 0], 1 - level[..., -1]
    lower = at[..., 0], scale[..., 0] / (1 - below), below
    return lower, (at[..., -1], scale[..., 0] / (1 - above), above)


def _middles(at: Array) -> Array:
    """Return the middle between every two neighbouring quantiles."""
    return 0.5 * (at[..., :-1] + at[..., 1:])


def _passed(y: Array, at: Array) -> Array:
    """Return the share of each stretch between neighbouring quantiles that lies below y."""
    length = np.diff(at)
    up = np.asarray(y)[..., None] - at[..., :-1]
    return np.clip(up / np.where(length > 0, length, 1), 0, 1) * (length > 0) + (length == 0) * (
        up >= 0
    )


def _beyond(up: Array, length: Array) -> Array:
    """Return E|up + E| for an exponential E of this mean length: the distance to a tail."""
    near = np.minimum(up, 0)
    return np.where(up >= 0, up + length, -near - length + 2 * length * np.exp(near / length))
