"""Intervals and sets against their definitions, row by row."""

import math

import numpy as np
import pytest
from tests.evaluate.recalibration.cases import classes, gaussian

from posterium import RAPS, ConformalisedQuantiles, SplitConformal, VarianceScaling, recalibrate
from posterium.evaluate.recalibration.sets import APS, LAC

RNG = np.random.default_rng(3)
N = 60
MEAN, SD = RNG.normal(size=(4, N, 2)), RNG.uniform(0.5, 2, (4, N, 2))
Y = 2 * RNG.normal(size=(N, 2))
PROBS = RNG.dirichlet([1.0, 0.5, 2.0], N)
LABELS = RNG.integers(0, 3, N)


def ranked(scores, level):
    return np.sort(scores, axis=0)[math.ceil(round((N + 1) * level, 9)) - 1]


def test_absolute_and_normalised_residuals_give_the_intervals_of_the_textbook():
    predictive = gaussian(MEAN, SD)
    found = recalibrate(predictive, Y, SplitConformal("absolute"))(predictive)
    half = ranked(np.abs(Y - predictive.mean), 0.8)
    np.testing.assert_allclose(found.interval(0.8), predictive.mean + [[[-1]], [[1]]] * half)
    found = recalibrate(predictive, Y, SplitConformal())(predictive)
    half = ranked(np.abs(Y - predictive.mean) / predictive.sd, 0.8) * predictive.sd
    np.testing.assert_allclose(found.interval(0.8), predictive.mean + [[[-1]], [[1]]] * half)


def test_the_ends_of_predicted_intervals_move_by_one_distance():
    predictive = gaussian(MEAN, SD)
    found = recalibrate(predictive, Y, ConformalisedQuantiles(0.5))(predictive)
    low, high = predictive.interval(0.5)
    move = ranked(np.maximum(low - Y, Y - high), 0.8)
    np.testing.assert_allclose(found.interval(0.8), (low - move, high + move))


def test_ends_that_would_cross_meet_halfway():
    predictive = gaussian(np.zeros(50), np.linspace(0.01, 10, 50))
    found = recalibrate(predictive, np.zeros(50), ConformalisedQuantiles())(predictive)
    low, high = found.interval(0.9)
    assert (low <= high).all()
    np.testing.assert_allclose((low + high) / 2, 0, atol=1e-12)
    assert low[0] == high[0]


def test_arrays_have_the_shape_of_the_predictive():
    flat = gaussian(np.zeros(N), 1.0)
    wide = gaussian(np.zeros(N), 1.0, squeeze=False)
    for how in (SplitConformal("absolute"), SplitConformal(), ConformalisedQuantiles()):
        calibrator = recalibrate(flat, Y[:, 0], how)
        assert calibrator(flat).interval()[0].shape == (N,)
        assert calibrator(wide).interval()[0].shape == (N, 1)
        assert len(calibrator(flat)) == N


def test_a_mean_that_does_not_exist_is_refused_and_quantiles_will_do():
    from posterium.numerics.laws.student_t import StudentTLaw
    from posterium.posterior.components.laws import LawComponents
    from posterium.posterior.predictive import RegressionPredictive

    shape = (1, N, 1)
    law = LawComponents(StudentTLaw(), (np.zeros(shape), np.ones(shape), np.full(shape, 1.5)))
    predictive = RegressionPredictive(lambda: [law], (N, 1), squeeze=True)
    with pytest.raises(ValueError, match="no mean or sd"):
        recalibrate(predictive, Y[:, 0], SplitConformal())
    found = recalibrate(predictive, Y[:, 0], ConformalisedQuantiles())(predictive)
    assert np.isfinite(found.interval()).all()


def score_by_hand(measure, probs, label, u):
    order = np.argsort(-probs, kind="stable")
    place = list(order).index(label)
    if isinstance(measure, LAC):
        return 1 - probs[label]
    score = sum(probs[c] for c in order[:place]) + u * probs[label]
    if isinstance(measure, RAPS):
        score += measure.penalty * max(0, place + 1 - measure.free)
    return score


@pytest.mark.parametrize("measure", [LAC(), APS(), RAPS(0.3, 1)], ids=str)
def test_scores_of_classes_are_those_of_their_papers(measure):
    u = RNG.random(N)
    found = measure.score(PROBS, u)
    expected = [
        [score_by_hand(measure, p, c, v) for c in range(3)] for p, v in zip(PROBS, u, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(("name", "measure"), [("lac", LAC()), ("aps", APS()), ("raps", RAPS())])
def test_sets_hold_the_classes_whose_scores_are_up_to_the_threshold(name, measure):
    predictive = classes(PROBS)
    found = recalibrate(predictive, LABELS, SplitConformal(name))(predictive)
    scores = measure.score(predictive.probs, np.ones(N))
    limit = ranked(scores[np.arange(N), LABELS], 0.7)
    np.testing.assert_array_equal(found.sets(0.7), scores <= limit)


def test_sets_are_nested_in_their_level():
    found = recalibrate(classes(PROBS), LABELS, SplitConformal())(classes(PROBS))
    for small, large in ((0.3, 0.5), (0.5, 0.9)):
        assert (found.sets(small) <= found.sets(large)).all()


def test_a_key_goes_with_a_key_and_the_answer_of_a_row_not_with_its_company():
    predictive = classes(PROBS)
    random = recalibrate(predictive, LABELS, SplitConformal("aps"), key=1)
    whole = random(predictive).sets(0.7, key=2)
    np.testing.assert_array_equal(random(classes(PROBS[:5])).sets(0.7, key=2), whole[:5])
    assert (whole != random(predictive).sets(0.7, key=3)).any()
    with pytest.raises(ValueError, match="Expected a key, as when calibrating"):
        random(predictive).sets(0.7)
    plain = recalibrate(predictive, LABELS, SplitConformal("aps"))
    with pytest.raises(ValueError, match="Expected no key"):
        plain(predictive).sets(0.7, key=2)


def test_calibrators_go_one_behind_another():
    predictive = gaussian(MEAN[:, :, 0], SD[:, :, 0])
    scaled = recalibrate(predictive, Y[:, 0], VarianceScaling())(predictive)
    first = recalibrate(predictive, Y[:, 0], SplitConformal())(predictive).interval(0.8)
    second = recalibrate(scaled, Y[:, 0], SplitConformal())(scaled).interval(0.8)
    np.testing.assert_allclose(first, second, rtol=1e-9)


def test_settings_that_are_none_are_refused():
    with pytest.raises(ValueError, match="'normalised', 'absolute' for these"):
        recalibrate(gaussian(MEAN, SD), Y, SplitConformal("aps"))
    with pytest.raises(ValueError, match="'aps', 'lac', 'raps' for these"):
        recalibrate(classes(PROBS), LABELS, SplitConformal("absolute"))
    with pytest.raises(TypeError, match="no key for numbers"):
        recalibrate(gaussian(MEAN, SD), Y, SplitConformal(), key=0)
    with pytest.raises(ValueError, match="inside"):
        ConformalisedQuantiles(1.0)
    with pytest.raises(ValueError, match="at least 0"):
        RAPS(-1.0)
