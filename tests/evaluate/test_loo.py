"""Leave-one-out and WAIC against closed forms of a linear-Gaussian model, and ArviZ's own."""

import functools

import jax
import numpy as np
import pytest
from scipy.stats import norm

from posterium import MAP, Ensemble, Exact, Gaussian, Linear, Model, Normal, as_data, fit
from posterium._struct import replace
from posterium.evaluate.loo import Elpd, compare, loo, waic

NOISE, PRECISION = 0.6, 1.5
RNG = np.random.default_rng(4)
X = RNG.normal(size=(30, 2))
Y = X @ [1.0, -0.5] + 0.2 + NOISE * RNG.normal(size=30)
DATA = as_data(X, Y)
DESIGN = np.column_stack([np.ones(30), X])


@functools.cache
def fitted(inputs=2):
    model = Model(Linear(), Normal(PRECISION, "none"), Gaussian(NOISE))
    return fit(jax.random.key(0), model, as_data(X[:, :inputs], Y), Exact())


def posterior(rows, design=DESIGN):
    """Return mean and covariance of the weights given some rows."""
    covariance = np.linalg.inv(
        PRECISION * np.eye(design.shape[1]) + design[rows].T @ design[rows] / NOISE**2
    )
    return covariance @ design[rows].T @ Y[rows] / NOISE**2, covariance


def left_out():
    """Return the log density of each row given the others."""
    found = []
    for i in range(30):
        mean, covariance = posterior(np.arange(30) != i)
        variance = NOISE**2 + DESIGN[i] @ covariance @ DESIGN[i]
        found.append(norm(DESIGN[i] @ mean, variance**0.5).logpdf(Y[i]))
    return np.array(found)


def seen():
    """Return the log density of each row given all, and the variance of its log likelihood."""
    mean, covariance = posterior(slice(None))
    variance = np.sum(DESIGN @ covariance * DESIGN, axis=1)
    error = Y - DESIGN @ mean
    log_density = norm(0, np.sqrt(NOISE**2 + variance)).logpdf(error)
    return log_density, (2 * variance**2 + 4 * variance * error**2) / (4 * NOISE**4)


def assert_estimates(found: np.ndarray, expected: np.ndarray) -> None:
    """Hold repeated estimates (r, n) to the truth by their own standard error."""
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    # Student t of 9 degrees of freedom over 30 rows: 5.7 is passed by chance once in 100 runs.
    assert (np.abs(found.mean(axis=0) - expected) < 5.7 * error).all()


def test_loo_is_what_leaving_each_row_out_gives():
    found = [loo(jax.random.key(i), fitted(), DATA, draws=2000) for i in range(10)]
    assert (np.median([one.k_hat for one in found], axis=0) < 0.5).all()
    assert_estimates(np.stack([one.pointwise for one in found]), left_out())
    assert_estimates(np.stack([one.p_pointwise for one in found]), seen()[0] - left_out())
    total = np.array([[one.elpd] for one in found])
    assert_estimates(total, left_out()[None].sum(axis=1))
    assert found[0].se == pytest.approx(np.sqrt(30) * found[0].pointwise.std(ddof=1), rel=1e-9)


def test_waic_is_what_its_closed_form_gives():
    found = [waic(jax.random.key(i), fitted(), DATA, draws=2000) for i in range(10)]
    log_density, variance = seen()
    assert_estimates(np.stack([one.p_pointwise for one in found]), variance)
    assert_estimates(np.stack([one.pointwise for one in found]), log_density - variance)


def test_a_row_of_weight_two_counts_as_two_rows():
    weight = np.arange(20) % 2 + 1
    rows = np.repeat(np.arange(20), weight)
    one = loo(jax.random.key(0), fitted(), as_data(X[:20], Y[:20], weight=weight), draws=2000)
    two = loo(jax.random.key(0), fitted(), as_data(X[rows], Y[rows]), draws=2000)
    for name in ("elpd", "se", "p"):
        assert getattr(one, name) == pytest.approx(getattr(two, name), rel=1e-9)


@pytest.mark.slow
def test_more_rows_than_a_tile_are_answered_like_few():
    many = as_data(np.tile(X, (10, 1)), np.tile(Y, 10))
    found = loo(jax.random.key(0), fitted(), many, draws=200)
    few = loo(jax.random.key(0), fitted(), DATA, draws=200)
    np.testing.assert_allclose(found.pointwise.reshape(10, 30) - few.pointwise, 0, atol=1e-9)


def test_the_model_with_the_input_that_matters_predicts_better():
    key = jax.random.key(0)
    whole = loo(key, fitted(), DATA, draws=2000)
    part = loo(key, fitted(1), as_data(X[:, :1], Y), draws=2000)
    difference = compare(whole, part)
    each = whole.pointwise - part.pointwise
    assert difference.value == pytest.approx(each.sum(), rel=1e-9)
    assert difference.se == pytest.approx(np.sqrt(30) * each.std(ddof=1), rel=1e-9)
    assert difference.value > 0
    assert compare(whole, whole) == (0, 0)


def test_only_estimates_of_the_same_rows_by_the_same_criterion_are_compared():
    key = jax.random.key(0)
    one = loo(key, fitted(), DATA, draws=2000)
    for other in (waic(key, fitted(), DATA, draws=2000), replace_rows(one)):
        with pytest.raises(ValueError, match="same rows"):
            compare(one, other)


def replace_rows(found):
    return Elpd("LOO", *(part[:-1] for part in (found.pointwise, found.p_pointwise, found.k_hat,
                                                found.weight)))  # fmt: skip


def test_rows_that_matter_too_much_are_counted_with_what_to_do():
    one, k = np.ones(3), np.array([0.2, 0.71, np.inf])
    assert "2 of 3 rows k-hat is above 0.7" in repr(Elpd("LOO", -one, one, k, one))
    assert Elpd("LOO", -one, one, np.array([-np.inf, 0.1, 0.7]), one).warning == ""
    text = repr(Elpd("WAIC", -one, np.array([0.1, 0.2, 0.5]), np.full(3, np.nan), one))
    assert "1 of 3 rows the log likelihood varies" in text


def test_points_are_refused_with_a_way_out():
    points = fit(jax.random.key(0), fitted().model, DATA, Ensemble(MAP(steps=5), 2))
    with pytest.raises(ValueError, match=r"at least 50 draws .* gives 2.* held out"):
        loo(jax.random.key(0), points, DATA)


def test_what_is_not_data_and_rows_of_another_width_are_refused():
    with pytest.raises(ValueError, match="as_data"):
        loo(jax.random.key(0), fitted(), X)
    with pytest.raises(ValueError, match="columns that were fitted"):
        loo(jax.random.key(0), fitted(), as_data(X[:, :1], Y))


def test_a_log_likelihood_that_is_not_finite_is_refused():
    broken = replace(fitted(), model=replace(fitted().model, likelihood=Gaussian(np.inf)))
    with pytest.raises(ValueError, match="finite log likelihood"):
        loo(jax.random.key(0), broken, DATA, draws=2000)
