"""Log densities of batches: against the closed form, and what they know that rows do not."""

import jax
import numpy as np
import pytest
from scipy import stats
from tests.evaluate import fits

from posterium.evaluate import scores

RNG = np.random.default_rng(0)
S, N, NOISE = 4000, 30, 0.8
Y = RNG.normal(size=N) + RNG.normal()
FUNCTIONS = RNG.normal(size=(S, 1)) * np.ones(N)
LOG_PROB = stats.norm.logpdf(Y, FUNCTIONS, NOISE)
"""A level that all rows share, drawn from its prior N(0, 1); noise of each row."""


def test_batches_of_one_row_have_the_log_predictive_density():
    found = scores.joint_log_prob(0, LOG_PROB, 1)
    each = np.log(np.exp(LOG_PROB).mean(axis=0))
    assert found[:2] == pytest.approx(scores.average(each), rel=1e-12)


def test_one_batch_of_all_rows_has_their_joint_density():
    rng = np.random.default_rng(1)
    y = Y[:4]
    level = rng.normal(size=(400_000, 1))
    found = scores.joint_log_prob(0, stats.norm.logpdf(y, level * np.ones(4), NOISE), 4)
    covariance = np.ones((4, 4)) + NOISE**2 * np.eye(4)
    expected = stats.multivariate_normal.logpdf(y, np.zeros(4), covariance) / 4
    assert np.isnan(found.se)
    assert abs(found.value - expected) < 4 / np.sqrt(found.draws) / 4


def test_the_density_is_the_mean_over_batches_of_the_order_drawn():
    found = scores.joint_log_prob(3, LOG_PROB, 4)
    order = np.random.default_rng(3).permutation(N)[:28].reshape(7, 4)
    each = [np.log(np.mean(np.exp(LOG_PROB[:, batch].sum(axis=1)))) / 4 for batch in order]
    assert found[:2] == pytest.approx(scores.average(np.array(each)), rel=1e-10)
    assert scores.joint_log_prob(4, LOG_PROB, 4).value != found.value


def test_a_posterior_of_functions_beats_one_of_rows_only_together():
    """Draws shuffled row by row have the same marginals and no function."""
    apart = np.array([RNG.permutation(row) for row in FUNCTIONS.T]).T
    shuffled = stats.norm.logpdf(Y, apart, NOISE)
    whole, rows = (scores.joint_log_prob(0, part, 1) for part in (LOG_PROB, shuffled))
    assert whole.value == pytest.approx(rows.value, rel=1e-12)
    whole, rows = (scores.joint_log_prob(0, part, 10) for part in (LOG_PROB, shuffled))
    assert whole.value > rows.value + 0.1


def test_draws_that_differ_little_all_count_and_one_that_has_all_counts_alone():
    assert scores.joint_log_prob(0, np.zeros((50, N)), 5).draws == pytest.approx(50)
    alone = np.full((50, N), -400.0)
    alone[7] = 0
    assert scores.joint_log_prob(0, alone, 5).draws == pytest.approx(1)


def test_batches_that_do_not_fit_are_refused():
    for size in (0, N + 1):
        with pytest.raises(ValueError, match=f"1 to {N} rows; got size={size}"):
            scores.joint_log_prob(0, LOG_PROB, size)


def test_a_fit_is_scored_by_its_draws():
    fit = fits.sampled(2, 60)
    found = scores.joint_scores(jax.random.key(0), fit, fits.DATA, sizes=(1, 8))
    coefficients, raw = fits.draws(2, 60)
    mean = np.einsum("csd,nd->csn", coefficients, fits.DESIGN)
    sd = fits.MODEL.likelihood.scale.floor + np.exp(raw)[..., None]
    log_prob = stats.norm.logpdf(fits.Y, mean, sd).reshape(120, -1)
    each = np.log(np.exp(log_prob).mean(axis=0))
    assert found[1][:2] == pytest.approx(scores.average(each), rel=1e-6)
    assert found[8].value == pytest.approx(each.mean(), abs=0.2)
    assert found[8].draws < found[1].draws
    with pytest.raises(ValueError, match="raise max_bytes"):
        scores.joint_scores(jax.random.key(0), fit, fits.DATA, max_bytes=1000)
