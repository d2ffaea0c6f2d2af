r"""Convergence of chains, judged in function space: on predictions at probe inputs and log density.

.. math:: \hat R = \sqrt{\frac{\frac{s-1}{s} W + \frac1s B}{W}}, \qquad
   \mathrm{ESS} = \frac{c s}{1 + 2 \sum_t \rho_t}

on rank-normalised halves of chains (Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021). Weights
of a network are not looked at: hidden units can change places without any function changing.
Arrays have the axes chains, draws, quantities: (c, s, ...).
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtri

from posterium.model.model import Model
from posterium.model.weights import Weights
from posterium.posterior.fit import Verdict

PROBES, AWAY = 24, 8
RHAT_OK = 1.01
RHAT_FAILED = 1.1
ESS_OK = 400
DIVERGING_FAILED = 0.1
BFMI_OK = 0.2


def probes(x: jax.Array) -> jax.Array:
    """Return where chains must agree: up to 24 rows of the inputs, and up to 8 away from them.

    Both are evenly spaced in their order; the latter are rows moved twice as far from the mean of
    all, since chains in different modes may agree wherever there are data. Inputs that are no
    floating-point numbers are taken as they are.
    """
    rows = x[_spaced(len(x), PROBES)]
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return rows
    return jnp.concatenate(
        [rows, 2 * rows[_spaced(len(rows), AWAY)] - jnp.mean(x, axis=0, keepdims=True)]
    )


def _spaced(rows: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, rows - 1, min(most, rows)).round().astype(int))


def function_values(model: Model, weights: Weights, x: jax.Array) -> jax.Array:
    """Return what one function predicts at rows x, (q, m): what chains must agree on.

    For classes the log probabilities (the last one only of two); for numbers the means and the
    log noise variances.
    """
    f, _ = model.network.apply(weights, x)
    if model.likelihood.task == "classification":
        log_probs = model.likelihood.log_probs(f)
        return log_probs[:, 1:] if log_probs.shape[1] == 2 else log_probs
    mean, variance = model.likelihood.moments(f)
    return jnp.concatenate([mean, jnp.log(variance)], axis=-1)


def judge_chains(info: dict[str, np.ndarray]) -> Verdict:
    """Judge a sampler by what it recorded, step by step: arrays (s, c, ...).

    Used are ``probe`` (function values) and ``log_joint``, and ``diverging`` and ``energy`` where
    there are any.
    """
    by_chain = {name: np.swapaxes(np.asarray(v), 0, 1) for name, v in info.items()}
    log_joint = by_chain["log_joint"]
    chains, draws = log_joint.shape
    if draws < 4:
        reason = f"{draws} draws of each chain cannot be judged."
        return Verdict("failed", (reason,), ("Take at least 100 draws.",))
    values = by_chain["probe"].reshape(chains, draws, -1)
    values = np.concatenate([values, log_joint[:, :, None]], axis=2)
    found = [
        judge_movement(log_joint),
        judge_divergences(by_chain.get("diverging", np.zeros((chains, draws), bool))),
        judge_energy(by_chain.get("energy", np.zeros((chains, 0)))),
    ]
    if found[0].status == "ok":
        found += [judge_agreement(values), judge_length(values)]
    return Verdict.merge(found)


def judge_movement(log_joint: np.ndarray) -> Verdict:
    """Fail chains that never move, or stand where the log joint (c, s) is not finite."""
    lost = np.any(~np.isfinite(log_joint), axis=1, keepdims=True)
    still = np.ptp(np.where(lost, 0, log_joint), axis=1) == 0
    verdicts = []
    if lost.any():
        verdicts.append(
            Verdict(
                "failed",
                (f"The log joint is not finite at draws of {_of_chains(lost)}.",),
                ("Standardise inputs and target, or start from StartFrom(..., MAP()).",),
            )
        )
    elif still.any():
        verdicts.append(
            Verdict(
                "failed",
                (f"{_of_chains(still)} never moved.",),
                ("Warm up longer, standardise inputs and target, or start elsewhere.",),
            )
        )
    return Verdict.merge(verdicts)


def judge_divergences(diverging: np.ndarray) -> Verdict:
    """Warn of divergent transitions (c, s), where the integrator lost the posterior's shape."""
    count, share = int(diverging.sum()), float(diverging.mean())
    if count == 0:
        return Verdict()
    return Verdict(
        "failed" if share > DIVERGING_FAILED else "warned",
        (f"{count} of {diverging.size} transitions diverged: there are places the chains miss.",),
        ("Raise target_accept to 0.95 or 0.99, or choose a tighter prior.",),
    )


def judge_energy(energy: np.ndarray) -> Verdict:
    """Warn where fresh momenta change the energy (c, s) too little to reach all of the posterior.

    Their fraction of missing information, E[(E_t - E_{t-1})^2] / var(E) (Betancourt 2016).
    """
    with np.errstate(invalid="ignore", over="ignore"):
        spread = np.var(energy, axis=1) if energy.shape[1] > 1 else np.zeros(len(energy))
    known = np.isfinite(spread) & (spread > 0)
    if not known.any():
        return Verdict()
    jumps = np.mean(np.diff(energy[known], axis=1) ** 2, axis=1) / spread[known]
    if jumps.min() >= BFMI_OK:
        return Verdict()
    return Verdict(
        "warned",
        (f"Energies move slowly (fraction {jumps.min():.2f}, expected {BFMI_OK} or more).",),
        ("Heavy tails are explored badly: choose priors with lighter tails, or run longer.",),
    )


def judge_agreement(values: np.ndarray) -> Verdict:
    """Warn, or fail, where chains disagree on a function value or the log joint, (c, s, q)."""
    worst = np.nanmax(rhat(values), initial=1.0)
    if worst <= RHAT_OK:
        return Verdict()
    return Verdict(
        "failed" if worst > RHAT_FAILED else "warned",
        (f"Chains disagree on predictions or log density: R-hat {worst:.4f}, over {RHAT_OK}.",),
        ("Run longer; if it stays, chains sit in different modes: use ParallelTempering().",),
    )


def judge_length(values: np.ndarray) -> Verdict:
    """Warn of too few independent draws of a function value or the log joint, (c, s, q)."""
    total = values.shape[0] * values.shape[1]
    sizes = np.minimum(ess_bulk(values), ess_tail(values))
    least = min(np.nanmin(sizes, initial=total), total)
    if least >= ESS_OK:
        return Verdict()
    return Verdict(
        "warned",
        (f"{least:.0f} effective draws of the worst prediction, fewer than {ESS_OK}.",),
        ("Take more draws.",),
    )


def _of_chains(which: np.ndarray) -> str:
    return f"{int(which.sum())} of {len(which)} chains"


def summary(values: np.ndarray) -> dict[str, np.ndarray]:
    """Return mean, its standard error, sd, R-hat, bulk and tail ESS of draws (c, s, ...)."""
    return {
        "mean": np.mean(values, axis=(0, 1)),
        "sd": np.std(values, axis=(0, 1), ddof=1),
        "mcse": mcse(values),
        "rhat": rhat(values),
        "ess_bulk": ess_bulk(values),
        "ess_tail": ess_tail(values),
    }


def rhat(values: np.ndarray) -> np.ndarray:
    """Return the rank-normalised split R-hat of draws (c, s, ...), NaN for constants.

    The larger of that of the values and that of their distances from the median.
    """
    halves = _split(values)
    folded = np.abs(halves - np.median(halves, axis=(0, 1)))
    return np.maximum(_plain_rhat(_normal_scores(halves)), _plain_rhat(_normal_scores(folded)))


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
    return np.std(values, axis=(0, 1), ddof=1) / np.sqrt(_plain_ess(_split(values)))


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
