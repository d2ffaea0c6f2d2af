"""R-hat, effective sample size and Monte Carlo error against BlackJAX's and closed forms."""

import jax
import numpy as np
import pytest
from blackjax import diagnostics
from scipy.special import ndtri
from scipy.stats import f_oneway, rankdata
from tests.evaluate.simulated import autoregressive

from posterium.evaluate import mixing


@pytest.mark.parametrize("name", ["rhat", "ess_bulk", "ess_tail"])
def test_diagnostics_agree_with_an_independent_implementation(name):
    values = autoregressive(0, 4, 200, 0.6)
    values[0, :, 1] += 1
    values[:2, :, 2] *= 3
    with jax.enable_x64(True):
        expected = [getattr(diagnostics, name)(values[:, :, i]) for i in range(3)]
    # BlackJAX also bounds the last even autocorrelation, where Stan does not: parts of a percent.
    tolerance = 1e-9 if name == "rhat" else 5e-3
    np.testing.assert_allclose(getattr(mixing, name)(values), expected, rtol=tolerance)


def test_the_standard_error_of_the_mean_agrees_with_that_of_an_autoregression():
    rho, chains, draws = 0.7, 4, 5000
    values = autoregressive(1, chains, draws, rho, 20)
    exact = np.sqrt((1 + rho) / (1 - rho) / (chains * draws))
    np.testing.assert_allclose(mixing.mcse(values), exact, rtol=0.15)
    z = values.mean(axis=(0, 1)) / mixing.mcse(values)
    assert np.abs(z).max() < 4


def test_chains_of_different_spread_are_told_apart():
    values = autoregressive(2, 4, 1000, 0.0, 1)
    assert mixing.rhat(values)[0] < 1.01
    values[0] *= 3
    assert mixing.rhat(values)[0] > 1.05


def test_chains_that_repeat_draws_are_ranked_with_shared_ranks():
    values = np.repeat(autoregressive(4, 4, 100, 0.5), 3, axis=1)
    with jax.enable_x64(True):
        expected = [diagnostics.ess_bulk(values[:, :, i]) for i in range(3)]
    np.testing.assert_allclose(mixing.ess_bulk(values), expected, rtol=5e-3)


def test_a_constant_is_not_judged_and_constants_that_differ_are_infinitely_far_apart():
    assert mixing.sd(np.full((4, 100, 1), 0.1, np.float32)) == 0
    same, apart = np.ones((4, 100, 1)), np.arange(4.0)[:, None, None] * np.ones((4, 100, 1))
    assert np.isnan(mixing.rhat(same)).all()
    assert np.isnan(mixing.ess_bulk(same)).all()
    assert np.isinf(mixing.rhat(apart)).all()


def test_a_summary_names_every_number():
    found = mixing.summary(autoregressive(3, 4, 500, 0.2, 2))
    assert set(found) == {"mean", "sd", "mcse", "rhat", "ess_bulk", "ess_tail"}
    assert all(value.shape == (2,) for value in found.values())


def nested_by_hand(values: np.ndarray, origin: list[int]) -> float:
    """Return the nested R-hat of draws (c, s) by the sums of its definition."""
    means, within = [], []
    for start in sorted(set(origin)):
        chains = [chain for chain, at in zip(values, origin, strict=True) if at == start]
        middle = [sum(chain) / len(chain) for chain in chains]
        about = [np.var(chain, ddof=1) for chain in chains]
        centre = sum(middle) / len(middle)
        among = sum((m - centre) ** 2 for m in middle) / (len(middle) - 1)
        means.append(centre)
        within.append(among + sum(about) / len(about))
    overall = sum(means) / len(means)
    between = sum((m - overall) ** 2 for m in means) / (len(means) - 1)
    return (1 + between / (sum(within) / len(within))) ** 0.5


def scores(values: np.ndarray) -> np.ndarray:
    return ndtri((rankdata(values) - 0.375) / (values.size + 0.25)).reshape(values.shape)


def test_nested_r_hat_is_that_of_its_definition():
    origin = [0, 1, 2, 3] * 4
    values = autoregressive(5, 16, 20, 0.5)
    values[1::4, :, 1] += 0.8
    values[2::4, :, 2] *= 3
    found = mixing.nested_rhat(mixing.superchains(values, np.array(origin)))
    for column, here in zip(np.moveaxis(values, 2, 0), found, strict=True):
        folded = np.abs(column - np.median(column))
        expected = max(nested_by_hand(scores(part), origin) for part in (column, folded))
        assert here == pytest.approx(expected, rel=1e-12)


def test_the_chance_of_origins_is_an_analysis_of_variance_of_the_chains_means():
    values = autoregressive(6, 16, 10, 0.3, 1)
    nested = mixing.superchains(values, np.arange(16) % 4)
    folded = np.abs(values - np.median(values))
    chances = []
    for part in (values[..., 0], folded[..., 0]):
        means = scores(part).mean(axis=1)
        chances.append(f_oneway(*(means[i::4] for i in range(4))).pvalue)
    assert mixing.chance_of_origins(nested)[0] == pytest.approx(min(chances), rel=1e-9)


def test_nested_r_hat_of_independent_draws_is_that_of_their_number():
    starts, chains, draws = 40, 8, 10
    values = autoregressive(7, starts * chains, draws, 0.0, 20)
    found = mixing.nested_rhat(mixing.superchains(values, np.arange(len(values)) % starts))
    # B of k superchains has a relative standard deviation of sqrt(2 / (k - 1)).
    excess, expected = found**2 - 1, 1 / (chains * draws)
    assert (excess > expected * (1 - 4 * np.sqrt(2 / (starts - 1)))).all()
    assert np.mean(excess) < expected * (1 + 4 * np.sqrt(2 / (starts - 1)))


def test_chains_that_remember_their_start_are_told_from_short_ones_that_do_not():
    origin = np.arange(64) % 8
    values = autoregressive(8, 64, 10, 0.0, 2)
    values[:, :, 1] += 0.5 * np.random.default_rng(1).normal(size=8)[origin, None]
    nested = mixing.superchains(values, origin)
    forgotten, remembered = mixing.chance_of_origins(nested)
    assert forgotten > 1e-3
    assert remembered < 1e-4
    assert mixing.nested_rhat(nested)[1] > 1.05


@pytest.mark.parametrize("origin", [[0, 1, 2, 3], [0, 0, 0, 0], [0, 0, 0, 1]])
def test_there_are_superchains_only_where_several_chains_began_at_each_of_several_points(origin):
    assert mixing.superchains(np.zeros((4, 10)), np.array(origin)) is None


def test_constants_have_no_nested_r_hat_and_constants_apart_an_infinite_one():
    same, apart = np.ones((4, 10)), np.array([0.0, 0, 1, 1])[:, None] * np.ones((4, 10))
    origin = np.array([0, 0, 1, 1])
    assert np.isnan(mixing.nested_rhat(mixing.superchains(same, origin)))
    assert np.isinf(mixing.nested_rhat(mixing.superchains(apart, origin)))


def test_the_fraction_of_missing_information_is_that_of_its_definition():
    rng = np.random.default_rng(9)
    energy = np.stack([rng.normal(size=5000), np.ones(5000)])
    found = mixing.bfmi(energy)
    # Of independent energies it is 2, with an error of about sqrt(8 / s).
    assert abs(found[0] - 2) < 4 * np.sqrt(8 / 5000)
    assert np.isnan(found[1])
