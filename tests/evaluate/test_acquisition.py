"""Acquisition scores: against enumeration, quadrature and plain Monte Carlo."""

import itertools

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import entr
from scipy.stats import norm

from posterium.evaluate import acquisition
from posterium.posterior.components.classes import ClassComponents
from posterium.posterior.components.gaussian import GaussianComponents
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive

RNG = np.random.default_rng(5)
S, N, C = 30, 8, 3
PROBS = RNG.dirichlet([0.6, 1.0, 0.8], (S, N))
MEAN = RNG.normal(size=(6, 4, 1))
VARIANCE = RNG.uniform(0.2, 1.5, (6, 4, 1))


def classes(probs=PROBS):
    return ClassPredictive(lambda: [ClassComponents.from_probs(probs)], probs.shape[1:])


def numbers(mean=MEAN, function=VARIANCE):
    block = GaussianComponents(mean, 0.3, function)
    return RegressionPredictive(lambda: [block], block.shape[1:], squeeze=True)


def information(probs, rows):
    """Return the mutual information of the labels of some rows and the function, by enumeration."""
    labels = itertools.product(range(probs.shape[2]), repeat=len(rows))
    each = [np.prod(probs[:, rows, list(label)], axis=1).mean() for label in labels]
    return entr(each).sum() - entr(probs[:, rows]).sum(axis=(1, 2)).mean()


def test_bald_is_what_a_label_tells_of_the_function():
    exact = [information(PROBS, [row]) for row in range(N)]
    np.testing.assert_allclose(acquisition.bald(classes()), exact, rtol=1e-10)


def test_bald_of_a_gaussian_over_functions_is_its_mutual_information():
    one = numbers(MEAN[:1], VARIANCE[:1])
    np.testing.assert_allclose(acquisition.bald(one), 0.5 * np.log1p(VARIANCE[0, :, 0] / 0.3))


def test_scores_of_single_rows_are_their_definitions():
    mean = PROBS.mean(axis=0)
    np.testing.assert_allclose(acquisition.max_entropy(classes()), entr(mean).sum(axis=1))
    np.testing.assert_allclose(acquisition.variance(classes()), PROBS.var(axis=0).sum(axis=1))
    ordered = np.sort(mean, axis=1)
    gap = ordered[:, -1] - ordered[:, -2]
    np.testing.assert_allclose(acquisition.margin(classes()), 1 - gap)
    votes = [np.bincount(PROBS[:, row].argmax(axis=1), minlength=C).max() for row in range(N)]
    np.testing.assert_allclose(acquisition.variation_ratio(classes()), 1 - np.array(votes) / S)
    exact = MEAN.var(axis=0) + VARIANCE.mean(axis=0)
    np.testing.assert_allclose(acquisition.variance(numbers()), exact[:, 0])


def test_a_batch_is_the_greedy_one_by_enumeration():
    rows, found = acquisition.batch_bald(PROBS, 3)
    chosen = []
    for place in range(3):
        gain = {row: information(PROBS, [*chosen, row]) for row in range(N) if row not in chosen}
        chosen.append(max(gain, key=gain.get))
        assert found[place] == pytest.approx(gain[chosen[-1]], rel=1e-9)
    assert rows.tolist() == chosen


def test_a_batch_does_not_ask_the_same_twice():
    probs = np.concatenate([PROBS[:, :1], PROBS[:, :1], PROBS[:, 1:2]], axis=1)
    best = int(acquisition.bald(classes(probs)).argmax())
    if best == 2:
        probs = probs[:, [2, 2, 0]]
    rows, _ = acquisition.batch_bald(probs, 2)
    assert set(rows) == {0, 2}


def test_a_batch_that_is_too_large_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match="combinations"):
        acquisition.batch_bald(np.full((10, 30, 10), 0.1), 8)
    with pytest.raises(ValueError, match="size must be from 1"):
        acquisition.batch_bald(PROBS, N + 1)
    with pytest.raises(ValueError, match="sum to 1"):
        acquisition.batch_bald(np.ones((3, 4, 2)), 2)


def test_epig_is_the_mutual_information_of_two_labels():
    target = RNG.dirichlet([1.0, 1.0, 1.0], (S, 2))
    found = acquisition.epig(PROBS, target)
    for row in range(N):
        values = []
        for place in range(2):
            joint = np.mean(PROBS[:, row, :, None] * target[:, place, None, :], axis=0)
            apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
            values.append(np.sum(joint * np.log(joint / apart)))
        assert found[row] == pytest.approx(np.mean(values), rel=1e-9)
    with pytest.raises(ValueError, match="same functions"):
        acquisition.epig(PROBS, target[:5])


@pytest.mark.parametrize("maximise", [True, False])
def test_improvement_is_an_integral_over_the_mixture(maximise):
    best, side = 0.4, 1 if maximise else -1
    predictive = numbers()
    found = acquisition.expected_improvement(predictive, best, maximise=maximise)
    chance = acquisition.probability_of_improvement(predictive, best, maximise=maximise)
    for row in range(4):
        mean, sd = MEAN[:, row, 0], np.sqrt(VARIANCE[:, row, 0])

        def density(f, mean=mean, sd=sd):
            return norm.pdf(f, mean, sd).mean()

        ends = (best, 12.0) if maximise else (-12.0, best)
        gain = quad(lambda f: side * (f - best) * density(f), *ends, epsabs=1e-12)[0]
        assert found[row] == pytest.approx(gain, rel=1e-8)
        assert chance[row] == pytest.approx(quad(density, *ends, epsabs=1e-12)[0], rel=1e-8)


def test_improvement_by_draws_is_an_average_over_them():
    predictive = numbers(MEAN, 0.0)
    gain = np.maximum(MEAN - 0.1, 0).mean(axis=0)[:, 0]
    np.testing.assert_allclose(acquisition.expected_improvement(predictive, 0.1), gain)
    chance = (MEAN > 0.1).mean(axis=0)[:, 0]
    np.testing.assert_allclose(acquisition.probability_of_improvement(predictive, 0.1), chance)


def test_a_bound_looks_towards_the_better_side():
    mean, sd = numbers().mean, numbers().epistemic_sd
    np.testing.assert_allclose(acquisition.confidence_bound(numbers(), 3.0), mean + 3 * sd)
    lower = acquisition.confidence_bound(numbers(), 3.0, maximise=False)
    np.testing.assert_allclose(-lower, mean - 3 * sd)


def test_each_function_chooses_its_own_best_row():
    values = RNG.normal(size=(5, 7, 1))
    assert acquisition.thompson(values).tolist() == values[:, :, 0].argmax(axis=1).tolist()
    found = acquisition.thompson(values[:, :, 0], maximise=False)
    assert found.tolist() == values[:, :, 0].argmin(axis=1).tolist()
    with pytest.raises(ValueError, match="Choose one output"):
        acquisition.thompson(np.zeros((2, 3, 2)))
