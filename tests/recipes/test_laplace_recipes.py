"""What the recipes of Laplace compare with, and that they fail on a planted error."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from posterium import recipes
from posterium.recipes import r0_laplace, r1_more_laplace

RNG = np.random.default_rng(1)


def test_averaged_probabilities_equal_an_integral():
    mean, sd = np.array([0.3, -2.0]), np.array([1.5, 0.2])
    found = r0_laplace.averaged_exactly(mean, sd)
    for m, s, average, spread in zip(mean, sd, *found, strict=True):

        def moment(power, m=m, s=s):
            return quad(lambda f: expit(f) ** power * norm.pdf(f, m, s), m - 9 * s, m + 9 * s)[0]

        assert average == pytest.approx(moment(1), abs=1e-6)
        assert spread == pytest.approx(np.sqrt(moment(2) - moment(1) ** 2), abs=1e-5)


def test_structures_agree_where_all_rows_are_curved_alike():
    x = RNG.normal(size=(30, 2))
    found = r0_laplace.precisions(x, np.full(30, 0.2))
    expected = 0.16 * x.T @ x + 40 * np.eye(2)
    for name in ("full", "kronecker", "low_rank", "functional"):
        np.testing.assert_allclose(found[name], expected, rtol=1e-12)
    np.testing.assert_allclose(found["diagonal"], np.diag(np.diag(expected)), rtol=1e-12)


def test_a_choice_is_near_the_best_unless_another_is_clearly_above():
    noise = RNG.normal(size=100)
    other = RNG.normal(size=100)
    other -= other.mean() - noise.mean()
    assert r1_more_laplace.near_the_best([noise, noise - 1], 0)
    assert r1_more_laplace.near_the_best([noise, other + 0.1], 0)
    assert not r1_more_laplace.near_the_best([noise, other + 0.5], 0)


@pytest.mark.slow
def test_a_prior_that_is_a_little_too_wide_fails_for_every_structure(monkeypatch):
    monkeypatch.setattr(r0_laplace, "TAU", 39.9)
    gates = recipes.run("R0.laplace", fast=True)["gates"]
    for name in r0_laplace.STRUCTURES:
        assert gates[f"{name}_as_in_numpy"] is False


@pytest.mark.slow
def test_choosing_the_network_of_least_evidence_fails_on_held_out_rows(monkeypatch):
    monkeypatch.setattr(r1_more_laplace, "choose", lambda evidence: int(np.argmin(evidence)))
    gates = recipes.run("R1.more.laplace", fast=True)["gates"]
    for name in ("nonlinear8", "moons"):
        assert gates[f"choice_on_{name}_near_the_best_held_out"] is False
        assert gates[f"choice_on_{name}_scores_above_linear"] is False
