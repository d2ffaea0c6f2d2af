"""Class probabilities from Gaussian outputs against quadrature, NumPy's Dirichlet and limits."""

import jax
import numpy as np
import pytest
from scipy.special import entr, expit, softmax

from posterium import Bernoulli, Categorical
from posterium.posterior import links
from posterium.posterior.components.classes import ClassComponents
from posterium.posterior.predictive import ClassPredictive

RNG = np.random.default_rng(11)
ALPHA = np.array([[30.0, 12.0, 7.0], [4.0, 5.0, 6.0], [200.0, 3.0, 2.0]])
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(80)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def predictive(log_probs, spread):
    block = ClassComponents(np.asarray(log_probs)[None], np.asarray(spread)[None])
    return ClassPredictive(lambda: [block], block.shape[1:])


def in_logits(alpha):
    """Return mode and covariance of Dirichlet distributions in the logits, from the density."""
    mode = np.log(alpha) - np.log(alpha).mean(1, keepdims=True)
    share = alpha / alpha.sum(1, keepdims=True)
    curvature = alpha.sum(1)[:, None, None] * (
        share[:, :, None] * np.eye(alpha.shape[1]) - share[:, :, None] * share[:, None, :]
    )
    return mode, np.linalg.pinv(curvature)


def test_two_classes_are_averaged_to_two_hundredths_of_quadrature():
    mean, variance = (a.reshape(-1, 1) for a in np.meshgrid(np.linspace(-8, 8, 33), [0.1, 1, 9]))
    exact = expit(mean + np.sqrt(variance) * NODES) @ WEIGHTS / WEIGHTS.sum()
    found = np.exp(links.probit(Bernoulli(), mean, variance))
    assert np.abs(found[:, 1] - exact).max() < 0.02
    assert np.abs(expit(mean[:, 0]) - exact).max() > 0.15
    np.testing.assert_allclose(found[:, 1], expit(mean / np.sqrt(1 + np.pi / 8 * variance))[:, 0])


def test_every_logit_is_shrunk_by_its_own_variance():
    mean, variance = RNG.normal(size=(5, 4)), RNG.uniform(0, 3, (5, 4))
    found = links.probit(Categorical(), mean, variance)
    expected = softmax(mean / np.sqrt(1 + np.pi * variance / 8), axis=1)
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-12)


def test_without_variance_both_are_the_softmax():
    mean = 5 * RNG.normal(size=(6, 4))
    np.testing.assert_allclose(
        np.exp(links.probit(Categorical(), mean, np.zeros((6, 4)))), softmax(mean, 1), rtol=1e-12
    )
    for size in (0.0, 1e-12):
        covariance = size * np.broadcast_to(np.diag([1.0, 2.0, 3.0, 9.0]), (6, 4, 4))
        found = predictive(*links.bridge(Categorical(), mean, covariance))
        np.testing.assert_allclose(found.probs, softmax(mean, 1), rtol=1e-12)
        np.testing.assert_allclose(found.aleatoric_entropy, found.entropy, rtol=1e-9)


def test_the_bridge_leads_from_a_dirichlet_to_its_gaussian_and_back():
    log_probs, spread = links.bridge(Categorical(), *in_logits(ALPHA))
    np.testing.assert_allclose(np.exp(log_probs) / spread, ALPHA, rtol=1e-9)


def test_what_all_logits_share_changes_nothing():
    mean, covariance = in_logits(ALPHA)
    moved = links.bridge(Categorical(), mean + 3, covariance + 5 * np.ones((3, 3)))
    for one, two in zip(moved, links.bridge(Categorical(), mean, covariance), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9)


def test_one_logit_is_a_beta_distribution_and_two_logits_of_two_classes():
    f, variance = np.array([[-1.0], [0.3], [2.5]]), np.array([0.5, 0.1, 1.5])[:, None, None]
    log_probs, spread = links.bridge(Bernoulli(), f, variance)
    beta = np.exp(log_probs) / spread
    expected = np.concatenate([1 + np.exp(-f), 1 + np.exp(f)], 1) / variance[:, 0]
    np.testing.assert_allclose(beta, expected, rtol=1e-10)
    pair = np.concatenate([np.zeros_like(f), f], 1), variance * np.diag([0.0, 1.0])
    two = links.bridge(Categorical(), *pair)
    np.testing.assert_allclose(two[0], log_probs, rtol=1e-10)
    np.testing.assert_allclose(two[1], spread, rtol=1e-10)


def test_entropies_of_the_dirichlet_are_those_of_a_million_draws():
    found = predictive(*links.bridge(Categorical(), *in_logits(ALPHA)))
    for row, alpha in enumerate(ALPHA):
        draws = RNG.dirichlet(alpha, 10**6)
        entropy = entr(draws).sum(1)
        error = entropy.std() / 1000
        assert abs(found.aleatoric_entropy[row] - entropy.mean()) < 4.5 * error
        assert abs(found.mutual_information[row] - found.entropy[row] + entropy.mean()) < 5 * error
        share = alpha / alpha.sum()
        np.testing.assert_allclose(found.probs[row], share, rtol=1e-9)
        np.testing.assert_allclose(found.log_prob(np.array([row] * 3))[row], np.log(share[row]))


@pytest.mark.parametrize("size", [0.02, 0.5])
def test_the_bridge_is_near_the_law_of_the_softmax_where_variances_are_small(size):
    mean, root = RNG.normal(size=(1, 4)), np.sqrt(size) * RNG.normal(size=(4, 4)) / 2
    draws = softmax(mean + RNG.normal(size=(200_000, 4)) @ root.T, axis=1)
    found = predictive(*links.bridge(Categorical(), mean, (root @ root.T)[None]))
    np.testing.assert_allclose(found.probs[0], draws.mean(0), atol=0.1 * size)
    information = entr(draws.mean(0)).sum() - entr(draws).sum(1).mean()
    assert found.mutual_information[0] == pytest.approx(information, rel=0.4 * np.sqrt(size))


def test_a_large_variance_moderates_the_mean_of_the_bridge():
    f = np.array([[3.0]])
    exact = (expit(f + np.sqrt(40) * NODES) @ WEIGHTS / WEIGHTS.sum())[0]
    found = predictive(*links.bridge(Bernoulli(), f, np.full((1, 1, 1), 40.0))).probs[0, 1]
    assert abs(found - exact) < 0.05
    assert abs(expit(3.0) - exact) > 0.2


def test_averages_have_no_split_into_aleatoric_and_epistemic():
    log_probs = links.probit(Bernoulli(), np.ones((2, 1)), np.ones((2, 1)))
    found = predictive(log_probs, np.full((2, 1), np.nan))
    assert (found.entropy > 0).all()
    for name in ("aleatoric_entropy", "mutual_information"):
        with pytest.raises(ValueError, match=r"how='probit' gives averages. Use how='linear'"):
            getattr(found, name)
