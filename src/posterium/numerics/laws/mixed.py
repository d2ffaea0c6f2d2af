"""Mixtures of laws with equal weights, one a row: quantiles and CRPS.

Parameters have shape (r, s), or (r, s, m) of wide laws: r mixtures of s draws. Every iteration
works on single rows and all sums run along the last axis, so that a row's answer has the same bits
whatever rows come with it.
"""

from collections.abc import Callable

import numpy as np

from posterium.numerics.laws.base import Array, ContinuousLaw, CountLaw, Law
from posterium.numerics.laws.nodes import LEGENDRE, SHARES
from posterium.numerics.mixtures import REACH, increasing_root

ROUNDING = 1e-12
"""Share of its size by which the quantile of a single law may be off."""
NEGLIGIBLE = 1e-14
"""Probability of counts, on either side, that adds nothing to a CRPS."""
ONE_BY_ONE = 256
"""Counts that a CRPS takes one by one, before it goes over to panels."""


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

    Of counts the sum of (F(j) - 1[y <= j])^2, to about 1e-10 of the score. Else
    E|Y - y| - E|Y - Y'| / 2 (gneiting2007, eq. 21) with the first term in closed form, and the
    second as the integral of F (1 - F), by quadrature to about 1e-10 of the score. Infinite where
    the mean does not exist.
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
    low = max(min(np.floor(law.quantile(NEGLIGIBLE, *parameters).min()), y) - 1, 0)
    high = max(np.ceil(law.quantile(1 - NEGLIGIBLE, *parameters).max()), y) + 2
    middle = max(np.ceil(y), 0)
    sd = np.sqrt(law.variance(*parameters))
    total = 0.0
    for tail, first, end in ((law.below, low, middle), (law.above, middle, high)):

        def square(j: Array, tail: Callable[..., Array] = tail) -> Array:
            return tail(j[:, None], *parameters).mean(axis=-1) ** 2

        total += _sum(square, first, end, law.mean(*parameters), sd)
    return total


def _sum(f: Callable[[Array], Array], low: float, high: float, mean: Array, sd: Array) -> float:
    """Return the sum of a function over the counts from low to high - 1, as f(j) of arrays (e,).

    After the first counts it is an integral by panels, with the first term of Euler and Maclaurin.
    """
    head = min(low + ONE_BY_ONE, high)
    total = f(np.arange(low, head)).sum()
    if head < high:
        edges = _panels(head, high, mean, sd) - 0.5
        half = 0.5 * np.diff(edges)[:, None]
        nodes = edges[:-1, None] + half * (1 + LEGENDRE[None])
        total += (half * SHARES[None]).ravel() @ f(nodes.ravel())
        ends = f(np.array([head - 1, head, high - 1, high]))
        total += (ends[1] - ends[0] - ends[3] + ends[2]) / 24
    return float(total)


def _panels(low: float, high: float, mean: Array, sd: Array) -> Array:
    """Return edges from low to high between which distributions of such means and sds are smooth.

    A panel ends three sds into the narrowest distribution that it meets, and well before it is
    long beside its distance from 0.
    """
    edges = [low]
    while (at := edges[-1]) < high:
        to_come = mean + REACH * sd > at
        steps = np.maximum(mean - REACH * sd - at, 0)[to_come] + 3 * sd[to_come]
        edges.append(min(at + np.ceil(steps.min(initial=2 * at)), high))
    return np.array(edges)
