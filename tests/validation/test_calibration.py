"""The statistics of calibration against SciPy, and against biases of known power."""

import numpy as np
import pytest
from scipy.stats import chisquare, norm
from tests.validation import calibration

DRAWS, SIMULATIONS, REPEATS = 255, 1000, 400


def ranks_under(rng: np.random.Generator, sd: float, shift: float, repeats: int) -> np.ndarray:
    """Return ranks (n, r) of truths N(0, 1) among draws N(shift, sd^2)."""
    below = norm.cdf((rng.normal(size=(SIMULATIONS, repeats)) - shift) / sd)
    return rng.binomial(DRAWS, below)


@pytest.mark.parametrize(
    ("sd", "shift", "by_mean", "by_square"),
    [(1, 0, 0, 0), (0.9, 0, 0, 0.8), (0.8, 0, 0, 1), (1, 0.1, 0.2, 0), (1, 0.2, 0.99, 0)],
)
def test_a_planted_bias_is_found_as_often_as_its_power_says(sd, shift, by_mean, by_square):
    """Errors of the mean are about N(shift sqrt(n), 1); rates of the square are of 400 repeats."""
    rng = np.random.default_rng(0)
    found = calibration.uniformity(ranks_under(rng, sd, shift, REPEATS), DRAWS)
    for errors, rate in (("mean_errors", by_mean), ("square_errors", by_square)):
        hits = np.mean(np.abs(found[errors]) > calibration.MOST_ERRORS)
        assert abs(hits - rate) <= 4 * np.sqrt((2 * rate * (1 - rate) + 0.03) / REPEATS)


def test_the_chi_square_is_that_of_scipy():
    ranks = ranks_under(np.random.default_rng(1), 0.95, 0.05, 2)
    expected = [chisquare(np.histogram(r, 16, (0, 256))[0]).pvalue for r in ranks.T]
    np.testing.assert_allclose(calibration.uniformity(ranks, DRAWS)["p"], expected)


def test_errors_of_uniform_ranks_are_standard_ones():
    ranks = np.random.default_rng(2).integers(0, DRAWS + 1, (SIMULATIONS, 1000))
    found = calibration.uniformity(ranks, DRAWS)
    for name in ("mean_errors", "square_errors"):
        assert abs(found[name].mean()) < 4 / 1000**0.5
        assert abs(found[name].var() - 1) < 5 * (2 / 1000) ** 0.5


def test_every_rank_once_is_perfect_and_covers_its_level():
    ranks = np.arange(DRAWS + 1)[:, None]
    found = calibration.uniformity(ranks, DRAWS)
    assert calibration.worst(found) == {
        "chi-square p": 1,
        "mean score": pytest.approx(0),
        "mean square": pytest.approx(1),
    }
    np.testing.assert_allclose(
        [calibration.coverage(ranks, DRAWS, level)[0] for level in calibration.LEVELS],
        calibration.LEVELS,
        atol=1 / (DRAWS + 1),
    )


def test_intervals_that_are_too_narrow_cover_too_little():
    ranks = ranks_under(np.random.default_rng(3), 0.8, 0, 1)
    expected = 2 * norm.cdf(0.8 * norm.ppf(0.95)) - 1
    error = np.sqrt(expected * (1 - expected) / SIMULATIONS)
    assert abs(calibration.coverage(ranks, DRAWS, 0.9)[0] - expected) < 4 * error
