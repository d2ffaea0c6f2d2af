"""Mixtures of laws with equal weights, one a row: quantiles and CRPS.

Parameters have shape (r, s), or (r, s, m) of wide laws: r mixtures of s draws. Every iteration
works on single rows and all sums run along the last axis, so that a row's answer has the same bits
whatever rows come with it.
"""

import numpy as np

from posterium.numerics.laws.base import Array, ContinuousLaw, CountLaw, Law
from posterium.numerics.mixtures import increasing_root

ROUNDING = 1e-12
"""Share of its size by which the quantile of a single law may be off."""
NEGLIGIBLE = 1e-14
"""Probability of counts, on either side, that adds nothing to a CRPS."""


def cdf(law: Law, parameters: tuple[Array, ...], y: Array) -> Array:
    """Return P(Y <= y) of each row, (r,)."""
    return law.cdf(y[:, None], *parameters).mean(axis=-1)


def survival(law: Law, parameters: tuple[Array, ...], y: Array) -> Array:
    """Return P(Y > y) of each row, (r,), with its digits where it is small."""
    return law.survival(y[:, None], *parameters).mean(axis=-1)


def quantile(law: Law, parameters: tuple[Array, ...], q: float) -> Array:
    """Return the q-quantile of each row, (r,): to 1e-12 of |value| + width, or the exact count."""
    if isinstance(law, CountLaw):
        return _count_quantile(law, parameters, q)
    assert isinstance(law, ContinuousLaw)
    lower = q <= 0.5
    tail, p = (law.cdf, q) if lower else (law.survival, 1 - q)

    def excess(x: Array, rows: Array) -> tuple[Array, Array]:
        here = tuple(part[rows] for part in parameters)
        beyond = tail(x[:, None], *here).mean(axis=-1)
        density = np.exp(law.log_density(x[:, None], *here)).mean(axis=-1)
        value = np.log(beyond / p)
        return value if lower else -value, density / beyond

    ends = law.quantile(q, *parameters).reshape(len(parameters[0]), -1)
    width = law.width(*parameters).reshape(len(ends), -1).min(axis=1)
    low, high = ends.min(axis=1), ends.max(axis=1)
    low, high = low - ROUNDING * np.abs(low), high + ROUNDING * np.abs(high)
    guess = np.clip(ends.mean(axis=1), low, high)
    return increasing_root(excess, low, high, guess, 1e-13 * width)


def _count_quantile(law: CountLaw, parameters: tuple[Array, ...], q: float) -> Array:
    """Return the least count with P(Y <= count) >= q, by bisection between whole numbers."""
    ends = law.quantile(q, *parameters)
    low, high = np.floor(ends.min(axis=1)) - 2, np.ceil(ends.max(axis=1)) + 1
    while True:
        rows = np.flatnonzero(high - low > 1)
        if rows.size == 0:
            return high
        middle = np.floor(0.5 * (low[rows] + high[rows]))
        enough = cdf(law, tuple(part[rows] for part in parameters), middle) >= q
        high[rows] = np.where(enough, middle, high[rows])
        low[rows] = np.where(enough, low[rows], middle)


def crps(law: Law, parameters: tuple[Array, ...], y: Array) -> Array:
    """Return the continuous ranked probability score of each row, (r,), in the unit of y.

    Of counts the exact sum of (F(j) - 1[y <= j])^2. Else E|Y - y| - E|Y - Y'| / 2 (gneiting2007,
    eq. 21) with the first term in closed form, and the second as the integral of F (1 - F), by
    quadrature to about 1e-8 of the score. Infinite where the mean does not exist.
    """
    parts = [tuple(part[row] for part in parameters) for row in range(len(y))]
    if isinstance(law, CountLaw):
        return np.array([_count_score(law, *pair) for pair in zip(parts, y, strict=True)])
    assert isinstance(law, ContinuousLaw)
    distance = law.distance(y[:, None], *parameters).mean(axis=-1)
    kept = np.isfinite(distance)
    distance[kept] -= [half_spread(law, parts[row]) for row in np.flatnonzero(kept)]
    return distance


def half_spread(law: ContinuousLaw, parameters: tuple[Array, ...]) -> float:
    """Return E|Y - Y'| / 2 of one row, parameters (s,), whose mean exists."""
    x, weight = law.nodes(*parameters)
    low = x < law.mean(*parameters).mean()
    below = law.cdf(x[low, None], *parameters).mean(axis=-1)
    above = law.survival(x[~low, None], *parameters).mean(axis=-1)
    tail = np.concatenate([below, above])
    return float((weight * tail * (1 - tail)).sum())


def _count_score(law: CountLaw, parameters: tuple[Array, ...], y: float) -> float:
    """Sum over all counts that matter, from the least to the largest."""
    low = min(np.floor(law.quantile(NEGLIGIBLE, *parameters).min()), y)
    high = max(np.ceil(law.quantile(1 - NEGLIGIBLE, *parameters).max()), y) + 1
    counts = np.arange(max(low - 1, 0), high + 1)
    below = law.cdf(counts[:, None], *parameters).mean(axis=-1)
    above = law.survival(counts[:, None], *parameters).mean(axis=-1)
    return float(np.where(counts < y, below, above) @ np.where(counts < y, below, above))
