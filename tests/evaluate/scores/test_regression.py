import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics
from tests.evaluate.scores.resampled import agree

from posterium.evaluate import scores
from posterium.posterior.components.gaussian import GaussianComponents
from posterium.posterior.predictive import RegressionPredictive

N = 400
RNG = np.random.default_rng(11)
Y = RNG.normal(size=N)
MEAN = Y + RNG.normal(0, 0.5, N)


def gaussian(mean, sd):
    components = GaussianComponents(mean.reshape(1, -1, 1), np.reshape(sd, (1, -1, 1)) ** 2)
    return RegressionPredictive(lambda: [components], (len(mean), 1), squeeze=True)


def test_errors_equal_scikit_learn():
    for ours, theirs in (
        (scores.rmse, metrics.root_mean_squared_error),
        (scores.mae, metrics.mean_absolute_error),
        (scores.r2, metrics.r2_score),
    ):
        assert ours(MEAN, Y).value == pytest.approx(theirs(Y, MEAN), rel=1e-12)
        several = MEAN.reshape(-1, 2), Y.reshape(-1, 2)
        if ours is not scores.rmse:  # that is of the errors of all outputs together
            assert ours(*several).value == pytest.approx(theirs(*several[::-1]), rel=1e-12)


def test_the_pinball_loss_equals_scikit_learn():
    found = scores.pinball(MEAN, Y, 0.8).value
    assert found == pytest.approx(metrics.mean_pinball_loss(Y, MEAN, alpha=0.8), rel=1e-12)


def test_standard_errors_are_those_of_repeated_data():
    generator = np.random.default_rng(0)
    runs = generator.normal(0, 2, (4000, 50))
    for score in (scores.rmse, scores.mae):
        found = [score(run, np.zeros(50)) for run in runs]
        spread = np.std([f.value for f in found], ddof=1)
        claimed = math.sqrt(np.mean([f.se**2 for f in found]))
        # an sd from 4000 runs is known to 1.1 %; the delta method is of first order in 1/50
        assert claimed == pytest.approx(spread, rel=0.045 + 0.01)


def test_the_error_of_r2_is_that_of_the_bootstrap():
    agree(scores.r2, (MEAN, Y))
    scale = np.array([1.0, 30.0])
    agree(scores.r2, (MEAN.reshape(-1, 2) * scale, Y.reshape(-1, 2) * scale))


def test_a_constant_target_has_no_r2():
    assert math.isnan(scores.r2(np.arange(3.0), np.ones(3)).value)


def test_coverage_counts_the_ends_and_width_is_their_mean_distance():
    interval = (np.array([0.0, 0.0, 0.0, 0.0]), np.array([1.0, 1.0, 1.0, 3.0]))
    y = np.array([0.0, 1.0, 1.1, -0.1])
    assert scores.coverage(interval, y).value == 0.5
    assert scores.width(interval).value == 1.5


def test_the_interval_score_is_the_pinball_loss_of_both_ends():
    lower, upper, level = MEAN - 0.4, MEAN + 0.7, 0.8
    ends = scores.pinball(lower, Y, 0.1).value + scores.pinball(upper, Y, 0.9).value
    found = scores.interval_score((lower, upper), Y, level).value
    assert found == pytest.approx(2 / (1 - level) * ends, rel=1e-12)


def test_the_interval_score_is_lowest_for_the_true_quantiles():
    y = np.random.default_rng(1).gamma(2.0, size=20_000)
    ends = stats.gamma(2.0).ppf([0.05, 0.95])
    true, *others = (
        scores.interval_score((np.full(len(y), ends[0] + a), np.full(len(y), ends[1] + b)), y, 0.9)
        for a, b in ((0, 0), (-0.3, 0), (0.3, 0), (0, -1), (0, 1))
    )
    assert all(true.value < other.value for other in others)


def test_sharpness_is_the_mean_sd_whatever_the_targets():
    sd = RNG.uniform(0.5, 2, N)
    assert scores.sharpness(sd).value == pytest.approx(sd.mean())
    assert scores.sharpness(sd).se == pytest.approx(sd.std(ddof=1) / math.sqrt(N))


def test_a_curve_of_intervals_has_the_scores_of_each_level():
    levels = np.array([0.5, 0.9])
    sd = RNG.uniform(0.3, 0.7, N)
    found = scores.interval_curve(gaussian(MEAN, sd), Y, levels)
    for place, level in enumerate(levels):
        half = stats.norm.ppf(0.5 + level / 2) * sd
        ends = (MEAN - half, MEAN + half)
        expected = [*scores.coverage(ends, Y), *scores.width(ends)]
        expected += scores.interval_score(ends, Y, level)
        assert [part[place] for part in found[1:]] == pytest.approx(expected, rel=1e-10)


def test_a_curve_keeps_several_outputs_in_one_row():
    components = GaussianComponents(MEAN.reshape(1, -1, 2), 0.25)
    several = RegressionPredictive(lambda: [components], (N // 2, 2))
    found = scores.interval_curve(several, Y.reshape(-1, 2), (0.9,))
    alone = scores.interval_curve(gaussian(MEAN, 0.5 * np.ones(N)), Y, (0.9,))
    assert found.coverage == pytest.approx(alone.coverage)
    assert found.coverage_se != pytest.approx(alone.coverage_se)


def test_arrays_of_other_shapes_are_refused_rather_than_broadcast():
    for score in (scores.rmse, scores.mae, scores.accuracy, scores.r2):
        with pytest.raises(ValueError, match=r"shape \(400,\); got \(400, 1\)"):
            score(MEAN, Y[:, None])
