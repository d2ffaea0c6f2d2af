"""R1.more.thompson: a contextual bandit by Thompson sampling, against policies that do not explore.

The wheel of Riquelme, Tucker and Snoek (2018), on another scale: contexts are uniform on a disk.
One arm pays a little everywhere. In the outer ring the arm of each quarter pays much more, and the
other arms nothing; who never tries them there never learns of it. All policies have the same
model, Bayesian linear regression on random Fourier features, and the same contexts and noise.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import posterium as ps
from posterium.plots.decisions import cumulative_regret
from posterium.recipes.runner import Outcome, recipe

SUMMARY = "a contextual bandit by Thompson sampling, against greedy, epsilon-greedy and chance"
ARMS, INNER = 5, 0.5
SAFE, RICH, NOISE = 0.2, 1.0, 0.1
"""Means of the arm that pays everywhere and of a rich one; noise sd of every reward."""
FEATURES, FREQUENCY, APART = 100, 1.5, 1.5
"""Cosines, their frequency sd, and how far arms are apart as inputs."""
BATCH = 25
"""Rounds between two updates of the posterior."""
EPSILON = 0.1

Policy = Callable[[jax.Array, ps.Fit, np.ndarray, np.random.Generator], np.ndarray]
"""Gives an arm for each of some contexts (b, 2), from the posterior so far: (b,)."""


def contexts(generator: np.random.Generator, count: int) -> np.ndarray:
    """Return points that are uniform on the unit disk, (count, 2)."""
    radius, angle = np.sqrt(generator.random(count)), 2 * np.pi * generator.random(count)
    return radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])


def rewards(x: np.ndarray) -> np.ndarray:
    """Return the mean reward of every arm at contexts x (n, 2): (n, arms)."""
    quarter = 1 + (x[:, 0] < 0) + 2 * (x[:, 1] < 0)
    rich = (np.arange(ARMS) == quarter[:, None]) & (np.hypot(*x.T) > INNER)[:, None]
    return np.where(rich, RICH, np.where(np.arange(ARMS) == 0, SAFE, 0.0))


def inputs(x: np.ndarray) -> np.ndarray:
    """Return what the model sees of every arm at contexts x (n, 2): (n * arms, 2 + arms)."""
    arms = np.tile(APART * np.eye(ARMS), (len(x), 1))
    return np.column_stack([np.repeat(x, ARMS, axis=0), arms])


def thompson(
    key: jax.Array, fit: ps.Fit, x: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Take the best arm of a function drawn from the posterior, one function a round."""
    values = ps.draw_functions(key, fit, len(x))(inputs(x)).reshape(len(x), len(x), ARMS)
    return np.einsum("iia->ia", values).argmax(axis=1)


def greedy(
    key: jax.Array, fit: ps.Fit, x: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Take the arm of the largest predicted mean."""
    return ps.predict(key, fit, inputs(x)).mean.reshape(-1, ARMS).argmax(axis=1)


def epsilon_greedy(
    key: jax.Array, fit: ps.Fit, x: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Take a random arm in one round of ten, and the greedy one otherwise."""
    random = generator.random(len(x)) < EPSILON
    return np.where(random, generator.integers(ARMS, size=len(x)), greedy(key, fit, x, generator))


POLICIES: dict[str, Policy] = {
    "Thompson": thompson, "epsilon-greedy": epsilon_greedy, "greedy": greedy,
}  # fmt: skip


def play(key: jax.Array, policy: Policy, rounds: int) -> np.ndarray:
    """Return the regret of every round, (rounds,), after one of each arm.

    Each batch is learned with the posterior of all before as the prior. Key and rounds decide
    contexts and noise, whatever the policy.
    """
    world, own = (np.random.default_rng(np.asarray(jax.random.key_data(k)))
                  for k in jax.random.split(key))  # fmt: skip
    noise = ps.Gaussian(NOISE)
    model = ps.Model(ps.Linear(ps.Fourier(FEATURES, FREQUENCY)), ps.Normal(1.0, "none"), noise)
    x = contexts(world, rounds + ARMS)
    seen = rewards(x) + NOISE * world.standard_normal((len(x), ARMS))
    arm, fit = np.arange(rounds + ARMS) % ARMS, None
    for stop in range(ARMS, rounds + ARMS + 1, BATCH):
        now = np.arange(max(0, stop - BATCH), stop)
        key, fit_key, act_key = jax.random.split(key, 3)
        if fit is not None:
            arm[now] = policy(act_key, fit, x[now], own)
            model = ps.Model(model.network, fit, noise)
        start = None if fit is None else fit.posterior.mode()
        rows = np.arange(len(now)) * ARMS + arm[now]
        data = ps.as_data(inputs(x[now])[rows], seen[now, arm[now]])
        fit = ps.fit(fit_key, model, data, ps.Exact(), start=start)
    means = rewards(x)
    return (means.max(axis=1) - means[np.arange(len(x)), arm])[ARMS:]


def by_chance(key: jax.Array, rounds: int) -> np.ndarray:
    """Return the regret expected of arms taken at random, in the contexts of `play`, (rounds,)."""
    world = np.random.default_rng(np.asarray(jax.random.key_data(jax.random.split(key)[0])))
    means = rewards(contexts(world, rounds + ARMS)[ARMS:])
    return means.max(axis=1) - means.mean(axis=1)


def gap(regret: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return by how much runs (r, t) cost less than others in the same worlds, and its error."""
    each = (other - regret).sum(axis=1)
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))


@recipe("R1.more.thompson", SUMMARY, fast="500 rounds of 5 runs instead of 1000 of 20")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Demand that Thompson sampling costs less than every other policy, by 2 standard errors.

    The greedy policy costs little in some runs and much in others, where it never found an arm: 5
    runs do not tell.
    """
    runs, rounds = (5, 500) if fast else (20, 1000)
    keys = jax.random.split(key, runs)
    regret = {
        name: np.stack([play(key, policy, rounds) for key in keys])
        for name, policy in POLICIES.items()
    }
    regret["chance"] = np.stack([by_chance(key, rounds) for key in keys])
    own = regret["Thompson"]
    gaps = {name: gap(own, other) for name, other in regret.items() if name != "Thompson"}
    early, late = own[:, : rounds // 2].sum(axis=1), own[:, rounds // 2 :].sum(axis=1)
    total: dict[str, Any] = {name: of.sum(axis=1).mean() for name, of in regret.items()}
    return Outcome(
        {
            "rounds": rounds,
            "runs": runs,
            **{f"regret_{name}": value for name, value in total.items()},
            **{f"saved_against_{name}": value for name, value in gaps.items()},
            "late_to_early_regret_of_Thompson": late.mean() / early.mean(),
        },
        {
            **{
                f"beats_{name}_by_2_errors": mean > 2 * error
                for name, (mean, error) in gaps.items()
            },
            **({"beats_greedy_by_2_errors": None} if fast else {}),
            "costs_less_than_half_in_the_later_half": bool(late.mean() < 0.5 * early.mean()),
        },
        {"regret": lambda ax: cumulative_regret(regret, title="A wheel of five arms", ax=ax)},
    )
