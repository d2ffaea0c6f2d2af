"""Likelihoods beyond Gaussian, against SciPy and at the ends of the scale."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from posterium import (
    LaplaceNoise,
    MixtureOfGaussians,
    NegativeBinomial,
    Ordinal,
    Poisson,
    Quantile,
    StudentT,
    Weibull,
)
from posterium.model.likelihoods import base
from posterium.model.likelihoods.student_t import log_constant

F = np.linspace(-1.2, 1.5, 5)[:, None]
Y = np.array([0.0, 1.0, 2.0, 7.0, 31.0])[:, None]


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


def test_densities_are_those_of_scipy(double):
    mean = 3 * np.exp(F)
    size = 1 / 0.4
    cases = [
        (StudentT(0.7, 3.5), stats.t(3.5, F, 0.7).logpdf),
        (LaplaceNoise(0.7), stats.laplace(F, 0.7).logpdf),
        (Quantile(0.5, 0.35), stats.laplace(F, 0.7).logpdf),
        (Poisson(3.0), stats.poisson(mean).logpmf),
        (NegativeBinomial(0.4, 3.0), stats.nbinom(size, size / (size + mean)).logpmf),
        (NegativeBinomial(0.01, 3.0), stats.nbinom(100, 100 / (100 + mean)).logpmf),
    ]
    for likelihood, exact in cases:
        found = likelihood.log_prob(jnp.asarray(F), jnp.asarray(Y))
        np.testing.assert_allclose(found, exact(Y)[:, 0], rtol=1e-11, err_msg=repr(likelihood))
    law = stats.weibull_min(1.7, scale=2 * np.exp(F))
    for event, exact in ((1.0, law.logpdf), (0.0, law.logsf)):
        y = np.c_[Y + 0.5, np.full_like(Y, event)]
        found = Weibull(1.7, 2.0).log_prob(jnp.asarray(F), jnp.asarray(y))
        np.testing.assert_allclose(found, exact(Y + 0.5)[:, 0], rtol=1e-11)


def test_one_gap_between_three_ordered_classes_may_be_a_number():
    found = Ordinal(1.5).log_probs(jnp.asarray(F))
    np.testing.assert_array_equal(found, Ordinal(np.array([1.5])).log_probs(jnp.asarray(F)))
    assert Ordinal(1.5).outputs(3) == 1


def test_ordered_classes_share_the_line_at_their_cut_points(double):
    cuts = np.array([0.0, 0.5, 2.0]) - 2.5 / 3
    upto = np.c_[np.zeros(5), expit(cuts - F), np.ones(5)]
    found = np.exp(Ordinal(np.array([0.5, 1.5])).log_probs(jnp.asarray(F)))
    np.testing.assert_allclose(found, np.diff(upto, axis=1), rtol=1e-12)


def test_a_student_t_with_many_degrees_of_freedom_is_gaussian_in_single_precision():
    y = jnp.asarray(Y[:3] - 1, jnp.float32)
    for df in (39.0, 41.0, 1e4, 1e8):
        found = StudentT(1.0, df).log_prob(jnp.zeros((3, 1)), y)
        np.testing.assert_allclose(found, stats.t.logpdf(Y[:3, 0] - 1, df), rtol=0, atol=2e-5)


def test_a_negative_binomial_of_small_dispersion_is_poisson_in_single_precision():
    f, y = jnp.full((3, 1), 4.0), jnp.array([[40.0], [55.0], [70.0]])
    exact = stats.poisson.logpmf([40, 55, 70], np.exp(4))
    found = NegativeBinomial(1e-7).log_prob(f, y)
    np.testing.assert_allclose(found, exact, rtol=0, atol=2e-4)
    for dispersion in (1 / 49, 1 / 51):
        size = 1 / dispersion
        exact = stats.nbinom.logpmf([40, 55, 70], size, size / (size + np.exp(4)))
        found = NegativeBinomial(dispersion).log_prob(f, y)
        np.testing.assert_allclose(found, exact, rtol=0, atol=2e-4)


def test_variances_that_do_not_exist_are_infinite_or_nan():
    mean, variance = StudentT(1.0, jnp.array([0.5, 1.5, 3.0])).moments(jnp.ones((1, 3)))
    assert np.isnan(mean[0]).tolist() == [True, False, False]
    assert np.isnan(variance[0, 0])
    assert np.isposinf(variance[0, 1])
    assert variance[0, 2] == pytest.approx(3.0)


def test_the_best_location_is_the_quantile_of_the_data(double):
    y = jnp.asarray(np.random.default_rng(0).gamma(2, 1, (400, 1)))
    grid = np.linspace(0.2, 4, 761)

    def loss(level, at):
        return float(Quantile(level, 1.0).log_prob(jnp.full((400, 1), at), y).sum())

    for level in (0.2, 0.9):
        best = grid[np.argmax([loss(level, at) for at in grid])]
        assert abs(best - np.quantile(y, level)) < 0.02


def test_quantiles_of_several_levels_never_cross_and_count_a_row_once(double):
    likelihood = Quantile((0.1, 0.5, 0.8), 0.4)
    f = jnp.asarray(np.random.default_rng(1).normal(0, 30, (50, 3)))
    assert (np.diff(likelihood.quantiles(f)) >= 0).all()
    at, y = likelihood.quantiles(f[:1]), jnp.ones((1, 1))
    each = [Quantile(p, 0.4).log_prob(at[:, k : k + 1], y) for k, p in enumerate((0.1, 0.5, 0.8))]
    assert float(likelihood.log_prob(f[:1], y)[0]) == pytest.approx(float(np.mean(each)))


def test_draws_of_quantiles_lie_below_them_as_often_as_the_levels_say(double):
    levels = np.array([0.1, 0.5, 0.8])
    likelihood, f = Quantile(tuple(levels), 0.4), jnp.array([[0.3, 0.2, -1.0]])
    y = likelihood.sample(jax.random.key(0), jnp.broadcast_to(f, (20_000, 3)))
    share = np.mean(np.asarray(y) <= np.asarray(likelihood.quantiles(f)), axis=0)
    assert (np.abs(share - levels) < 5 * np.sqrt(levels * (1 - levels) / 20_000)).all()


def test_components_of_a_mixture_start_apart():
    _, mean, _ = MixtureOfGaussians(3, spread=2.0).parameters(jnp.zeros((1, 9)))
    assert mean[0].tolist() == [-2.0, 0.0, 2.0]


@pytest.mark.parametrize(
    ("likelihood", "bad", "words"),
    [
        (Poisson(), [[1.0], [-1.0]], "Poisson expects a count.*row 1 .counted from 0. of y has -1"),
        (NegativeBinomial(), [[0.5], [1.0]], "expects a count.*row 0 .* has 0.5"),
        (Weibull(), [[1.0, 1.0], [0.0, 1.0]], "expects a time above 0.*row 1 .* has 0, 1"),
        (Weibull(), [[1.0, 0.5]], "0 or 1 for the event; row 0 .* has 1, 0.5"),
        (Weibull(), [[1.0]], "expects two target columns, the time and the event"),
        (MixtureOfGaussians(), [[1.0, 2.0]], "expects one target column; got 2"),
        (Quantile(), [[1.0, 2.0]], "expects one target column; got 2"),
    ],
)
def test_targets_that_it_cannot_take_are_refused_with_their_row(likelihood, bad, words):
    with pytest.raises(ValueError, match=words):
        base.refuse_misfit(likelihood, np.array(bad))


def test_settings_that_make_no_likelihood_are_refused():
    with pytest.raises(ValueError, match=r"levels must be inside \(0, 1\) and increase"):
        Quantile((0.5, 0.2))
    with pytest.raises(ValueError, match="components must be at least 1; got 0"):
        MixtureOfGaussians(0)
    with pytest.raises(ValueError, match=r"3 classes; got 5.*learn\(np.ones\(3\)\)"):
        Ordinal(np.ones(1)).outputs(5)


@pytest.mark.parametrize("df", [0.1, 1.0, 2.5, 30.0, 1e3, 1e8, 1e300])
def test_the_constant_of_student_t_and_its_slope_keep_their_digits(df):
    def constant(df):
        gammas = mpmath.loggamma((df + 1) / 2) - mpmath.loggamma(df / 2)
        return gammas - mpmath.log(mpmath.pi * df) / 2

    with mpmath.workdps(700):
        expected, slope = float(constant(mpmath.mpf(df))), float(mpmath.diff(constant, df))
    with jax.enable_x64(True):
        found = jax.jit(jax.value_and_grad(log_constant))(df)
    np.testing.assert_allclose(found[0], expected, rtol=1e-13)
    np.testing.assert_allclose(found[1], slope, rtol=1e-7, atol=1e-15)
