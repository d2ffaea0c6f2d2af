"""What draws say, by chain, against NumPy on the draws themselves."""

import jax
import numpy as np
import pytest
from scipy.stats import norm
from tests.evaluate.fits import DATA, DESIGN, X, Y, draws, fit_of, mixed, points, sampled

from posterium import Weights
from posterium.evaluate import draws as by_draw
from posterium.numerics.covariances.dense import Diagonal
from posterium.posterior.posterior import Draw, GaussianPosterior, Mixture, Point, Samples

KEY = jax.random.key(0)


def test_a_samplers_draws_keep_their_chains():
    coefficients, raw = draws()
    found = by_draw.function_values(KEY, sampled(), X, 7)
    assert found.shape == (4, 500, 40, 2)
    np.testing.assert_allclose(found[..., 0], coefficients @ DESIGN.T, atol=1e-12)
    np.testing.assert_allclose(found[..., 1], 2 * raw[..., None] + np.zeros(40), atol=1e-12)


def test_log_likelihoods_are_those_of_every_row_under_every_draw():
    coefficients, raw = draws()
    (found,) = by_draw.log_likelihoods(KEY, sampled(), DATA, 7)
    expected = norm(coefficients @ DESIGN.T, np.exp(raw)[..., None]).logpdf(Y)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_rows_come_in_tiles():
    x = np.tile(X, (15, 1))
    few = by_draw.function_values(KEY, sampled(2, 20), X, 7)
    many = by_draw.function_values(KEY, sampled(2, 20), x, 7)
    np.testing.assert_allclose(many, np.tile(few, (1, 1, 15, 1)), atol=1e-12)


def test_members_take_the_place_of_chains():
    coefficients, _ = draws(5, 1)
    assert by_draw.layout(points().posterior, 7) == (5, 1)
    found = by_draw.function_values(KEY, points(), X, 7)
    np.testing.assert_allclose(found[..., 0], coefficients @ DESIGN.T, atol=1e-12)


def test_gaussian_members_are_drawn_from_as_often_as_asked():
    coefficients, _ = draws(3, 1)
    mean = Weights({"coefficients": coefficients[:, 0, :, None]})
    part = GaussianPosterior(mean, Diagonal(np.full((3, 3), 1e-4)))
    found = by_draw.function_values(KEY, fit_of(Mixture(part, mixed(3))), X, 400)[..., 0]
    assert found.shape == (3, 400, 40)
    error = (found.mean(axis=1) - coefficients[:, 0] @ DESIGN.T) / found.std(axis=1) * 20
    assert np.abs(error).max() < 4.5


def test_chains_of_members_are_chains():
    coefficients, raw = draws(6, 50)
    parts = Samples(Draw(Weights({"coefficients": coefficients.reshape(2, 3, 50, 3, 1)}),
                         (raw.reshape(2, 3, 50),)))  # fmt: skip
    record = {"log_joint": np.moveaxis(raw.reshape(2, 3, 50), 2, 0), "other": np.zeros(50)}
    fit = fit_of(Mixture(parts, mixed(2)), {"sampling": record})
    assert by_draw.layout(fit.posterior, 7) == (6, 50)
    found = by_draw.function_values(KEY, fit, X, 7)[..., 0]
    np.testing.assert_allclose(found, coefficients @ DESIGN.T, atol=1e-12)
    np.testing.assert_allclose(by_draw.hyper_parameters(fit)["likelihood/scale"], np.exp(raw))
    assert np.array_equal(by_draw.weights(fit.posterior)["coefficients"][..., 0], coefficients)
    assert list(by_draw.record(fit)) == ["log_joint"]
    assert np.array_equal(by_draw.record(fit)["log_joint"], raw)


def test_what_has_no_draws_of_its_own_has_no_record_and_no_weights():
    assert by_draw.record(points()) == by_draw.hyper_parameters(points()) == {}
    assert by_draw.weights(points().posterior) == {}
    assert by_draw.layout(Point(Weights({})), 7) == (1, 1)


def test_rows_of_another_width_are_refused():
    with pytest.raises(ValueError, match="columns that were fitted"):
        by_draw.function_values(KEY, sampled(), X[:, :1], 7)


@pytest.mark.parametrize(
    ("task", "count", "names"),
    [
        ("regression", 2, ["mean", "log noise variance"]),
        ("regression", 4, ["mean 0", "mean 1", "log noise variance 0", "log noise variance 1"]),
        ("classification", 1, ["log p(1)"]),
        ("classification", 3, ["log p(0)", "log p(1)", "log p(2)"]),
    ],
)
def test_values_have_names(task, count, names):
    class Likelihood:
        pass

    Likelihood.task = task
    assert by_draw.value_names(Likelihood(), count) == names
