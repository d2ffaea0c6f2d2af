"""The bandit's world and rules, and that Thompson sampling without exploration fails the gates."""

import jax
import numpy as np
import pytest

from posterium import recipes
from posterium.recipes import r1_more_thompson as bandit

KEY = jax.random.key(3)


def test_contexts_are_uniform_on_the_disk():
    x = bandit.contexts(np.random.default_rng(0), 10_000)
    radius = np.hypot(*x.T)
    assert radius.max() <= 1
    for part in (0.3, 0.5, 0.8):
        share = part**2
        assert abs((radius < part).mean() - share) < 5 * np.sqrt(share * (1 - share) / 10_000)
    assert (np.abs(x.mean(axis=0)) < 5 * 0.5 / 100).all()


def test_each_quarter_of_the_ring_has_a_rich_arm_of_its_own():
    x = np.array([[0.6, 0.6], [-0.6, 0.6], [0.6, -0.6], [-0.6, -0.6], [0.1, 0.1]])
    found = bandit.rewards(x)
    assert found.argmax(axis=1).tolist() == [1, 2, 3, 4, 0]
    assert (found[:, 0] == bandit.SAFE).all()
    assert found.sum(axis=1).tolist() == [bandit.SAFE + bandit.RICH] * 4 + [bandit.SAFE]


def test_regret_is_what_the_best_arm_would_have_paid_more():
    def always(key, fit, x, generator):
        return np.ones(len(x), int)

    found = bandit.play(KEY, always, 25)
    world = np.random.default_rng(np.asarray(jax.random.key_data(jax.random.split(KEY)[0])))
    means = bandit.rewards(bandit.contexts(world, 30)[5:])
    np.testing.assert_array_equal(found, means.max(axis=1) - means[:, 1])
    chance = bandit.by_chance(KEY, 25)
    np.testing.assert_allclose(chance, means.max(axis=1) - means.mean(axis=1))


def test_the_posterior_after_all_batches_is_that_of_all_rows_at_once():
    seen = []

    def recorded(key, fit, x, generator):
        seen.append((fit, x))
        return np.arange(len(x)) % bandit.ARMS

    bandit.play(KEY, recorded, 50)
    fit = seen[-1][0]
    x = np.concatenate([part for _, part in seen[:-1]])
    world = np.random.default_rng(np.asarray(jax.random.key_data(jax.random.split(KEY)[0])))
    first = bandit.contexts(world, 55)[:5]
    noise = bandit.NOISE * world.standard_normal((55, bandit.ARMS))
    x, arm = np.concatenate([first, x]), np.r_[np.arange(5), np.arange(25) % 5]
    rows = np.arange(len(x))
    y = (bandit.rewards(x) + noise[: len(x)])[rows, arm]
    with jax.enable_x64(True):
        design = np.asarray(
            fit.model.network.design(fit.posterior.mode(), bandit.inputs(x)[rows * 5 + arm])
        )
    precision = np.eye(design.shape[1]) + design.T @ design / bandit.NOISE**2
    mean = np.linalg.solve(precision, design.T @ y) / bandit.NOISE**2
    np.testing.assert_allclose(
        fit.posterior.mode().params["coefficients"][:, 0], mean, rtol=1e-6, atol=1e-8
    )


@pytest.mark.slow
def test_functions_that_are_all_alike_do_not_beat_the_greedy_policy(monkeypatch):
    monkeypatch.setitem(bandit.POLICIES, "Thompson", bandit.greedy)
    gates = recipes.run("R1.more.thompson", fast=True)["gates"]
    assert gates["costs_less_than_half_in_the_later_half"] is False
