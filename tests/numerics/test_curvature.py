"""Curvature of sums over rows against dense NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterium.numerics import curvature

RNG = np.random.default_rng(3)
N, K, P = 7, 2, 5
JACOBIAN = RNG.normal(size=(N, K, P))
WEIGHT = RNG.uniform(0, 2, N)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def test_the_hessian_of_several_sums_is_exact():
    matrices = RNG.normal(size=(3, P, P))

    def parts(w):
        return jnp.einsum("p,bpq,q->b", w, matrices, w) + jnp.sum(w**3)

    w = RNG.normal(size=P)
    expected = matrices + np.swapaxes(matrices, 1, 2) + np.diag(6 * w)
    np.testing.assert_allclose(curvature.hessian(parts, w, diagonal=False), expected, rtol=1e-12)
    np.testing.assert_allclose(
        curvature.hessian(parts, w, diagonal=True),
        np.diagonal(expected, axis1=1, axis2=2),
        rtol=1e-12,
    )


@pytest.mark.parametrize("tile", [1, 3, 7, 20])
def test_tiles_add_up_to_the_whole_with_a_short_last_one(tile):
    rows = jnp.asarray(JACOBIAN), jnp.asarray(WEIGHT)

    def function(part):
        values, weight = part
        assert len(weight) <= tile or tile > N
        return {"sum": jnp.tensordot(weight, 1 / values, 1), "weight": jnp.sum(weight)}

    found = curvature.sum_tiles(function, rows, tile)
    np.testing.assert_allclose(found["sum"], np.tensordot(WEIGHT, 1 / JACOBIAN, 1), rtol=1e-12)
    np.testing.assert_allclose(found["weight"], WEIGHT.sum(), rtol=1e-14)


def test_a_tile_of_jacobians_stays_within_the_budget():
    assert curvature.tile_rows(10, 1, 4, 8) == 10
    rows = curvature.tile_rows(10**6, 10, 5000, 8)
    assert 1 < rows
    assert rows * 10 * 5000 * 8 <= curvature.TILE_BYTES < (rows + 1) * 10 * 5000 * 8
    assert curvature.tile_rows(10**6, 10, 10**9, 8) == 1
