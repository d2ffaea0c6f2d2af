"""A mass of low rank: exact on Gaussians, BlackJAX's where it keeps every direction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from blackjax.adaptation.metric_estimators import fisher_score_low_rank

from posterium.numerics.mcmc import low_rank

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module", autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


def gaussian(size, count, precisions):
    """Return draws and gradients of a Gaussian with some precisions off the axes, and its root."""
    axes = np.linalg.qr(RNG.normal(size=(size, len(precisions))))[0]
    root = np.eye(size) + (axes * (np.array(precisions) ** -0.5 - 1)) @ axes.T
    draws = RNG.normal(size=(count, size)) @ root
    return draws, -draws @ np.linalg.inv(root @ root), root


def dense(found):
    """Return the inverse mass as a matrix."""
    scale, directions, values = map(np.asarray, found)
    inner = np.eye(len(scale)) + (directions * (values - 1)) @ directions.T
    return scale[:, None] * inner * scale


def test_stiff_directions_off_the_axes_are_found_from_fewer_draws_than_dimensions():
    draws, gradients, root = gaussian(50, 40, [100.0, 1e3, 1e4])
    found = dense(jax.jit(low_rank.fisher)(draws, gradients, 40))
    spread = np.linalg.eigvalsh(root @ np.linalg.inv(found) @ root)
    assert spread.max() / spread.min() < 30
    by_scale = np.linalg.eigvalsh(root @ np.diag(1 / draws.var(axis=0)) @ root)
    assert by_scale.max() / by_scale.min() > 2000


def test_it_is_that_of_blackjax_where_no_direction_is_left_out():
    draws, gradients, _ = gaussian(6, 60, [1e-3, 1e2, 1e4])
    with_room = [np.concatenate([v, np.full((40, 6), np.nan)]) for v in (draws, gradients)]
    ours = jax.jit(low_rank.fisher)(*with_room, 60)
    theirs = jax.jit(fisher_score_low_rank, static_argnums=2)(draws, gradients, low_rank.RANK)
    np.testing.assert_allclose(dense(ours), dense(theirs), rtol=1e-6, atol=1e-9)


def test_a_chain_that_stands_keeps_unit_mass():
    draws, gradients = jnp.ones((30, 3)), jnp.ones((30, 3))
    np.testing.assert_allclose(dense(jax.jit(low_rank.fisher)(draws, gradients, 4)), np.eye(3))


def test_the_geometric_mean_solves_its_equation():
    a, b = (m @ m.T + np.eye(4) for m in RNG.normal(size=(2, 4, 4)))
    found = np.asarray(low_rank.balance(jnp.asarray(a), jnp.asarray(b)))
    np.testing.assert_allclose(found @ b @ found, a, rtol=1e-10)
    np.testing.assert_allclose(found, found.T, rtol=1e-10)
    assert np.linalg.eigvalsh(found).min() > 0
