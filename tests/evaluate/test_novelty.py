"""Scores of strangeness: against their definitions written out, and on a fit of two blobs."""

import functools

import jax
import numpy as np
import pytest
from scipy.special import logsumexp

from posterium import (
    MAP,
    MLP,
    Bernoulli,
    Categorical,
    Ensemble,
    Gaussian,
    Model,
    Normal,
    Poisson,
    as_data,
    fit,
    predict,
)
from posterium.evaluate import novelty
from posterium.evaluate.scores import auroc
from posterium.posterior.components import kinds
from posterium.posterior.components.classes import ClassComponents
from posterium.posterior.components.gaussian import GaussianComponents
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive

RNG = np.random.default_rng(2)
S, N = 7, 5
PROBS = RNG.dirichlet([1.0, 2.0, 0.5], (S, N))
MEAN, VARIANCE = RNG.normal(size=(S, N, 2)), RNG.uniform(0.5, 2, (S, N, 2))


def classes(probs=PROBS):
    return ClassPredictive(lambda: [ClassComponents.from_probs(probs)], probs.shape[1:])


def gaussians():
    return RegressionPredictive(lambda: [GaussianComponents(MEAN, VARIANCE)], (N, 2))


def pairs(divergence):
    found = [divergence(i, j) for i in range(S) for j in range(S) if i != j]
    return np.mean(found, axis=0)


def test_confidence_and_entropy_are_those_of_the_averaged_probabilities():
    mean = PROBS.mean(axis=0)
    np.testing.assert_allclose(novelty.least_confidence(classes()), 1 - mean.max(axis=1))
    np.testing.assert_allclose(novelty.entropy(classes()), -(mean * np.log(mean)).sum(axis=1))


def test_divergence_of_draws_is_the_mean_over_all_pairs_of_classes():
    exact = pairs(lambda i, j: np.sum(PROBS[i] * np.log(PROBS[i] / PROBS[j]), axis=1))
    np.testing.assert_allclose(novelty.pairwise_kl(classes()), exact, rtol=1e-10)
    assert (exact > novelty.mutual_information(classes())).all()


def test_divergence_of_draws_is_the_mean_over_all_pairs_of_gaussians():
    def divergence(i, j):
        ratio = VARIANCE[i] / VARIANCE[j]
        return 0.5 * (ratio - 1 - np.log(ratio) + (MEAN[i] - MEAN[j]) ** 2 / VARIANCE[j])

    np.testing.assert_allclose(novelty.pairwise_kl(gaussians()), pairs(divergence), rtol=1e-10)


def test_a_class_that_no_draw_expects_adds_nothing():
    probs = np.concatenate([PROBS[:, :, :2], np.zeros((S, N, 1))], axis=2)
    probs /= probs.sum(axis=2, keepdims=True)
    two = novelty.pairwise_kl(classes(probs[:, :, :2]))
    np.testing.assert_allclose(novelty.pairwise_kl(classes(probs)), two)


@functools.cache
def blobs(two=False):
    """Return an ensemble fitted to three (or two) blobs, and rows like them and far away."""
    rng = np.random.default_rng(0)
    label = np.arange(90) % (2 if two else 3)
    centre = np.array([[-2.0, 0], [2, 0], [0, 3]])
    x = centre[label] + 0.5 * rng.normal(size=(90, 2))
    likelihood, outputs = (Bernoulli(), 1) if two else (Categorical(), 3)
    model = Model(MLP(outputs=outputs, hidden=(16,)), Normal(), likelihood)
    found = fit(jax.random.key(0), model, as_data(x, label), Ensemble(MAP(steps=200), 4))
    return found, x, rng.normal(size=(90, 2)) - np.array([0, 7])


@pytest.mark.parametrize(
    ("score", "least"),
    [("least_confidence", 0.65), ("entropy", 0.65), ("mutual_information", 0.8),
     ("pairwise_kl", 0.8)],
)  # fmt: skip
def test_rows_far_from_the_data_score_higher(score, least):
    found, near, far = blobs()
    values = getattr(novelty, score)(predict(jax.random.key(1), found, np.concatenate([near, far])))
    assert auroc(values, np.arange(180) >= 90).value > least


@pytest.mark.parametrize("two", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_energy_is_that_of_the_logits(two):
    found, x, _ = blobs(two)
    values = novelty.energy(jax.random.key(1), found, x)
    logits = []
    for place in range(4):
        part, model = found.posterior.member(place)
        f = np.asarray(model.network.apply(part.weights, x.astype(np.float32))[0])
        logits.append(np.column_stack([np.zeros(len(f)), f]) if two else f)
    np.testing.assert_allclose(values, -logsumexp(logits, axis=2).mean(axis=0), rtol=1e-5)


def test_what_a_score_cannot_see_is_refused():
    one = GaussianComponents(np.zeros((1, 2, 1)), 1.0)
    with pytest.raises(ValueError, match="how='draws'"):
        novelty.pairwise_kl(RegressionPredictive(lambda: [one], (2, 1)))
    counts = kinds.components(Poisson(), [np.ones((3, 2, 1))])
    with pytest.raises(ValueError, match="PoissonLaw"):
        novelty.pairwise_kl(RegressionPredictive(lambda: [counts], (2, 1)))
    x = RNG.normal(size=(20, 1))
    line = fit(jax.random.key(0), Model(MLP(hidden=(2,)), Normal(), Gaussian(0.1)),
               as_data(x, x), MAP(steps=2))  # fmt: skip
    with pytest.raises(ValueError, match="energy expects logits"):
        novelty.energy(jax.random.key(0), line, x)


def test_the_sd_of_the_function_is_given_as_it_is():
    np.testing.assert_allclose(novelty.epistemic_sd(gaussians()), MEAN.std(axis=0))
