"""Moments that are propagated through layers, against quadrature and against draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from posterium.numerics.moments import affine, propagate, relu

CASES = [(0.0, 1.0), (0.3, 2.0), (-3.0, 1.0), (5.0, 0.2), (-8.0, 4.0), (100.0, 1e-4), (-0.5, 1e-6)]


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def by_quadrature(mean, variance):
    """Return mean and variance of max(u, 0) by Gauss's rule over 12 sds, in deviations."""
    sd = np.sqrt(variance)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    low = np.clip(-mean / sd, -12, 12)
    z = low + (12 - low) * (nodes + 1) / 2
    mass = (12 - low) / 2 * weights * norm.pdf(z)
    first = np.sum(mass * (mean + sd * z))
    return first, np.sum(mass * (mean + sd * z - first) ** 2) + norm.cdf(low) * first**2


def test_the_moments_of_a_rectified_gaussian_are_those_of_quadrature():
    found = jax.jit(relu)(*jnp.array(CASES).T)
    expected = np.array([by_quadrature(*case) for case in CASES]).T
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-30)


def test_a_rectified_constant_is_a_constant_and_its_slopes_are_finite():
    mean, variance = jnp.array([-1.0, 2.0]), jnp.zeros(2)
    np.testing.assert_array_equal(jax.jit(relu)(mean, variance), [[0, 2], [0, 0]])
    slopes = jax.jit(jax.jacobian(relu, argnums=(0, 1)))(mean, variance)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def test_extreme_arguments_keep_values_and_slopes_finite_and_variances_positive():
    mean = jnp.array([-1e8, -40.0, -1e-8, 1e-8, 40.0, 1e8])
    variance = jnp.array([1e-12, 1.0, 1e12, 1e-12, 1.0, 1e12])
    found = jax.jit(relu)(mean, variance)
    slopes = jax.jit(jax.jacobian(relu, argnums=(0, 1)))(mean, variance)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((found, slopes)))
    assert (found[1] >= 0).all()


def tree(rng, shapes, low):
    return [
        {"kernel": low + rng.random(shape), "bias": low + rng.random(shape[1])} for shape in shapes
    ]


def test_one_affine_layer_has_exact_moments():
    rng = np.random.default_rng(0)
    (mean,), (variance,) = tree(rng, [(3, 2)], -0.5), tree(rng, [(3, 2)], 0.1)
    x = rng.normal(size=(4, 3))
    found = affine((x, np.zeros_like(x)), mean, variance)
    np.testing.assert_allclose(found[0], x @ mean["kernel"] + mean["bias"])
    np.testing.assert_allclose(found[1], x**2 @ variance["kernel"] + variance["bias"])


def test_uncertain_inputs_of_an_affine_layer_give_the_moments_of_products():
    rng = np.random.default_rng(1)
    (mean,), (variance,) = tree(rng, [(3, 2)], -0.5), tree(rng, [(3, 2)], 0.1)
    x, spread = rng.normal(size=(1, 3)), rng.random((1, 3))
    draws = 400_000
    u = x + np.sqrt(spread) * rng.normal(size=(draws, 3))
    kernel = mean["kernel"] + np.sqrt(variance["kernel"]) * rng.normal(size=(draws, 3, 2))
    bias = mean["bias"] + np.sqrt(variance["bias"]) * rng.normal(size=(draws, 2))
    out = np.einsum("si,sio->so", u, kernel) + bias
    found = [np.asarray(part)[0] for part in affine((x, spread), mean, variance)]
    error = out.std(axis=0) / np.sqrt(draws)
    assert (np.abs(out.mean(axis=0) - found[0]) < 4 * error).all()
    squares = (out - found[0]) ** 2
    assert (np.abs(squares.mean(0) - found[1]) < 4 * squares.std(0) / np.sqrt(draws)).all()


@pytest.mark.slow
def test_a_wide_network_has_the_output_moments_of_drawn_weights():
    rng = np.random.default_rng(2)
    shapes = [(2, 30), (30, 1)]
    mean, variance = tree(rng, shapes, -0.5), tree(rng, shapes, 0.1)
    x = np.array([[0.7, -1.2]])
    draws = 100_000
    (w, b), (v, c) = (
        (
            m["kernel"] + np.sqrt(s["kernel"]) * rng.normal(size=(draws, *m["kernel"].shape)),
            m["bias"] + np.sqrt(s["bias"]) * rng.normal(size=(draws, *m["bias"].shape)),
        )
        for m, s in zip(mean, variance, strict=True)
    )
    hidden = np.maximum(np.einsum("i,sio->so", x[0], w) + b, 0)
    out = np.einsum("so,sok->sk", hidden, v)[:, 0] + c[:, 0]
    found = propagate({"layers": mean}, {"layers": variance}, x)
    # Units of one layer share no weight, so the moments of the output are exact.
    assert abs(out.mean() - found[0][0, 0]) < 4 * out.std() / np.sqrt(draws)
    squares = (out - found[0][0, 0]) ** 2
    assert abs(squares.mean() - found[1][0, 0]) < 4 * squares.std() / np.sqrt(draws)
