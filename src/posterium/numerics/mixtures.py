"""Mixtures of Gaussians with equal weights, one a row: density, distribution, quantile, CRPS.

Everything is NumPy in float64. A mixture is a row of `mean` and `sd`, each (r, s): r mixtures of
s components. All sums run along the contiguous last axis and every iteration works on single rows,
so that a row's answer has the same bits whatever rows come with it.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.special import erf, ndtr, ndtri

SQRT_2PI = math.sqrt(2 * math.pi)
SOLVER_STEPS = 200
"""More than the solver can use: its steps at least halve, down to 1e-13 of the bracket."""
REACH = 8.5
"""Sds beyond which a Gaussian's tail (1e-17) is nothing beside 1."""


MOST_NODES = 2**20
NODES_OVERHEAD = 4096
"""What a row on a grid costs besides its nodes, in nodes."""
WORK = 2**17
"""Nodes worked at once."""


def log_mean_exp(values: np.ndarray) -> np.ndarray:
    """Return log of the mean of exp over the last axis, finite wherever one value is."""
    top = values.max(axis=-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(values - top).mean(axis=-1)) + top[..., 0]


def normal_log_density(y: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return the Gaussian log density in nats, elementwise."""
    return -0.5 * ((y - mean) / sd) ** 2 - np.log(sd) - math.log(SQRT_2PI)


def cdf(mean: np.ndarray, sd: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return P(Y <= y) for each row, (r,)."""
    return ndtr((y[:, None] - mean) / sd).mean(axis=-1)


def quantile(mean: np.ndarray, sd: np.ndarray, q: float) -> np.ndarray:
    """Return the q-quantile of each row, (r,), to 1e-12 of |value| + the narrowest sd.

    Newton on the logarithm of the distribution function, kept inside a bracket, the components' own
    q-quantiles at the start; the upper half is solved by reflection, so both tails keep
    their digits down to q = 1e-300 and up to the last float64 below 1.
    """
    side, p = (1.0, q) if q <= 0.5 else (-1.0, 1.0 - q)
    centre, rate = side * mean, 1 / sd
    ends = centre + sd * ndtri(p)

    def excess(x: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z = (x[:, None] - centre[rows]) * rate[rows]
        below = ndtr(z).mean(axis=-1)  # at least p / s in the bracket: nothing underflows
        z *= -0.5 * z
        density = (np.exp(z, out=z) * rate[rows]).mean(axis=-1) / SQRT_2PI
        return np.log(below / p), density / below

    middle = centre.mean(axis=1)
    spread = np.sqrt((sd**2).mean(axis=1) + ((centre - middle[:, None]) ** 2).mean(axis=1))
    low, high = ends.min(axis=1), ends.max(axis=1)
    guess = np.clip(middle + spread * ndtri(p), low, high)
    return side * increasing_root(excess, low, high, guess, 1e-13 * sd.min(axis=1))


def increasing_root(
    excess: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    low: np.ndarray,
    high: np.ndarray,
    guess: np.ndarray,
    tolerance: np.ndarray,
) -> np.ndarray:
    """Return the root of an increasing function in [low, high], row by row, (r,), from a guess.

    `excess(x, rows)` gives value and slope at x for the rows of these numbers. A step is Newton's
    while it stays in the bracket and at least halves the step before; else it halves the bracket.
    """
    low, high = low.copy(), high.copy()
    last = high - low
    x = guess.copy()
    rows = np.flatnonzero(last > 0)
    for _ in range(SOLVER_STEPS):
        if rows.size == 0:
            break
        here = x[rows]
        value, slope = excess(here, rows)
        low[rows] = np.where(value <= 0, here, low[rows])
        high[rows] = np.where(value >= 0, here, high[rows])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            newton = here - value / slope
        inside = (newton >= low[rows]) & (newton <= high[rows])
        good = inside & (np.abs(newton - here) <= 0.5 * last[rows])
        x[rows] = np.where(good, newton, low[rows] + 0.5 * (high[rows] - low[rows]))
        last[rows] = np.abs(x[rows] - here)
        rows = rows[last[rows] > tolerance[rows] + 1e-13 * np.abs(x[rows])]
    return x


def crps(mean: np.ndarray, sd: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the continuous ranked probability score of each row, (r,), in the unit of y.

    E|X - y| - E|X - X'| / 2 (gneiting2007, eq. 21), X and X' independent draws of the mixture, to
    rounding.
    """
    return mean_distance(y[:, None] - mean, sd).mean(axis=-1) - half_spread(mean, sd)


def mean_distance(shift: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return E|Z| for Z ~ N(shift, sd^2), elementwise."""
    z = shift / (math.sqrt(2) * sd)
    return shift * erf(z) + math.sqrt(2 / math.pi) * sd * np.exp(-(z**2))


def half_spread(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return E|X - X'| / 2 of each row, (r,), by whichever of two exact ways is cheaper.

    All s (s - 1) / 2 pairs; or the trapezoidal rule on its other form, the integral of F (1 - F),
    with a node each half of the narrowest sd, where a component costs only the nodes within its
    reach: some 40 s in all where sds are alike. The integrand's spectrum falls as
    exp(-sd^2 w^2 / 4) in frequency w, so the rule's relative error is about exp(-4 pi^2) = 7e-18.
    """
    step = 0.5 * sd.min(axis=1)
    low, high = (mean - REACH * sd).min(axis=1), (mean + REACH * sd).max(axis=1)
    nodes = (high - low) / step
    cost = nodes + (2 * REACH * sd / step[:, None]).sum(axis=1) + NODES_OVERHEAD
    gridded = (cost < mean.shape[1] ** 2 / 2) & (nodes < MOST_NODES)
    out = np.empty(len(mean))
    out[~gridded] = _spread_by_pairs(mean[~gridded], sd[~gridded])
    for row in np.flatnonzero(gridded):
        out[row] = _spread_by_nodes(mean[row], sd[row], low[row], step[row])
    return out


def _spread_by_pairs(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Sum over pairs, one lag at a time, so that memory stays (r, s)."""
    draws = mean.shape[1]
    variance = sd**2
    total = sd.sum(axis=1) / math.sqrt(math.pi)
    for lag in range(1, draws if len(mean) else 0):
        spread = np.sqrt(variance[:, lag:] + variance[:, :-lag])
        total += mean_distance(mean[:, lag:] - mean[:, :-lag], spread).sum(axis=1)
    return total / draws**2


def _spread_by_nodes(mean: np.ndarray, sd: np.ndarray, low: float, step: float) -> float:
    """Integrate F (1 - F) of one row, (s,), on a grid; the components' reaches are summed up."""
    order = np.argsort(sd, kind="stable")
    mean, sd = mean[order], sd[order]
    first = np.floor((mean - REACH * sd - low) / step).astype(np.int64)
    width = np.ceil(2 * REACH * sd / step).astype(np.int64) + 2
    length = int((first + 2 * width).max()) + 1
    within, passed = np.zeros(length), np.zeros(length, np.int64)
    start = 0
    while start < len(mean):
        stop = int(np.searchsorted(width, 2 * width[start], "right"))
        stop = min(stop, start + max(1, WORK // int(2 * width[start])))
        part, size = slice(start, stop), int(width[stop - 1])
        node = first[part, None] + np.arange(size)
        value = ndtr((low + node * step - mean[part, None]) / sd[part, None])
        within += np.bincount(node.ravel(), value.ravel(), length)
        passed += np.bincount(first[part] + size, minlength=length)
        start = stop
    below = (within + np.cumsum(passed)) / len(mean)
    return step * float((below * (1 - below)).sum())
