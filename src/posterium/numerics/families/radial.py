r"""The radial family: a direction that is uniform, at a distance that does not grow with p.

.. math:: w = m + \sigma \odot z, \qquad z = r \, \epsilon / \|\epsilon\|, \qquad
          r \sim |N(0, 1)|, \quad \epsilon \sim N(0, I)

One radius an array of weights, so that a kernel and its bias have one each (Farquhar, Osborne and
Gal 2020). A Gaussian's draws over D weights all lie at a distance of about sqrt(D) sd from the
mean; here they are most probable at it.
"""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln

from posterium._struct import struct
from posterium.numerics import random
from posterium.numerics.families.base import (
    Family,
    Shapes,
    floored,
    log_positive,
    positive,
    raw_of,
)

EULER = float(np.euler_gamma)
MEAN_LOG_RADIUS = -0.5 * (EULER + math.log(2))
"""The mean of log |r| for a unit normal r."""


@struct
class Radial(Family):
    """A radial distribution for every array of weights, independent of the others.

    Weights of an array are uncorrelated, each of standard deviation sigma / sqrt(D), but not
    independent. The density is infinite at the mean of an array of two weights or more. A draw
    takes about 4 p multiplications, a density 3 p and a logarithm a weight.
    """

    gaussian: ClassVar[bool] = False

    def start(self, mean: jax.Array, sd: jax.Array, shapes: Shapes) -> dict[str, Any]:
        """Return coordinates of uncorrelated weights: sigma is sd sqrt(D), so that `sd` is met."""
        sizes = [math.prod(shape) for _, shape in shapes]
        return {"mean": mean, "scale": tuple(jnp.full(n, raw_of(sd * n**0.5)) for n in sizes)}

    def noise(self, key: jax.Array, raw: Any, draws: int) -> jax.Array:
        """Return the offsets z of some draws in units of sigma, (s, p)."""
        mean, sizes = raw["mean"], [scale.size for scale in raw["scale"]]
        key, radius_key = jax.random.split(key)
        radii = random.normal(radius_key, (draws, len(sizes)), mean.dtype)
        rays = jnp.split(random.normal(key, (draws, mean.size), mean.dtype), _ends(raw), axis=1)
        unit = [ray / _length(ray)[:, None] for ray in rays]
        return jnp.concatenate([r[:, None] * u for r, u in zip(radii.T, unit, strict=True)], axis=1)

    def draw(self, raw: Any, z: jax.Array) -> jax.Array:
        return raw["mean"] + positive(_scale(raw)) * z

    def log_prob(self, raw: Any, w: jax.Array) -> jax.Array:
        return self.log_prob_of(raw, (w - raw["mean"]) / floored(log_positive(_scale(raw))))

    def log_prob_of(self, raw: Any, z: jax.Array) -> jax.Array:
        own = sum(map(_log_density, jnp.split(z, _ends(raw))))
        return own - jnp.sum(log_positive(_scale(raw)))

    def mean(self, raw: Any) -> jax.Array:
        return raw["mean"]

    def variance(self, raw: Any) -> jax.Array:
        """Return the variance of every weight, sigma^2 / D, (p,)."""
        return jnp.concatenate([positive(scale) ** 2 / scale.size for scale in raw["scale"]])

    def entropy(self, raw: Any) -> jax.Array:
        """Return the entropy in nats."""
        own = sum(0.5 - _log_norm(n) + (n - 1) * MEAN_LOG_RADIUS for n in map(len, raw["scale"]))
        return own + jnp.sum(log_positive(_scale(raw)))


def _scale(raw: Any) -> jax.Array:
    """Return the coordinates of sigma as one vector, (p,)."""
    return jnp.concatenate(raw["scale"])


def _ends(raw: Any) -> list[int]:
    """Return where every array but the last one ends in the vector of weights."""
    return np.cumsum([scale.size for scale in raw["scale"]])[:-1].tolist()


def _length(rays: jax.Array) -> jax.Array:
    """Return the lengths of rays (s, D); above 0, since a lone normal may be exactly 0."""
    return jnp.maximum(jnp.linalg.norm(rays, axis=1), jnp.finfo(rays.dtype).tiny)


def _log_density(z: jax.Array) -> jax.Array:
    """Return the log density of the offset z (D,) of one array, in units of sigma.

    It is that of the radius, over the area of the sphere with that radius.
    """
    square = jnp.maximum(jnp.sum(z**2), jnp.finfo(z.dtype).tiny)
    return _log_norm(z.size) - 0.5 * square - 0.5 * (z.size - 1) * jnp.log(square)


def _log_norm(count: int) -> float:
    """Return the log of 2 N(0; 0, 1) over the area of the unit sphere in D dimensions."""
    area = math.log(2) + 0.5 * count * math.log(math.pi) - float(gammaln(0.5 * count))
    return 0.5 * math.log(2 / math.pi) - area
