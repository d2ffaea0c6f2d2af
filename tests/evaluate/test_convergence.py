"""R-hat and effective sample size against BlackJAX's and closed forms; the verdict on chains."""

import jax
import numpy as np
import pytest
from blackjax import diagnostics

from posterium import MLP, Bernoulli, Categorical, Gaussian, Model, Normal
from posterium.evaluate import convergence


def autoregressive(seed: int, chains: int, draws: int, rho: float, quantities: int = 3):
    """Return stationary chains of unit variance with correlation rho from draw to draw."""
    noise = np.random.default_rng(seed).normal(size=(draws, chains, quantities))
    values = np.empty_like(noise)
    values[0] = noise[0]
    for t in range(1, draws):
        values[t] = rho * values[t - 1] + np.sqrt(1 - rho**2) * noise[t]
    return np.swapaxes(values, 0, 1)


@pytest.mark.parametrize("name", ["rhat", "ess_bulk", "ess_tail"])
def test_diagnostics_agree_with_an_independent_implementation(name):
    values = autoregressive(0, 4, 200, 0.6)
    values[0, :, 1] += 1
    values[:2, :, 2] *= 3
    with jax.enable_x64(True):
        expected = [getattr(diagnostics, name)(values[:, :, i]) for i in range(3)]
    # BlackJAX also bounds the last even autocorrelation, where Stan does not: parts of a percent.
    tolerance = 1e-9 if name == "rhat" else 5e-3
    np.testing.assert_allclose(getattr(convergence, name)(values), expected, rtol=tolerance)


def test_the_standard_error_of_the_mean_agrees_with_that_of_an_autoregression():
    rho, chains, draws = 0.7, 4, 5000
    values = autoregressive(1, chains, draws, rho, 20)
    exact = np.sqrt((1 + rho) / (1 - rho) / (chains * draws))
    np.testing.assert_allclose(convergence.mcse(values), exact, rtol=0.15)
    z = values.mean(axis=(0, 1)) / convergence.mcse(values)
    assert np.abs(z).max() < 4


def test_chains_of_different_spread_are_told_apart():
    values = autoregressive(2, 4, 1000, 0.0, 1)
    assert convergence.rhat(values)[0] < 1.01
    values[0] *= 3
    assert convergence.rhat(values)[0] > 1.05


def test_chains_that_repeat_draws_are_ranked_with_shared_ranks():
    values = np.repeat(autoregressive(4, 4, 100, 0.5), 3, axis=1)
    with jax.enable_x64(True):
        expected = [diagnostics.ess_bulk(values[:, :, i]) for i in range(3)]
    np.testing.assert_allclose(convergence.ess_bulk(values), expected, rtol=5e-3)


def test_a_constant_is_not_judged_and_constants_that_differ_are_infinitely_far_apart():
    same, apart = np.ones((4, 100, 1)), np.arange(4.0)[:, None, None] * np.ones((4, 100, 1))
    assert np.isnan(convergence.rhat(same)).all()
    assert np.isnan(convergence.ess_bulk(same)).all()
    assert np.isinf(convergence.rhat(apart)).all()


def test_a_summary_names_every_number():
    found = convergence.summary(autoregressive(3, 4, 500, 0.2, 2))
    assert set(found) == {"mean", "sd", "mcse", "rhat", "ess_bulk", "ess_tail"}
    assert all(value.shape == (2,) for value in found.values())


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
        ("slow energy", "warned", "Energies"),
        ("short", "warned", "effective draws"),
    ],
)
def test_a_fault_is_named_with_what_to_try_next(name, status, words):
    verdict = convergence.judge_chains(spoil(name))
    assert verdict.status == status
    assert any(words in reason for reason in verdict.reasons)
    assert len(verdict.advice) == len(verdict.reasons)


def test_chains_too_short_to_judge_fail():
    assert convergence.judge_chains(record(0, draws=3)).status == "failed"


def test_of_100_faultless_records_at_most_2_are_flagged():
    flagged = sum(convergence.judge_chains(record(seed)).status != "ok" for seed in range(100))
    assert flagged <= 2


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
