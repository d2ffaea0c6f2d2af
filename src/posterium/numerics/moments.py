r"""Means and variances of a network's outputs under independent Gaussian weights, layer by layer.

Every sum of a layer is taken for a Gaussian with independent units, as in probabilistic
back-propagation (Hernandez-Lobato and Adams 2015, equations 10 to 15). Exact for one affine layer.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jax.scipy.stats import norm

Moments = tuple[jax.Array, jax.Array]
"""Mean and variance of each entry."""


def relu(mean: jax.Array, variance: jax.Array) -> Moments:
    r"""Return mean and variance of max(u, 0) for Gaussian u, elementwise.

    With r = max(u, 0) the other tail is max(-u, 0), and u = r - max(-u, 0): both are computed for a
    mean at or below 0, where no digits cancel, and put together by Stein's identity,
    Cov(u, max(-u, 0)) = -v P(u < 0). A variance of 0 gives max(mean, 0) and 0.
    """
    spread = variance > 0
    variance = jnp.where(spread, variance, 1)
    sd = jnp.sqrt(variance)
    standard = mean / sd
    t = jnp.abs(standard)
    tail, density = ndtr(-t), norm.pdf(t)
    first = density - t * tail
    second = (1 + t**2) * tail - t * density
    own = second - first**2
    above = standard > 0
    out = sd * first + jnp.maximum(mean, 0)
    out_variance = variance * jnp.where(above, 1 - 2 * tail + own, own)
    certain = jnp.maximum(mean, 0), jnp.zeros_like(mean)
    return jnp.where(spread, out, certain[0]), jnp.where(spread, out_variance, certain[1])


def affine(inputs: Moments, mean: dict[str, Any], variance: dict[str, Any]) -> Moments:
    """Return mean and variance of the sums of a layer, each (n, out).

    Parameters
    ----------
    inputs
        Mean and variance of what enters, each (n, in).
    mean, variance
        Those of the weights: ``kernel`` (in, out), and ``bias`` (out,) where there is one.
    """
    x, spread = inputs
    kernel, width = mean["kernel"], variance["kernel"]
    out = x @ kernel
    out_variance = spread @ kernel**2 + (x**2 + spread) @ width
    if "bias" in mean:
        out = out + mean["bias"][None, :]
        out_variance = out_variance + variance["bias"][None, :]
    return out, out_variance


def propagate(mean: Any, variance: Any, x: jax.Array) -> Moments:
    """Return mean and variance of the outputs of a ReLU network at inputs x, each (n, k).

    Parameters
    ----------
    mean, variance
        Those of the weights, ``{"layers": [{"kernel": ..., "bias": ...}, ...]}`` each.
    x
        Inputs, (n, d).
    """
    *hidden, last = zip(mean["layers"], variance["layers"], strict=True)
    moments = x, jnp.zeros_like(x)
    for layer in hidden:
        moments = relu(*affine(moments, *layer))
    return affine(moments, *last)
