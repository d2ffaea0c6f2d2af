"""The verdict on chains: faults planted in records, faultless records, what is compared."""

import jax
import numpy as np
import pytest
from tests.evaluate.simulated import autoregressive

from posterium import MLP, Bernoulli, Categorical, Gaussian, Model, Normal
from posterium.evaluate import convergence


def record(seed: int, draws: int = 1000, chains: int = 4) -> dict[str, np.ndarray]:
    """Return what a sampler without fault would record."""
    values = np.swapaxes(autoregressive(seed, chains, draws, 0.3, 9), 0, 1)
    energy = np.random.default_rng(seed).normal(size=(draws, chains))
    diverging = np.zeros((draws, chains), bool)
    probe, log_joint = values[:, :, :8, None], values[:, :, 8]
    return {"probe": probe, "log_joint": log_joint, "diverging": diverging, "energy": energy}


def spoil(name: str) -> dict[str, np.ndarray]:
    info = record(0, draws=50 if name == "short" else 1000)
    if name == "chains apart":
        info["probe"][:, 0, 5] += 5
    elif name == "still":
        info["probe"][:, 1], info["log_joint"][:, 1] = 0.3, -2.0
    elif name == "one divergence":
        info["diverging"][17, 2] = True
    elif name == "many divergences":
        info["diverging"][::5] = True
    elif name == "lost":
        info["log_joint"][:, 3] = -np.inf
    elif name == "cut short":
        info["reached_max_depth"] = np.arange(4000).reshape(1000, 4) % 10 == 0
    elif name == "bounded":
        info["reached_max_length"] = np.ones((1000, 4), bool)
    elif name == "slow energy":
        info["energy"] = np.cumsum(info["energy"], axis=0)
    return info


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("chains apart", "failed", "R-hat"),
        ("still", "failed", "1 of 4 chains never moved"),
        ("one divergence", "warned", "1 of 4000 transitions diverged"),
        ("many divergences", "failed", "800 of 4000"),
        ("lost", "failed", "not finite"),
        ("cut short", "warned", "10% of trajectories reached max_depth"),
        ("bounded", "warned", "length of trajectories is at its bound"),
        ("slow energy", "warned", "Energies"),
        ("short", "warned", "effective draws"),
    ],
)
def test_a_fault_is_named_with_what_to_try_next(name, status, words):
    verdict = convergence.judge_chains(spoil(name))
    assert verdict.status == status
    assert any(words in reason for reason in verdict.reasons)
    assert len(verdict.advice) == len(verdict.reasons)


def test_chains_that_are_meant_to_stay_apart_are_warned_of_where_others_fail():
    chains = record(0)
    assert convergence.judge_chains(chains, apart=True).status == "ok"
    shift = np.arange(4.0)[:, None, None] * np.ones_like(chains["probe"])
    modes = chains | {"probe": chains["probe"] + shift}
    assert convergence.judge_chains(modes).status == "failed"
    verdict = convergence.judge_chains(modes, apart=True)
    assert verdict.status == "warned"
    assert "modes of their own" in verdict.reasons[0]


def test_chains_too_short_to_judge_fail():
    assert convergence.judge_chains(record(0, draws=3)).status == "failed"


def test_of_100_faultless_records_at_most_2_are_flagged():
    flagged = sum(convergence.judge_chains(record(seed)).status != "ok" for seed in range(100))
    assert flagged <= 2


def test_a_few_trajectories_cut_short_are_no_reason_to_warn():
    info = record(0) | {"reached_max_depth": np.arange(4000).reshape(1000, 4) % 25 == 0}
    assert convergence.judge_chains(info).status == "ok"


def short(seed: int, chains: int = 64, draws: int = 20) -> dict[str, np.ndarray]:
    """Return the record of many short chains that began at eight points, and forgot them."""
    origin = np.broadcast_to(np.arange(chains) % 8, (draws, chains))
    return record(seed, draws, chains) | {"origin": origin}


def test_many_short_chains_are_judged_by_where_they_began():
    flagged = [convergence.judge_chains(short(seed)) for seed in range(50)]
    assert sum(verdict.status != "ok" for verdict in flagged) <= 1
    alone = record(0, 20, 64)
    assert "R-hat" in convergence.judge_chains(alone).reasons[0]


def test_short_chains_that_remember_where_they_began_are_flagged():
    info = short(0)
    info["probe"][:, :, 5, 0] += 0.8 * np.random.default_rng(1).normal(size=8)[info["origin"]]
    verdict = convergence.judge_chains(info)
    assert verdict.status == "failed"
    assert "nested R-hat" in verdict.reasons[0]


def test_probes_are_rows_from_first_to_last_and_some_twice_as_far_from_the_middle():
    x = np.arange(100.0)[:, None]
    found = convergence.probes(x)
    assert found.shape == (24 + 8, 1)
    assert found[[0, 23], 0].tolist() == [0, 99]
    assert found[[24, 31], 0].tolist() == [-49.5, 148.5]
    assert convergence.probes(x[:5]).shape == (5 + 5, 1)
    assert convergence.probes(x.astype(int)).tolist() == found[:24].astype(int).tolist()


@pytest.mark.parametrize(
    ("likelihood", "outputs", "columns"),
    [(Gaussian(0.5), 1, 2), (Bernoulli(), 1, 1), (Categorical(), 3, 3)],
)
def test_function_values_are_what_is_predicted(likelihood, outputs, columns):
    model = Model(MLP(outputs=outputs, hidden=()), Normal(), likelihood)
    x = np.ones((4, 2), np.float32)
    weights = model.network.init(jax.random.key(0), x)
    values = convergence.function_values(model, weights, x)
    assert values.shape == (4, columns)
    f = np.asarray(model.network.apply(weights, x)[0])
    if columns == 2:
        np.testing.assert_allclose(
            values, np.concatenate([f, np.full((4, 1), np.log(0.25))], 1), rtol=1e-5
        )
    elif columns == 1:
        np.testing.assert_allclose(values, -np.logaddexp(0, -f), rtol=1e-5)
    else:
        np.testing.assert_allclose(np.exp(values).sum(axis=1), 1, rtol=1e-5)
