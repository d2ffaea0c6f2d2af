"""Flows: their way back, their Jacobian, and which weights are in them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from tests.numerics.families.cases import MEAN, SHAPES, moved

from posterium.numerics.families import flow
from posterium.numerics.families.base import positive
from posterium.numerics.families.flow import Flow

KERNEL = Flow(layers=6, hidden=4, on=("*kernel",))


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def test_it_starts_as_independent_gaussians():
    w = MEAN + np.linspace(-1, 1, 8)
    found = jax.jit(lambda w: KERNEL.log_prob(KERNEL.start(MEAN, 0.3, SHAPES), w))(w)
    assert found == pytest.approx(stats.norm(MEAN, 0.3).logpdf(w).sum(), abs=1e-12)


def test_the_way_back_is_exact_and_the_determinant_that_of_the_jacobian():
    raw = moved(KERNEL)
    z = jnp.asarray(np.random.default_rng(1).normal(size=6))

    def everything(z):
        y, log_det = flow._forward(raw.couplings, z)
        back, same = flow._inverse(raw.couplings, y)
        return y, log_det, back, same, jax.jacfwd(lambda z: flow._forward(raw.couplings, z)[0])(z)

    y, log_det, back, same, jacobian = jax.jit(everything)(z)
    np.testing.assert_allclose(back, z, rtol=1e-12)
    assert np.abs(y - z).max() > 0.1
    assert log_det == pytest.approx(np.linalg.slogdet(jacobian)[1], abs=1e-12)
    assert same == pytest.approx(float(log_det), abs=1e-12)


@pytest.mark.parametrize("count", [2, 5, 6])
def test_after_two_layers_a_digit_every_weight_was_moved_by_every_other(count):
    shapes = (("w", (count,)),)
    layers = 2 * (count - 1).bit_length()
    raw = jax.eval_shape(lambda: Flow(layers, 1).start(jnp.zeros(count), jnp.ones(()), shapes))
    keeps = np.asarray(flow._masks(raw.couplings))
    by = (keeps[:, :, None] & ~keeps[:, None, :]).any(axis=0)
    np.testing.assert_array_equal(by, ~np.eye(count, dtype=bool))


def test_weights_outside_the_flow_are_independent_gaussians():
    raw = moved(KERNEL)
    assert raw.spans == ((2, 8),)
    z = np.zeros((2, 8))
    z[1, :2] = 1.0, -2.0
    near, far = jax.jit(jax.vmap(KERNEL.draw, (None, 0)))(raw, z)
    np.testing.assert_allclose((far - near)[:2], positive(raw.scale[:2]) * z[1, :2])
    np.testing.assert_array_equal(far[2:], near[2:])


def test_a_coupling_scales_by_exp_2_at_most():
    coupling = flow.Coupling(np.ones((2, 1)), np.zeros(1), np.full((1, 4), 1e4), np.zeros(4))
    log_scale, shift = coupling(np.ones(2))
    np.testing.assert_allclose(log_scale, 2, rtol=1e-12)
    assert (shift > 1e3).all()


@pytest.mark.parametrize("on", [("*scale",), ("layer/[x]*",)])
def test_globs_that_name_fewer_than_two_weights_are_refused(on):
    with pytest.raises(ValueError, match=r"at least two weights together.*layer/bias"):
        Flow(on=on).start(jnp.asarray(MEAN), jnp.asarray(0.3), SHAPES)


@pytest.mark.parametrize("settings", [{"layers": 0}, {"hidden": 0}, {"on": "*kernel"}])
def test_settings_that_make_no_flow_are_refused(settings):
    with pytest.raises(ValueError, match="Flow expects"):
        Flow(**settings)
