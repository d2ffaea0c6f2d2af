"""The full covariance from a precision: the inverse of its triangle."""

import jax
import jax.numpy as jnp
import numpy as np

from posterium.numerics.covariances import dense

ROOT = np.random.default_rng(0).normal(size=(23, 23)) / 23
PRECISION = ROOT @ ROOT.T + np.eye(23)


def test_a_triangle_is_inverted_by_halves_down_to_substitution(monkeypatch):
    monkeypatch.setattr(dense, "SUBSTITUTED", 4)
    with jax.enable_x64(True):
        lower = jnp.linalg.cholesky(jnp.asarray(PRECISION))
        found = np.asarray(dense.triangular_inverse(lower))
        covariance = np.asarray(dense.from_precision(jnp.asarray(PRECISION)).dense())
    assert np.allclose(found @ np.asarray(lower), np.eye(23), atol=1e-13)
    assert np.array_equal(found, np.tril(found))
    assert np.allclose(covariance, np.linalg.inv(PRECISION), rtol=1e-12, atol=1e-14)


def test_a_precision_that_is_not_positive_definite_gives_nan():
    found = dense.from_precision(jnp.asarray(np.diag([1.0, -1.0]).astype(np.float32)))
    assert np.isnan(np.asarray(found.dense())).any()
