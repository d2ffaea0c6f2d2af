"""Nodes that integrate F (1 - F) of a mixture over the line: few, where it is smooth or not."""

import numpy as np

from posterium.numerics.laws.base import Array

STEP = 0.2
"""Step of the trapezoidal rule in lengths over which the integrand is smooth, for about 1e-10."""
LEGENDRE, SHARES = np.polynomial.legendre.leggauss(12)


def smooth(location: Array, reach: Array, far: Array) -> tuple[Array, Array]:
    """Return nodes at sinh of even steps about the middle of distributions, and weights.

    The trapezoidal rule in the stretched coordinate converges exponentially, as the integrand is
    analytic and falls off on both sides (the sinh-trapezoidal rule).

    Parameters
    ----------
    location, reach
        Where each distribution is, and how far its nearest singularity lies from the line.
    far
        How far from its location nothing is left of each.
    """
    centre, unit = float(location.mean()), float(reach.min())
    away = np.abs(location - centre)
    step = STEP * min(1.0, float((reach / np.hypot(unit, away)).min()))
    end = float(np.arcsinh((far + away) / unit).max())
    t = step * np.arange(-np.ceil(end / step), np.ceil(end / step) + 1)
    return centre + unit * np.sinh(t), step * unit * np.cosh(t)


def broken(kinks: Array, near: float, low: float, high: float) -> tuple[Array, Array]:
    """Return Gauss-Legendre nodes between and beyond kinks, and weights.

    Parameters
    ----------
    kinks
        Where the function is not smooth, increasing.
    near
        The shortest length over which it changes.
    low, high
        How far it goes on below the first and above the last kink.
    """
    inner = [kinks]
    gaps = np.diff(kinks)
    for gap in np.flatnonzero(gaps > 2 * near):
        steps = _doubling(near, 0.5 * gaps[gap])
        inner += [kinks[gap] + steps, kinks[gap + 1] - steps[:-1]]
    below, above = kinks[0] - _doubling(near, low), kinks[-1] + _doubling(near, high)
    edges = np.unique(np.concatenate([below, *inner, above]))
    half = 0.5 * np.diff(edges)[:, None]
    return (edges[:-1, None] + half * (1 + LEGENDRE)).ravel(), (half * SHARES).ravel()


def _doubling(first: float, last: float) -> Array:
    """Return distances that double, from a first one to a last one."""
    count = max(0, int(np.ceil(np.log2(last / first))))
    return np.append(first * 2.0 ** np.arange(count), last)
