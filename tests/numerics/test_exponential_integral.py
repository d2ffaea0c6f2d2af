"""The scaled exponential integral against mpmath's, and its slopes against what they must be."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from posterium.numerics.exponential_integral import log_scaled_exp1

ROUNDING = {"float32": 3e-6, "float64": 2e-14}


def exact(u):
    """Return log S, its slope 1 - 1 / (u S), and the slope of that, in 40 digits."""
    with mpmath.workdps(40):
        u = mpmath.mpf(float(u))
        s = mpmath.exp(u) * mpmath.e1(u)
        slope = 1 - 1 / (u * s)
        return [float(v) for v in (mpmath.log(s), slope, (slope + 1 / u) * (1 - slope))]


@pytest.mark.parametrize("precision", ROUNDING)
def test_value_and_slope_are_right_to_rounding_from_1e_minus_37_to_1e12(precision):
    with jax.enable_x64(precision == "float64"):
        u = jnp.asarray(np.concatenate([np.logspace(-37, 12, 80), np.linspace(0.5, 2, 40)]))
        u = u.astype(precision)
        value = log_scaled_exp1(u)
        slope = jax.grad(lambda u: jnp.sum(log_scaled_exp1(u)))(u)
    right = np.array([exact(one) for one in np.asarray(u)])
    assert value.dtype == precision
    value, slope = np.asarray(value), np.asarray(slope)
    assert np.abs(value - right[:, 0]).max() < ROUNDING[precision]
    assert np.abs(slope / right[:, 1] - 1).max() < ROUNDING[precision]


def test_the_second_slope_is_right():
    with jax.enable_x64(True):
        u = jnp.asarray(np.logspace(-6, 4, 30))
        slope = jax.grad(lambda u: jnp.sum(log_scaled_exp1(u)))
        second = jax.grad(lambda u: jnp.sum(slope(u)))(u)
    assert np.allclose(np.asarray(second), [exact(one)[2] for one in np.asarray(u)], rtol=1e-9)
