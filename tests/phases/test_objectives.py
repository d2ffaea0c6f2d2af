"""Objectives against their Gaussian closed forms, and their limits in alpha."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterium.model.data import as_data
from posterium.model.features import Affine, Linear
from posterium.model.likelihoods.gaussian import Gaussian
from posterium.model.model import Model
from posterium.model.priors.normal import Normal
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.numerics.families.gaussian import FullRank
from posterium.phases.bound import Bound
from posterium.phases.objectives import ELBO, BlackBoxAlpha, Renyi, log_power_mean
from posterium.posterior.family import FamilyPosterior

NOISE, TAU = 0.6, 2.0
RNG = np.random.default_rng(3)
X = RNG.normal(size=(15, 2))
Y = X @ [1.0, -0.5] + NOISE * RNG.normal(size=15)
DESIGN = np.column_stack([np.ones(15), X])
PRECISION = DESIGN.T @ DESIGN / NOISE**2 + TAU * np.eye(3)
MEAN = np.linalg.solve(PRECISION, DESIGN.T @ Y) / NOISE**2
MODEL = Model(Linear(Affine()), Normal(TAU, scaling="none"), Gaussian(NOISE))
DRAWS, KEYS = 20_000, 25
ALPHAS = [-0.5, 0.0, 0.5, 1.0, 1.5]


@pytest.fixture(scope="module", autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def log_evidence():
    covariance = DESIGN @ DESIGN.T / TAU + NOISE**2 * np.eye(15)
    quadratic = Y @ np.linalg.solve(covariance, Y)
    return -0.5 * (quadratic + np.linalg.slogdet(2 * np.pi * covariance)[1])


@pytest.fixture(scope="module")
def guide():
    """A Gaussian somewhat narrower than the posterior, and somewhat off: mean, precision."""
    return MEAN + np.array([0.05, -0.03, 0.04]), 1.25 * PRECISION


@pytest.fixture(scope="module")
def values(guide):
    """Return what estimates an objective with many draws, over several keys."""
    mean, precision = guide
    factor = np.linalg.cholesky(np.linalg.inv(precision))
    scale = np.tril(factor, -1) + np.diag(np.log(np.diag(factor)))
    weights = Weights({"coefficients": jnp.zeros((3, 1))})
    q = FamilyPosterior(
        weights, FullRank(), {"mean": jnp.asarray(mean), "scale": jnp.asarray(scale)}
    )
    data = trees.cast(as_data(X, Y), np.dtype(float))
    keys = jax.random.split(jax.random.key(0), KEYS)

    @jax.jit
    def found(objective):
        bound = Bound(objective, samples=DRAWS, closed=False)
        return jax.lax.map(lambda key: bound.value(key, q, MODEL, data, 1.0)[0], keys)

    return lambda objective: np.asarray(found(objective))


def renyi(alpha, mean, precision):
    """Return log(E_q[(p(y, w) / q(w))^t]) / t with t = 1 - alpha; at t = 0 the ELBO."""
    off, size = mean - MEAN, len(mean)
    if alpha == 1:
        inside = np.trace(np.linalg.solve(precision, PRECISION)) + off @ PRECISION @ off - size
        dets = np.linalg.slogdet(precision)[1] - np.linalg.slogdet(PRECISION)[1]
        return log_evidence() - 0.5 * (inside + dets)
    t = 1 - alpha
    both = t * PRECISION + (1 - t) * precision
    assert np.linalg.eigvalsh(both).min() > 0
    dets = [np.linalg.slogdet(matrix)[1] for matrix in (PRECISION, precision, both)]
    cross = off @ PRECISION @ np.linalg.solve(both, precision @ off)
    power = 0.5 * (t * dets[0] + (1 - t) * dets[1] - dets[2] - t * (1 - t) * cross)
    return log_evidence() + power / t


def black_box(alpha, mean, precision):
    """Return sum_i log(E_q[p(y_i | w)^alpha]) / alpha - KL(q, p)."""
    covariance = np.linalg.inv(precision)
    f, v = DESIGN @ mean, np.einsum("ni,ij,nj->n", DESIGN, covariance, DESIGN)
    wide = NOISE**2 / alpha + v
    row = -0.5 * alpha * np.log(2 * np.pi * NOISE**2)
    row = row + 0.5 * np.log(NOISE**2 / alpha / wide) - 0.5 * (Y - f) ** 2 / wide
    inside = TAU * (np.trace(covariance) + mean @ mean) - len(mean)
    dets = np.linalg.slogdet(precision)[1] - len(mean) * np.log(TAU)
    return row.sum() / alpha - 0.5 * (inside + dets)


def close(values, truth):
    return abs(values.mean() - truth) < 4.5 * values.std(ddof=1) / np.sqrt(len(values)) + 1e-9


def test_renyi_bounds_are_the_closed_form_and_fall_as_alpha_grows(values, guide):
    truths = [renyi(alpha, *guide) for alpha in ALPHAS]
    for alpha, truth in zip(ALPHAS, truths, strict=True):
        assert close(values(Renyi(alpha)), truth)
    assert (np.diff(truths) < -0.01).all()
    assert truths[1] == pytest.approx(log_evidence(), abs=1e-9)
    assert truths[3] < log_evidence()


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0])
def test_black_box_alpha_is_its_closed_form(values, guide, alpha):
    assert close(values(BlackBoxAlpha(alpha)), black_box(alpha, *guide))


def test_renyi_at_1_and_black_box_alpha_at_0_are_the_elbo(values):
    elbo = values(ELBO())
    for objective in (Renyi(1.0), BlackBoxAlpha(0.0)):
        np.testing.assert_allclose(values(objective), elbo, rtol=1e-12)
    for objective in (Renyi(1.0 - 1e-7), BlackBoxAlpha(1e-7)):
        np.testing.assert_allclose(values(objective), elbo, rtol=1e-6)


def test_the_power_mean_and_its_slope_are_finite_at_its_limit():
    x = jnp.asarray([0.3, -1.0, 2.0])
    for t in (0.0, 1e-3, 1.0, -2.0):
        value, slope = jax.value_and_grad(log_power_mean)(x, t)
        weights = np.exp(t * x) / np.exp(t * x).sum()
        np.testing.assert_allclose(slope, weights, rtol=1e-12)
        expected = x.mean() if t == 0 else np.log(np.exp(t * x).mean()) / t
        assert value == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("objective", [Renyi, BlackBoxAlpha])
def test_an_order_that_is_not_finite_is_refused(objective):
    with pytest.raises(ValueError, match=r"expects a finite number .* got inf"):
        objective(float("inf"))
