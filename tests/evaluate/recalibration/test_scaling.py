"""Temperature and variance scaling against known answers."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import log_softmax, softmax
from tests.evaluate.recalibration.cases import classes, classes_drawn, gaussian, in_blocks

from posterium import TemperatureScaling, VarianceScaling, recalibrate
from posterium.evaluate.recalibration.temperature import Temperature
from posterium.evaluate.recalibration.variance import VarianceFactor
from posterium.numerics.laws.student_t import StudentTLaw
from posterium.posterior.components.laws import LawComponents
from posterium.posterior.predictive import RegressionPredictive

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(0, 1.5, (4000, 3))
LABELS = classes_drawn(RNG, softmax(LOGITS, axis=1))


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_a_known_temperature_is_found_within_its_error(temperature):
    """Logits were multiplied by T, so that dividing by it gives back what drew the classes."""
    found = recalibrate(
        classes(softmax(temperature * LOGITS, axis=1)), LABELS, TemperatureScaling()
    )
    probs = softmax(LOGITS, axis=1)
    varied = (probs * LOGITS**2).sum(axis=1) - (probs * LOGITS).sum(axis=1) ** 2
    se = temperature / np.sqrt(varied.sum())
    assert abs(found.value - temperature) < 4 * se
    assert se < 0.05 * temperature


def test_no_other_temperature_has_a_smaller_loss_and_labels_stay():
    predictive = classes(softmax(2 * LOGITS, axis=1))
    calibrator = recalibrate(predictive, LABELS, TemperatureScaling())
    losses = [
        -Temperature(calibrator.value * factor)(predictive).log_prob(LABELS).mean()
        for factor in (1 - 1e-3, 1.0, 1 + 1e-3)
    ]
    assert losses[1] < min(losses[0], losses[2])
    np.testing.assert_array_equal(calibrator(predictive).label, predictive.label)


def test_draws_are_averaged_before_they_are_scaled():
    probs = RNG.dirichlet([1.0, 2.0, 0.5], (4, 20))
    predictive = classes(probs, ordered=True)
    found = Temperature(1.7)(predictive)
    expected = softmax(np.log(probs.mean(axis=0)) / 1.7, axis=1)
    np.testing.assert_allclose(found.probs, expected, rtol=1e-12)
    label = np.arange(20) % 3
    np.testing.assert_allclose(
        found.log_prob(label), np.log(expected)[np.arange(20), label], rtol=1e-12
    )
    assert found.ordered
    with pytest.raises(ValueError, match="ask the one before"):
        _ = found.mutual_information


def test_probabilities_that_underflow_keep_their_logarithms():
    from posterium.posterior.components.classes import ClassComponents
    from posterium.posterior.predictive import ClassPredictive

    logits = 500 * LOGITS[:50]
    log_probs = log_softmax(logits, axis=1)
    predictive = ClassPredictive(lambda: [ClassComponents(log_probs[None])], (50, 3))
    found = recalibrate(predictive, LABELS[:50], TemperatureScaling())
    direct = recalibrate(classes(softmax(LOGITS[:50], axis=1)), LABELS[:50], TemperatureScaling())
    assert found.value == pytest.approx(500 * direct.value, rel=1e-9)
    assert np.isfinite(found(predictive).log_prob(LABELS[:50])).all()


def test_weights_count_rows():
    weight = np.arange(60) % 3
    rows = np.repeat(np.arange(60), weight)
    probs = softmax(2 * LOGITS, axis=1)
    once = recalibrate(classes(probs[:60]), LABELS[:60], TemperatureScaling(), weight=weight)
    twice = recalibrate(classes(probs[rows]), LABELS[rows], TemperatureScaling())
    assert once.value == pytest.approx(twice.value, rel=1e-9)


def test_where_no_temperature_is_the_best_it_is_said():
    sure = np.array([[0.9, 0.1], [0.2, 0.8]])
    with pytest.raises(ValueError, match="best temperature is 0"):
        recalibrate(classes(sure), np.array([0, 1]), TemperatureScaling())
    with pytest.raises(ValueError, match="no temperature helps"):
        recalibrate(classes(sure), np.array([1, 0]), TemperatureScaling())
    with pytest.raises(ValueError, match="1 of 2 rows have 0"):
        recalibrate(classes(np.array([[1.0, 0], [0.4, 0.6]])), np.array([1, 1]),
                    TemperatureScaling())  # fmt: skip


def test_the_factor_of_gaussians_is_the_root_mean_square_of_standardised_residuals():
    mean, sd = RNG.normal(size=80), RNG.uniform(0.5, 2, 80)
    y, weight = mean + 2.5 * sd * RNG.normal(size=80), RNG.integers(0, 3, 80)
    found = recalibrate(gaussian(mean, sd), y, VarianceScaling(), weight=weight)
    expected = np.sqrt(np.average(((y - mean) / sd) ** 2, weights=weight))
    assert found.value == pytest.approx(expected, rel=1e-6)


def test_outputs_share_the_factor():
    mean, sd = RNG.normal(size=(1, 50, 2)), RNG.uniform(0.5, 2, (1, 50, 2))
    y = mean[0] + 0.3 * sd[0] * RNG.normal(size=(50, 2))
    found = recalibrate(gaussian(mean, sd), y, VarianceScaling())
    assert found.value == pytest.approx(np.sqrt(np.mean(((y - mean[0]) / sd[0]) ** 2)), rel=1e-6)


def test_a_mixture_keeps_its_mean_and_shape_and_scales_all_parts():
    mean, sd = RNG.normal(size=(3, 11)), RNG.uniform(0.5, 2, (3, 11))
    predictive = in_blocks(mean, sd, 4)
    found = VarianceFactor(1.8)(predictive)
    np.testing.assert_allclose(found.mean, predictive.mean, rtol=1e-12)
    np.testing.assert_allclose(found.aleatoric_var, 1.8**2 * predictive.aleatoric_var, rtol=1e-12)
    np.testing.assert_allclose(found.epistemic_var, 1.8**2 * predictive.epistemic_var, rtol=1e-12)
    centre = mean.mean(axis=0)
    y = RNG.normal(size=11)
    each = stats.norm.pdf(y, centre + 1.8 * (mean - centre), 1.8 * sd)
    np.testing.assert_allclose(found.log_prob(y), np.log(each.mean(axis=0)), rtol=1e-12)
    np.testing.assert_allclose(
        found.quantile(0.9), centre + 1.8 * (predictive.quantile(0.9) - centre), rtol=1e-10
    )
    assert found.mean.shape == (11,)


def test_the_factor_of_a_mixture_has_the_smallest_loss():
    mean, sd = RNG.normal(size=(3, 200)), RNG.uniform(0.1, 0.3, (3, 200))
    predictive, y = gaussian(mean, sd), 2 * RNG.normal(size=200)
    best = recalibrate(predictive, y, VarianceScaling()).value
    losses = [
        -VarianceFactor(best * factor)(predictive).log_prob(y).mean()
        for factor in (1 - 1e-3, 1.0, 1 + 1e-3)
    ]
    assert losses[1] < min(losses[0], losses[2])


def test_tails_of_a_law_grow_with_it():
    shape = (1, 300, 1)
    law = LawComponents(StudentTLaw(), (np.zeros(shape), np.ones(shape), np.full(shape, 4.0)))
    predictive = RegressionPredictive(lambda: [law], (300, 1), squeeze=True)
    y = 3 * stats.t.rvs(4, size=300, random_state=1)
    found = recalibrate(predictive, y, VarianceScaling())
    _, _, scale = stats.t.fit(y, fdf=4, floc=0)
    assert found.value == pytest.approx(scale, rel=1e-4)
    np.testing.assert_allclose(found(predictive).cdf(y), stats.t.cdf(y / found.value, 4), rtol=1e-9)


def test_what_has_no_factor_is_refused():
    with pytest.raises(ValueError, match="the best one is outside"):
        recalibrate(gaussian(np.ones(5), 1.0), np.ones(5), VarianceScaling())
