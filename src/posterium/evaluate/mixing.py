r"""How well chains mix: R-hat, effective sample size and Monte Carlo error of draws.

.. math:: \hat R = \sqrt{\frac{\frac{s-1}{s} W + \frac1s B}{W}}, \qquad
   \mathrm{ESS} = \frac{c s}{1 + 2 \sum_t \rho_t}

on rank-normalised halves of chains (Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021); nested
R-hat for many short chains (Margossian, Hoffman, Sountsov, Riou-Durand, Vehtari and Gelman 2024).
Arrays have the axes chains, draws, quantities: (c, s, ...).
"""

import numpy as np
from scipy.special import fdtrc, ndtri


def summary(values: np.ndarray) -> dict[str, np.ndarray]:
    """Return mean, its standard error, sd, R-hat, bulk and tail ESS of draws (c, s, ...)."""
    return {
        "mean": np.mean(values, axis=(0, 1)),
        "sd": sd(values),
        "mcse": mcse(values),
        "rhat": rhat(values),
        "ess_bulk": ess_bulk(values),
        "ess_tail": ess_tail(values),
    }


def sd(values: np.ndarray) -> np.ndarray:
    """Return the standard deviation of draws (c, s, ...), exactly 0 for constants."""
    return np.std(values - values[:1, :1], axis=(0, 1), ddof=1, dtype=float)


def rhat(values: np.ndarray) -> np.ndarray:
    """Return the rank-normalised split R-hat of draws (c, s, ...), NaN for constants.

    The larger of that of the values and that of their distances from the median.
    """
    halves = _split(values)
    folded = np.abs(halves - np.median(halves, axis=(0, 1)))
    return np.fmax(_plain_rhat(_normal_scores(halves)), _plain_rhat(_normal_scores(folded)))


def superchains(values: np.ndarray, origin: np.ndarray) -> np.ndarray | None:
    """Return draws (c, s, ...) as superchains (k, m, s, ...) of m chains that began at one point.

    `origin` (c,) says where each began. None unless there are at least two superchains, of at least
    two chains each, all of the same size.
    """
    starts, sizes = np.unique(origin, return_counts=True)
    if len(starts) < 2 or sizes.min() < 2 or sizes.min() != sizes.max():
        return None
    return np.stack([values[origin == start] for start in starts])


def nested_rhat(nested: np.ndarray) -> np.ndarray:
    """Return the rank-normalised nested R-hat of superchains (k, m, s, ...), NaN for constants.

    The square root of 1 + B / W: B is the variance of the superchains' means, W that of draws
    within a superchain (its chains' means and draws about them). The larger of that of the values
    and that of their distances from the median. Of independent draws it is about
    sqrt(1 + 1 / (m s)).
    """
    parts = (_nested_variances(scores) for scores in _bulk_and_tail(nested))
    return np.fmax(*(np.sqrt(1 + _ratio(between, within)) for between, _, within in parts))


def chance_of_origins(nested: np.ndarray) -> np.ndarray:
    """Return how likely superchains (k, m, s, ...) that forgot where they began differ so much.

    By an F test on the means of their chains; NaN for constants.
    """
    starts, chains = nested.shape[:2]
    parts = (_nested_variances(scores) for scores in _bulk_and_tail(nested))
    excess = np.fmax(*(_ratio(chains * between, among) for between, among, _ in parts))
    return fdtrc(starts - 1, starts * (chains - 1), excess)


def ess_bulk(values: np.ndarray) -> np.ndarray:
    """Return the effective sample size for the centre of draws (c, s, ...), NaN for constants."""
    return _plain_ess(_normal_scores(_split(values)))


def ess_tail(values: np.ndarray) -> np.ndarray:
    """Return the smaller effective size for the 5 % and the 95 % quantile of draws (c, s, ...)."""
    halves = _split(values)
    low, high = np.quantile(halves, [0.05, 0.95], axis=(0, 1))
    sizes = [_plain_ess((halves <= level).astype(float)) for level in (low, high)]
    return np.fmin(*sizes)


def mcse(values: np.ndarray) -> np.ndarray:
    """Return the Monte Carlo standard error of the mean of draws (c, s, ...), in their unit."""
    return sd(values) / np.sqrt(_plain_ess(_split(values)))


def bfmi(energy: np.ndarray) -> np.ndarray:
    """Return each chain's fraction of missing information, (c,), of energies (c, s).

    E[(E_t - E_{t-1})^2] / var(E) (Betancourt 2016); NaN where energies are constant or not finite.
    """
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        return np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1)


def _split(values: np.ndarray) -> np.ndarray:
    """Return the halves of each chain as chains of their own, (2c, s // 2, ...)."""
    half = values.shape[1] // 2
    return np.concatenate([values[:, :half], values[:, half : 2 * half]]).astype(float)


def _normal_scores(values: np.ndarray) -> np.ndarray:
    """Replace values by normal quantiles of their ranks over all chains; ties share a rank."""
    flat = values.reshape(values.shape[0] * values.shape[1], -1)
    ranks = np.empty(flat.shape)
    for column, rank in zip(flat.T, ranks.T, strict=True):
        ordered = np.sort(column)
        first = np.searchsorted(ordered, column, "left")
        rank[:] = (first + np.searchsorted(ordered, column, "right") + 1) / 2
    return ndtri((ranks - 0.375) / (len(flat) + 0.25)).reshape(values.shape)


def _bulk_and_tail(nested: np.ndarray) -> list[np.ndarray]:
    """Return normal scores of superchains' draws, and of their distances from the median."""
    flat = nested.reshape(-1, *nested.shape[2:])
    folded = np.abs(flat - np.median(flat, axis=(0, 1)))
    return [_normal_scores(part).reshape(nested.shape) for part in (flat, folded)]


def _nested_variances(nested: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return variances: of superchains' means, of their chains' means, of draws within one."""
    means = np.mean(nested, axis=2)
    among = np.mean(np.var(means, axis=1, ddof=1), axis=0)
    within = np.mean(np.var(nested, axis=2, ddof=1), axis=(0, 1))
    return np.var(np.mean(means, axis=1), axis=0, ddof=1), among, among + within


def _ratio(between: np.ndarray, within: np.ndarray) -> np.ndarray:
    """Return their ratio: infinite where nothing varies within, NaN where nothing varies at all."""
    alone = np.where(between > 0, np.inf, np.nan)
    return np.divide(between, within, out=alone, where=within > 0)


def _plain_rhat(values: np.ndarray) -> np.ndarray:
    draws = values.shape[1]
    moving = np.ptp(values, axis=1).any(axis=0)
    within = np.where(moving, np.mean(np.var(values, axis=1, ddof=1), axis=0), 0)
    between = np.var(np.mean(values, axis=1), axis=0, ddof=1)
    apart = np.where(np.ptp(values, axis=(0, 1)) > 0, np.inf, np.nan)
    ratio = np.divide(between, within, out=apart, where=within > 0)
    return np.sqrt((draws - 1) / draws + ratio)


def _plain_ess(values: np.ndarray) -> np.ndarray:
    """Return the effective sample size of draws (c, s, ...) by Geyer's monotone sequence.

    Pairs of autocorrelations are summed as long as they are positive, each no larger than the
    one before; the even one of the pair that ends the sum counts once if it is positive.
    """
    chains, draws = values.shape[:2]
    total = chains * draws
    within, overall = _autocovariances(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = 1 - (within[0] * draws / (draws - 1) - within) / overall
    rho[0] = 1
    even, odd = rho[: draws - draws % 2 : 2], rho[1::2]
    positive = np.cumprod(even + odd > 0, axis=0, dtype=bool)
    ended = np.concatenate([positive[:1] & False, positive[:-1]]) & ~positive
    monotone = np.minimum.accumulate(np.where(positive, even + odd, 0), axis=0)
    rest = np.sum(np.where(ended, np.maximum(even, 0), 0), axis=0)
    tau = np.maximum(-1 + 2 * np.sum(monotone, axis=0) + rest, 1 / np.log10(total))
    return np.where(np.ptp(values, axis=(0, 1)) > 0, total / tau, np.nan)


def _autocovariances(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return autocovariances averaged over chains by lag (s, ...), and the variance overall."""
    chains, draws = values.shape[:2]
    mean = np.mean(values, axis=1, keepdims=True)
    spectrum = np.fft.rfft(values - mean, n=2 * draws, axis=1)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, n=2 * draws, axis=1)[:, :draws] / draws
    within = np.mean(covariance, axis=0)
    between = np.var(mean[:, 0], axis=0, ddof=1) if chains > 1 else 0
    return within, within[0] + between
