"""What every family promises: its start, draws, density, and numbers at the ends of the scale."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from tests.numerics.families.cases import FAMILIES, GAUSSIAN, MEAN, SHAPES, each, moved

from posterium.numerics import trees
from posterium.numerics.precisions import precision
from posterium.posterior.decode import decode
from posterium.posterior.encode import encode

COUNT = 20_000
FAR = MEAN + np.linspace(-1, 2, 8)


@functools.cache
def told(name):
    """Return what a family tells at coordinates some way from the start, by one program."""
    family = FAMILIES[name]

    def everything(key, raw):
        z = family.noise(key, raw, COUNT)
        w = jax.vmap(family.draw, (None, 0))(raw, z)
        density = jax.vmap(jax.value_and_grad(family.log_prob), (None, 0))(raw, w)
        found = {"draws": w, "mean": family.mean(raw), "density": density[0], "score": density[1]}
        found["noise"] = z[0]
        found["by noise"] = jax.vmap(family.log_prob_of, (None, 0))(raw, z)
        found["far"] = jax.value_and_grad(family.log_prob, argnums=1)(raw, FAR)
        if family.gaussian:
            covariance = family.covariance(raw)
            found["covariance"] = covariance.dense()
            found["root"] = jax.vmap(covariance.sqrt, out_axes=1)(jnp.eye(8))
            found["variance"] = covariance.variance()
            found["log_dets"] = covariance.log_det(), family.log_det(raw)
        return found

    with jax.enable_x64(True):
        return jax.device_get(jax.jit(everything)(jax.random.key(5), moved(family)))


def assert_moments(w, mean, covariance):
    """Compare the moments of draws (s, p) with what they must be, within 4.5 standard errors."""
    offset = w - mean[None]
    outer = offset[:, :, None] * offset[:, None, :]
    for found, expected in ((offset, 0 * mean), (outer, covariance)):
        error = found.std(axis=0) / np.sqrt(len(w))
        assert (np.abs(found.mean(axis=0) - expected) < 4.5 * error).all()


@each(FAMILIES)
def test_it_starts_around_the_mean_with_uncorrelated_weights_of_the_sd_asked_for(name):
    family = FAMILIES[name]

    def start(sd):
        raw = family.start(jnp.asarray(MEAN), sd, SHAPES)
        if family.gaussian:
            return family.mean(raw), family.covariance(raw).dense()
        z = family.noise(jax.random.key(0), raw, COUNT)
        return family.mean(raw), jax.vmap(family.draw, (None, 0))(raw, z)

    with jax.enable_x64(True):
        program = jax.jit(start)
        for sd in (1e-4, 1.5):
            mean, spread = jax.device_get(program(sd))
            np.testing.assert_allclose(mean, MEAN, rtol=1e-12)
            if family.gaussian:
                np.testing.assert_allclose(np.diag(spread), sd**2, rtol=1e-9)
                assert np.abs(spread - sd**2 * np.eye(8)).max() < 1e-3 * sd**2
            else:
                assert_moments(spread, MEAN, sd**2 * np.eye(8))


@each(GAUSSIAN)
def test_draws_have_the_covariance_of_the_operator(name):
    found = told(name)
    assert_moments(found["draws"], found["mean"], found["covariance"])
    np.testing.assert_allclose(found["root"] @ found["root"].T, found["covariance"], atol=1e-12)
    np.testing.assert_allclose(found["variance"], np.diag(found["covariance"]), rtol=1e-12)
    expected = np.linalg.slogdet(found["covariance"])[1]
    np.testing.assert_allclose(found["log_dets"], expected, rtol=1e-10)


@each(GAUSSIAN)
def test_the_density_and_its_slope_are_those_of_the_gaussian(name):
    found = told(name)
    mean, covariance = found["mean"], found["covariance"]
    value, slope = found["far"]
    assert value == pytest.approx(multivariate_normal(mean, covariance).logpdf(FAR), abs=1e-10)
    np.testing.assert_allclose(slope, -np.linalg.solve(covariance, FAR - mean), rtol=1e-9)


@each(GAUSSIAN)
def test_as_a_prior_it_has_the_same_density(name):
    family = FAMILIES[name]
    with jax.enable_x64(True):
        root = precision(trees.to_numpy(family.covariance(moved(family))))
        told_of = jax.jit(lambda root, offset: (root.whiten(offset), root.log_det()))
        z, log_det = jax.device_get(told_of(root, FAR - told(name)["mean"]))
    found = 0.5 * (log_det - z @ z - 8 * np.log(2 * np.pi))
    assert found == pytest.approx(told(name)["far"][0], abs=1e-9)


@each(FAMILIES)
def test_the_density_of_a_draw_is_the_same_by_its_noise(name):
    found = told(name)
    np.testing.assert_allclose(found["by noise"], found["density"], rtol=1e-7, atol=1e-7)


@each(FAMILIES)
def test_the_mean_slope_of_the_log_density_is_zero_in_every_coordinate(name):
    """As it must be for any density that integrates to one."""
    leaves = [leaf.reshape(COUNT, -1) for leaf in jax.tree.leaves(told(name)["score"])]
    slopes = np.concatenate(leaves, axis=1)
    error = slopes.std(axis=0) / np.sqrt(COUNT)
    moves = error > 0
    assert moves.sum() >= 2 * len(MEAN)
    assert (np.abs(slopes.mean(axis=0)) < 4.5 * error)[moves].all()
    assert (slopes[:, ~moves] == 0).all()


def scattered(flat):
    """Return coordinates (b, q): each moved alone between the ends, then all at once to an end."""
    ends = np.geomspace(1e-3, 1e4, 8)
    grid = np.concatenate([-ends, [0], ends])
    alone = np.tile(flat, (flat.size, len(grid), 1))
    alone[np.arange(flat.size), :, np.arange(flat.size)] = grid[None]
    together = np.random.default_rng(1).choice([-1e4, 1e4], (50, flat.size))
    return alone.reshape(-1, flat.size), together


@each(FAMILIES)
def test_values_and_slopes_stay_finite_in_float32_from_minus_1e4_to_1e4(name):
    family = FAMILIES[name]
    raw = moved(family, mean=MEAN.astype(np.float32))
    flat, unravel = trees.ravel(raw)
    z = jnp.asarray(told(name)["noise"], np.float32)
    alone, together = scattered(flat)

    def bound(flat, by_weights):
        raw = unravel(flat)
        w = family.draw(raw, z)
        total = jnp.sum(jnp.tanh(w)) + family.log_prob_of(raw, z)
        if family.gaussian:
            total += family.log_det(raw) - jnp.sum(family.covariance(raw).variance())
        return total + family.log_prob(raw, w) if by_weights else total

    def everywhere(flat, by_weights):
        slope = jax.value_and_grad(lambda flat: bound(flat, by_weights))
        return jax.jit(jax.vmap(slope))(flat.astype(np.float32))

    # A factor with several scales below a last digit cannot be solved for the noise of a draw.
    if name in ("full", "matrix-normal"):
        found = everywhere(alone, True), everywhere(together, False)
    else:
        found = everywhere(np.concatenate([alone, together]), True)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))


@each(FAMILIES)
def test_it_is_stored_and_read_back(name):
    family = FAMILIES[name]
    with jax.enable_x64(True):
        raw = moved(family)
        kept = family, raw, family.covariance(raw) if family.gaussian else None
        found = decode(*encode(kept))
    assert jax.tree.structure(found) == jax.tree.structure(kept)
    for ours, theirs in zip(jax.tree.leaves(kept), jax.tree.leaves(found), strict=True):
        np.testing.assert_array_equal(ours, theirs)
