"""Where to cut the line, so that few nodes between two cuts integrate a smooth function."""

import numpy as np

from posterium.numerics.laws.base import Array


def stretched(location: Array, reach: Array, far: Array) -> Array:
    """Return cuts at sinh of even steps about the middle of distributions, (e,).

    Parameters
    ----------
    location, reach
        Where each distribution is, and over which length it is smooth: at its location the cuts
        lie at most 1.5 of these apart, elsewhere further.
    far
        How far from its location nothing is left of each.
    """
    centre, unit = float(location.mean()), float(reach.min())
    away = np.abs(location - centre)
    step = min(1.0, float((1.5 * reach / np.hypot(unit, away)).min()))
    end = float(np.arcsinh((far + away) / unit).max())
    return centre + unit * np.sinh(np.linspace(-end, end, 2 * int(np.ceil(end / step)) + 1))


def broken(kinks: Array, near: float, low: float, high: float) -> Array:
    """Return cuts at kinks, increasing, and between and beyond them by doubling steps, (e,).

    Parameters
    ----------
    kinks
        Where the function is not smooth.
    near
        The shortest length over which it changes.
    low, high
        How far it goes on below the first and above the last kink.
    """
    below, above = kinks[0] - _doubling(near, low), kinks[-1] + _doubling(near, high)
    inner = [kinks]
    gaps = np.diff(kinks)
    for gap in np.flatnonzero(gaps > 2 * near):
        steps = _doubling(near, 0.5 * gaps[gap])
        inner += [kinks[gap] + steps, kinks[gap + 1] - steps[:-1]]
    return np.unique(np.concatenate([below, *inner, above]))


def _doubling(first: float, last: float) -> Array:
    """Return distances that double, from a first one to a last one."""
    count = max(0, int(np.ceil(np.log2(last / first))))
    return np.append(first * 2.0 ** np.arange(count), last)
