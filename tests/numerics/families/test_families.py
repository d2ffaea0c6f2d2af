"""What every family promises: its start, draws, density, and numbers at the ends of the scale."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from posterium.numerics import trees
from posterium.posterior.decode import decode
from posterium.posterior.encode import encode
from tests.numerics.families.cases import (
    FAMILIES,
    GAUSSIAN,
    MEAN,
    SHAPES,
    draws,
    each,
    moved,
)

COUNT = 40_000


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def assert_covariance(w, mean, covariance):
    """Compare the moments of draws (s, p) with what they must be, within 4 standard errors."""
    offset = np.asarray(w) - mean[None]
    outer = offset[:, :, None] * offset[:, None, :]
    for found, expected in ((offset, 0 * mean), (outer, covariance)):
        error = found.std(axis=0) / np.sqrt(len(w))
        assert (np.abs(found.mean(axis=0) - expected) < 4.5 * error).all()


@each(FAMILIES)
@pytest.mark.parametrize("sd", [1e-4, 1.5])
def test_it_starts_around_the_mean_with_uncorrelated_weights_of_the_sd_asked_for(family, sd):
    raw = family.start(jnp.asarray(MEAN), jnp.asarray(sd), SHAPES)
    np.testing.assert_allclose(family.mean(raw), MEAN, rtol=1e-12)
    if family.gaussian:
        covariance = np.asarray(family.covariance(raw).dense()) / sd**2
        np.testing.assert_allclose(np.diag(covariance), 1, rtol=1e-9)
        assert np.abs(covariance - np.eye(8)).max() < 1e-3
    else:
        assert_covariance(draws(family, raw, COUNT)[1], MEAN, sd**2 * np.eye(8))


@each(GAUSSIAN)
def test_draws_have_the_covariance_of_the_operator(family):
    raw = moved(family)
    covariance = family.covariance(raw)
    dense = np.asarray(covariance.dense())
    assert_covariance(draws(family, raw, COUNT)[1], np.asarray(family.mean(raw)), dense)
    root = np.asarray(jax.vmap(covariance.sqrt, out_axes=1)(np.eye(8)))
    np.testing.assert_allclose(root @ root.T, dense, atol=1e-12)
    np.testing.assert_allclose(covariance.variance(), np.diag(dense), rtol=1e-12)
    expected = np.linalg.slogdet(dense)[1]
    assert covariance.log_det() == pytest.approx(expected, abs=1e-10)
    assert family.log_det(raw) == pytest.approx(expected, abs=1e-10)


@each(GAUSSIAN)
def test_the_density_and_its_slope_are_those_of_the_gaussian(family):
    raw = moved(family)
    mean, dense = np.asarray(family.mean(raw)), np.asarray(family.covariance(raw).dense())
    w = mean + np.linspace(-1, 2, 8)
    value, slope = jax.value_and_grad(family.log_prob, argnums=1)(raw, jnp.asarray(w))
    assert value == pytest.approx(multivariate_normal(mean, dense).logpdf(w), abs=1e-10)
    np.testing.assert_allclose(slope, -np.linalg.solve(dense, w - mean), rtol=1e-9)


@each(FAMILIES)
def test_the_density_of_a_draw_is_the_same_by_its_noise(family):
    raw = moved(family)
    z, w = draws(family, raw, 5)
    assert len(z) == len(w) == 5
    by_noise = jax.vmap(family.log_prob_of, (None, 0))(raw, z)
    np.testing.assert_allclose(
        by_noise, jax.vmap(family.log_prob, (None, 0))(raw, w), rtol=1e-9, atol=1e-9
    )


@each(FAMILIES)
def test_the_mean_slope_of_the_log_density_is_zero_in_every_coordinate(family):
    """The score of any density that integrates to one."""
    raw = moved(family)
    _, w = draws(family, raw, COUNT, seed=3)
    slopes = jax.vmap(jax.grad(family.log_prob), (None, 0))(raw, w)
    slopes = np.concatenate([np.asarray(s).reshape(COUNT, -1) for s in jax.tree.leaves(slopes)], 1)
    error = slopes.std(axis=0) / np.sqrt(COUNT)
    moves = error > 0
    assert moves.sum() >= 2 * len(MEAN)
    assert (np.abs(slopes.mean(axis=0)) < 4.5 * error)[moves].all()
    assert (slopes[:, ~moves] == 0).all()


def bound(family, raw, z):
    """Return the terms of a bound: one of a draw, and every density there is."""
    w = family.draw(raw, z)
    total = jnp.sum(jnp.tanh(w)) + family.log_prob_of(raw, z) + family.log_prob(raw, w)
    if family.gaussian:
        total += family.log_det(raw) - jnp.sum(family.covariance(raw).variance())
    return total


@each(FAMILIES)
def test_values_and_slopes_stay_finite_in_float32_from_minus_1e4_to_1e4(family):
    ends = np.geomspace(1e-3, 1e4, 8)
    grid = np.concatenate([-ends, [0], ends])
    with jax.enable_x64(False):
        raw = moved(family, mean=MEAN.astype(np.float32))
        flat, unravel = trees.ravel(raw)
        one = jnp.tile(flat, (len(grid) * flat.size, 1))
        at = np.repeat(np.arange(flat.size), len(grid))
        one = one.at[np.arange(len(one)), at].set(np.tile(grid, flat.size).astype(np.float32))
        # All at once: the ends themselves, signs at random, and where the weights are.
        signs = np.random.default_rng(1).choice([-1e4, 1e4], (40, flat.size)).astype(np.float32)
        raws = jax.vmap(unravel)(jnp.concatenate([one, signs]))
        z = family.noise(jax.random.key(2), raw, 1)[0]
        value, slope = jax.vmap(jax.value_and_grad(lambda raw: bound(family, raw, z)))(raws)
    many = len(one)
    assert np.isfinite(value[:many]).all()
    assert all(np.isfinite(leaf[:many]).all() for leaf in jax.tree.leaves(slope))


@each(FAMILIES)
def test_it_is_stored_and_read_back(family):
    raw = moved(family)
    kept = family, raw, family.covariance(raw) if family.gaussian else None
    found = decode(*encode(kept))
    assert jax.tree.structure(found) == jax.tree.structure(kept)
    for ours, theirs in zip(jax.tree.leaves(kept), jax.tree.leaves(found), strict=True):
        np.testing.assert_array_equal(ours, theirs)
