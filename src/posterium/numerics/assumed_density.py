r"""Assumed-density filtering: Gaussian and Gamma beliefs that take in one factor after another.

A belief q times a factor f is replaced by the belief of the same family with the moments of
q f / Z, which are derivatives of log Z for a Gaussian (Minka 2001), and ratios of Z at raised
shapes for a Gamma (Hernandez-Lobato and Adams 2015, equations 6 to 9).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import struct

LARGEST = 1e6
"""Largest variance of a cavity, in prior units, by which a prior factor is refined."""


@struct
class GammaPrecision:
    """A Gamma belief about a precision.

    Parameters
    ----------
    shape
        Its shape, above 1.
    rate
        Its rate; the mean precision is shape / rate.
    """

    shape: Any
    rate: Any

    def variance(self, raised: int = 0) -> jax.Array:
        """Return the mean of 1 / precision, with the shape raised by so much."""
        return self.rate / (self.shape - 1 + raised)

    def updated(self, log_z: Callable[[jax.Array], jax.Array]) -> "GammaPrecision":
        """Return the Gamma with the first two moments of this one times a factor.

        Parameters
        ----------
        log_z
            Log of the factor's normaliser where 1 / precision is a variance. What cannot be
            matched is left out: the belief then stays.
        """
        zero, one, two = (log_z(self.variance(raised)) for raised in range(3))
        mean = jnp.exp(one - zero) * self.shape / self.rate
        ratio = jnp.exp(two - one) * (self.shape + 1) / self.rate
        shape, rate = mean / (ratio - mean), 1 / (ratio - mean)
        good = jnp.isfinite(shape) & jnp.isfinite(rate) & (shape > 1) & (rate > 0)
        return GammaPrecision(jnp.where(good, shape, self.shape), jnp.where(good, rate, self.rate))


def moved(
    mean: jax.Array, variance: jax.Array, slope: jax.Array, slope_in_variance: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the moments of a Gaussian times a factor, elementwise, and which were taken.

    Parameters
    ----------
    mean, variance
        Of the Gaussian.
    slope, slope_in_variance
        Derivatives of log Z in its mean and in its variance.

    Returns
    -------
    mean, variance
        The new ones; where the variance would not be positive, both as they were.
    taken
        Where they are new.
    """
    new = mean + variance * slope
    new_variance = variance - variance**2 * (slope**2 - 2 * slope_in_variance)
    good = jnp.isfinite(new) & jnp.isfinite(new_variance) & (new_variance > 1e-100)
    return jnp.where(good, new, mean), jnp.where(good, new_variance, variance), good


def gaussian_log_z(residual: jax.Array, variance: jax.Array) -> jax.Array:
    """Return the log density in nats of N(0, variance) at a residual."""
    return -0.5 * (jnp.log(2 * jnp.pi * variance) + residual**2 / variance)


@struct
class PriorSites:
    """Factors N(w; 0, 1 / precision) of weights under a common Gamma precision, approximated.

    The approximation of each is a Gaussian in its weight times a Gamma in the precision, unscaled,
    in natural coordinates; refined by expectation propagation.

    Parameters
    ----------
    belief
        The Gamma belief about the precision.
    pull
        Precision times mean of each Gaussian, (p,).
    precision
        Precision of each Gaussian, (p,).
    shape, rate
        What each adds to shape and rate of the belief, (p,).
    """

    belief: GammaPrecision
    pull: Any
    precision: Any
    shape: Any
    rate: Any

    @classmethod
    def of(cls, belief: GammaPrecision, mean: jax.Array) -> "PriorSites":
        """Return the factors before they are refined: around starting means (p,)."""
        zero = jnp.zeros_like(mean)
        precision = 1 / belief.variance()
        return cls(belief, mean * precision, zero + precision, zero, zero)

    def refined(
        self, mean: jax.Array, variance: jax.Array
    ) -> tuple["PriorSites", jax.Array, jax.Array]:
        """Refine one factor after another; return them with means and variances of the weights."""

        def one(belief: GammaPrecision, each: tuple[jax.Array, ...]) -> tuple[Any, Any]:
            found = _refined(belief, *each)
            return found[0], found[1:]

        sites = self.pull, self.precision, self.shape, self.rate
        belief, found = jax.lax.scan(one, self.belief, (mean, variance, *sites))
        return PriorSites(belief, *found[2:]), found[0], found[1]


def _refined(
    belief: GammaPrecision,
    mean: jax.Array,
    variance: jax.Array,
    pull: jax.Array,
    precision: jax.Array,
    shape: jax.Array,
    rate: jax.Array,
) -> tuple[Any, ...]:
    """Refine the factor of one weight: take it out of the beliefs, match it, put it back."""
    out_precision, out_pull = 1 / variance - precision, mean / variance - pull
    cavity = GammaPrecision(belief.shape - shape, belief.rate - rate)
    sound = (out_precision > 1 / LARGEST) & (cavity.rate > 0) & (cavity.shape > 1)
    out_precision = jnp.where(sound, out_precision, 1)
    cavity = jax.tree.map(lambda a: jnp.where(sound, a, 2), cavity)
    out_mean, out_variance = out_pull / out_precision, 1 / out_precision

    total = out_variance + cavity.variance()
    slope = -out_mean / total
    curved = 0.5 * (slope**2 - 1 / total)
    new, new_variance, good = moved(out_mean, out_variance, slope, curved)
    matched = cavity.updated(lambda v: gaussian_log_z(out_mean, out_variance + v))

    changed = (
        matched, new, new_variance,
        new / new_variance - out_pull, 1 / new_variance - out_precision,
        matched.shape - cavity.shape, matched.rate - cavity.rate,
    )  # fmt: skip
    before = belief, mean, variance, pull, precision, shape, rate
    return jax.tree.map(lambda a, b: jnp.where(sound & good, a, b), changed, before)
