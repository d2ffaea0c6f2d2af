"""The verdict on chains, in function space: on predictions at probe inputs and log density.

Weights of a network are not looked at: hidden units can change places without any function
changing. Arrays have the axes chains, draws, quantities: (c, s, ...).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium.evaluate.mixing import (
    bfmi,
    chance_of_origins,
    ess_bulk,
    ess_tail,
    nested_rhat,
    rhat,
    superchains,
)
from posterium.model.model import Model
from posterium.model.weights import Weights
from posterium.posterior.fit import Verdict

PROBES, AWAY = 32, 8
RHAT_OK = 1.01
RHAT_FAILED = 1.1
ESS_OK = 400
DIVERGING_FAILED = 0.1
BFMI_OK = 0.2
CUT_SHORT_OK = 0.05
"""Share of trajectories that may reach the most doublings there are."""
MANY_CHAINS, FEW_DRAWS = 16, 200
"""From so many chains, of fewer draws each, agreement is judged between superchains."""
CHANCE_OK = 1e-4
"""How unlikely a difference between superchains must be by chance: many quantities are judged."""


def probes(x: jax.Array) -> jax.Array:
    """Return where chains must agree: up to 24 rows of the inputs, and up to 8 away from them.

    Both are evenly spaced in their order; the latter are rows moved twice as far from the mean of
    all, since chains in different modes may agree wherever there are data. Inputs that are no
    floating-point numbers are taken as they are.
    """
    rows = x[_spaced(len(x), PROBES - AWAY)]
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return rows
    return jnp.concatenate(
        [rows, 2 * rows[_spaced(len(rows), AWAY)] - jnp.mean(x, axis=0, keepdims=True)]
    )


def probe_rows(count: int) -> np.ndarray:
    """Return the numbers of up to 32 rows, of so many, evenly spaced in their order."""
    return _spaced(count, PROBES)


def _spaced(rows: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, rows - 1, min(most, rows)).round().astype(int))


def function_values(model: Model, weights: Weights, x: jax.Array) -> jax.Array:
    """Return what one function predicts at rows x, (q, m): what chains must agree on.

    For classes the log probabilities (the last one only of two); for numbers the means and the
    log noise variances.
    """
    f, _ = model.network.apply(weights, x)
    return values_of(model.likelihood, f)


def values_of(likelihood: Any, f: jax.Array) -> jax.Array:
    """Return the function values of a network's outputs f (q, k), as (q, m)."""
    if likelihood.task == "classification":
        log_probs = likelihood.log_probs(f)
        return log_probs[:, 1:] if log_probs.shape[1] == 2 else log_probs
    mean, variance = likelihood.moments(f)
    return jnp.concatenate([mean, jnp.log(variance)], axis=-1)


def judge_chains(info: dict[str, np.ndarray], *, apart: bool = False) -> Verdict:
    """Judge a sampler by what it recorded, step by step: arrays (s, c, ...).

    Used are ``probe`` (function values) and ``log_joint``, and where there are any ``diverging``,
    ``energy``, ``reached_max_depth``, ``reached_max_length`` and ``origin`` (chains that began at
    one point share it).
    Chains that are meant to stay `apart`, in modes of their own, are warned of where others fail.
    """
    by_chain = {name: np.swapaxes(np.asarray(v), 0, 1) for name, v in info.items()}
    log_joint = by_chain["log_joint"]
    chains, draws = log_joint.shape
    if draws < 4:
        reason = f"{draws} draws of each chain cannot be judged."
        return Verdict("failed", (reason,), ("Take at least 100 draws.",))
    values = judged(info)
    never = np.zeros((chains, draws), bool)
    found = [
        judge_movement(log_joint),
        judge_divergences(by_chain.get("diverging", never)),
        judge_depth(by_chain.get("reached_max_depth", never)),
        judge_bound(by_chain.get("reached_max_length", never)),
        judge_energy(by_chain.get("energy", np.zeros((chains, draws)))),
    ]
    if found[0].status == "ok":
        origin = by_chain.get("origin", np.arange(chains)[:, None])[:, 0]
        found.append(judge_apart(values) if apart else judge_agreement(values, origin))
        found.append(judge_length(values))
    return Verdict.merge(found)


def judged(info: dict[str, np.ndarray]) -> np.ndarray:
    """Return what chains are judged by, (c, s, q), of the records ``probe`` and ``log_joint``."""
    log_joint = np.swapaxes(info["log_joint"], 0, 1)
    probe = np.swapaxes(info["probe"], 0, 1).reshape(*log_joint.shape, -1)
    return np.concatenate([probe, log_joint[:, :, None]], axis=2)


def effective_draws(values: np.ndarray) -> float:
    """Return the effective draws, bulk or tail, of the worst of quantities (c, s, q)."""
    total = values.shape[0] * values.shape[1]
    sizes = np.minimum(ess_bulk(values), ess_tail(values))
    return float(min(np.nanmin(sizes, initial=total), total))


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
        (
            "Raise target_accept to 0.95 or 0.99 (MCLMC: lower energy_variance), or choose a "
            "tighter prior.",
        ),
    )


def judge_depth(reached: np.ndarray) -> Verdict:
    """Warn where trajectories (c, s) were often cut short by the most doublings there are."""
    share = float(reached.mean())
    if share <= CUT_SHORT_OK:
        return Verdict()
    return Verdict(
        "warned",
        (f"{share:.0%} of trajectories reached max_depth before they turned: draws move slowly.",),
        (
            "Standardise inputs and target, take mass='dense', 'low_rank' or 'start', or raise "
            "max_depth.",
        ),
    )


def judge_bound(reached: np.ndarray) -> Verdict:
    """Warn of trajectories (c, s) that would be longer if there were no bound to their length."""
    if reached.mean() <= CUT_SHORT_OK:
        return Verdict()
    return Verdict(
        "warned",
        ("The length of trajectories is at its bound of leapfrog steps: draws move slowly.",),
        ("Standardise inputs and target, or take NUTS(mass='dense') or NUTS(mass='low_rank').",),
    )


def judge_energy(energy: np.ndarray) -> Verdict:
    """Warn where fresh momenta change the energy (c, s) too little to reach all there is."""
    least = np.nanmin(bfmi(energy), initial=np.inf)
    if least >= BFMI_OK:
        return Verdict()
    return Verdict(
        "warned",
        (f"Energies move slowly (fraction {least:.2f}, expected {BFMI_OK} or more).",),
        ("Heavy tails are explored badly: choose priors with lighter tails, or run longer.",),
    )


def judge_agreement(values: np.ndarray, origin: np.ndarray) -> Verdict:
    """Warn, or fail, where chains disagree on a function value or the log joint, (c, s, q).

    Many short chains are compared by where they began, `origin` (c,), beyond what chance explains:
    each alone is too short to know its own mean.
    """
    chains, draws = values.shape[:2]
    short = chains >= MANY_CHAINS and draws < FEW_DRAWS
    nested = superchains(values, origin) if short else None
    if nested is None:
        name, found = "R-hat", rhat(values)
    else:
        name, found = "nested R-hat", nested_rhat(nested)
        found = np.where(chance_of_origins(nested) < CHANCE_OK, found, 1.0)
    worst = np.nanmax(found, initial=1.0)
    if worst <= RHAT_OK:
        return Verdict()
    return Verdict(
        "failed" if worst > RHAT_FAILED else "warned",
        (f"Chains disagree on predictions or log density: {name} {worst:.4f}, over {RHAT_OK}.",),
        ("Run longer; if it stays, chains sit in different modes: use ParallelTempering().",),
    )


def judge_apart(values: np.ndarray) -> Verdict:
    """Warn of chains that disagree, each with all others or with itself, (c, s, q)."""
    between = np.nanmax(rhat(values), initial=1.0)
    if between <= RHAT_OK:
        return Verdict()
    within = max(np.nanmax(rhat(chain[None]), initial=1.0) for chain in values)
    return Verdict(
        "warned",
        (f"Chains hold modes of their own: R-hat {between:.3f}, of one alone up to {within:.3f}.",),
        ("Read it as an ensemble: modes count equally, whatever their mass. Longer chains help.",),
    )


def judge_length(values: np.ndarray) -> Verdict:
    """Warn of too few independent draws of a function value or the log joint, (c, s, q)."""
    least = effective_draws(values)
    if least >= ESS_OK:
        return Verdict()
    return Verdict(
        "warned",
        (f"{least:.0f} effective draws of the worst prediction, fewer than {ESS_OK}.",),
        ("Take more draws.",),
    )


def _of_chains(which: np.ndarray) -> str:
    return f"{int(which.sum())} of {len(which)} chains"
