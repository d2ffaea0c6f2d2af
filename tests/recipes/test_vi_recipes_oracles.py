"""What the recipes of VI compare with: quadrature, grids and closed forms, against other ways."""

import numpy as np
import pytest
from scipy.special import log_expit
from scipy.stats import multivariate_normal, norm

from posterium.datasets.reference import identity6, outlier6
from posterium.recipes import r0_vi, r1_more_alpha, relu4

RNG = np.random.default_rng(3)


def test_the_bound_by_quadrature_is_that_of_many_draws():
    x, y = RNG.normal(size=(7, 2)), np.array([0, 1, 1, 0, 1, 0, 1])
    at = np.array([0.5, -1.0, np.log(0.6), np.log(1.5), 0.3])
    sd = np.exp(at[2:4])
    w = at[:2] + sd * RNG.normal(size=(200_000, 2))
    likelihood = log_expit((2 * y - 1) * (w @ x.T + at[4])).sum(axis=1)
    ratio = norm.logpdf(w, at[:2], sd) - norm.logpdf(w, 0, 2)
    values = likelihood - ratio.sum(axis=1)
    error = values.std() / np.sqrt(len(values))
    assert abs(values.mean() - r0_vi.bound(at, x, y)) < 4 * error


def test_the_four_weight_posterior_is_that_of_importance_sampling():
    x, y = identity6()
    at = np.array([[-3.0], [0.5], [4.0]])
    found = relu4.exact(x, y, 0.1, at)
    w = RNG.normal(size=(200_000, 4)) * 2.0

    def function(x):
        return w[:, 2:3] * np.maximum(w[:, :1] * x[:, 0] + w[:, 1:2], 0) + w[:, 3:]

    log_weight = norm.logpdf(y, function(x)).sum(1)
    log_weight += (norm.logpdf(w, 0, 10**0.5) - norm.logpdf(w, 0, 2.0)).sum(1)
    weight = np.exp(log_weight - log_weight.max())
    evidence = np.log(weight.mean()) + log_weight.max()
    error = weight.std() / weight.mean() / np.sqrt(len(weight))
    assert abs(evidence - found.log_evidence) < 4 * error

    weight = (weight / weight.sum())[:, None]
    f = function(at)
    mean = (weight * f).sum(0)
    np.testing.assert_array_less(abs(mean - found.mean), 4 * spread(weight, f - mean))
    square = (weight * (f - mean) ** 2).sum(0)
    error = spread(weight, (f - mean) ** 2 - square)
    np.testing.assert_array_less(abs(square - found.sd**2), 4 * error)
    left = weight[w[:, 0] < 0].sum()
    assert abs(left - found.left) < 4 * spread(weight, (w[:, :1] < 0) - left)


def spread(weight, values):
    """Standard error of a self-normalised mean, by deviations from it."""
    return np.sqrt((weight**2 * values**2).sum(0))


def test_a_finer_and_wider_grid_changes_nothing_that_shows():
    x, y = identity6()
    at = np.array([[-5.0], [5.0]])
    found = [relu4.exact(x, y, 0.05, at, **grid) for grid in ({}, {"wide": 50.0, "points": 1201})]
    assert found[0].log_evidence == pytest.approx(found[1].log_evidence, abs=1e-3)
    assert found[0].left == pytest.approx(0.41075, abs=1e-4)
    np.testing.assert_allclose(found[0].mean, found[1].mean, atol=2e-3)
    np.testing.assert_allclose(found[0].sd, found[1].sd, atol=2e-3)


@pytest.mark.parametrize("alpha", [2.0, 1.0, 0.5, 0.2])
def test_the_renyi_divergence_is_its_integral(alpha):
    q = np.array([0.3, -0.2]), np.diag([0.5, 0.2])
    p = np.zeros(2), np.array([[1.0, 0.4], [0.4, 0.5]])
    axis = np.linspace(-8, 8, 801)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    log_q, log_p = (multivariate_normal(*law).logpdf(grid) for law in (q, p))
    cell = (axis[1] - axis[0]) ** 2
    if alpha == 1:
        expected = np.sum(np.exp(log_q) * (log_q - log_p)) * cell
    else:
        mass = np.exp(alpha * log_q + (1 - alpha) * log_p).sum() * cell
        expected = np.log(mass) / (alpha - 1)
    assert r1_more_alpha.divergence(q, p, alpha) == pytest.approx(expected, rel=1e-8)


def test_the_black_box_bound_of_a_line_is_that_of_integrals():
    x, y = outlier6(standardise=False)
    q, alpha = (np.array([0.2, -1.0]), np.array([[0.2, -0.03], [-0.03, 0.05]])), 0.7
    b, w = np.linspace(-3.8, 4.2, 401), np.linspace(-3, 1, 401)
    grid = np.stack(np.meshgrid(b, w), axis=-1)
    mass = multivariate_normal(*q).pdf(grid) * (b[1] - b[0]) * (w[1] - w[0])

    def score(row):
        density = norm.pdf(y[row], grid[..., 0] + grid[..., 1] * x[row, 0])
        return np.log(np.sum(mass * density**alpha)) / alpha

    prior = np.zeros(2), np.eye(2) / 3
    expected = r1_more_alpha.divergence(q, prior, 1) - sum(score(row) for row in (0, 4))
    few = r1_more_alpha.energy(q, x[[0, 4]], y[[0, 4]], alpha)
    assert few == pytest.approx(expected, rel=1e-6)


def test_the_best_independent_gaussians_are_those_of_theory():
    covariance = np.array([[1.0, 0.4], [0.4, 0.5]])
    p = np.array([0.1, 0.2]), covariance
    mean, found = r1_more_alpha.best(lambda q: r1_more_alpha.divergence(q, p, 1), p)
    np.testing.assert_allclose(mean, p[0], atol=1e-5)
    np.testing.assert_allclose(np.diag(found), 1 / np.diag(np.linalg.inv(covariance)), rtol=1e-4)
