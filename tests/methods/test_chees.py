"""ChEES-HMC: closed forms, its cost beside fixed trajectories, the bits of a resumed fit."""

import os
import signal

import jax
import numpy as np
import pytest
from tests.bits import same
from tests.methods.test_hmc import assert_moments, linear_gaussian
from tests.methods.test_mclmc import ill_conditioned

from posterium import HMC, ChEES, Laplace, StartFrom, fit
from posterium.driver.fit import PROBE_STEPS
from posterium.driver.watch import Interrupted
from posterium.evaluate import mixing

SHORT = ChEES(warmup=200, draws=200, chains=16)


@pytest.mark.slow
def test_draws_have_mean_and_covariance_of_the_closed_form():
    model, data, mean, covariance = linear_gaussian()
    found = fit(jax.random.key(1), model, data, SHORT)
    draws = found.posterior.draws.weights.params["coefficients"][..., 0]
    assert draws.shape == (16, 200, 3)
    assert draws.dtype == np.float64
    assert found.verdict.status == "ok", str(found.verdict)
    assert_moments(draws, mean, covariance)
    steps = found.info["sampling"]["n_steps"]
    assert np.array_equal(steps, np.broadcast_to(steps[:, :1], steps.shape))
    assert len(np.unique(steps)) > 1


def worst_axis(method):
    """Return effective draws of the worst axis of an ill-conditioned Gaussian, and gradients."""
    model, data, mean, axes, sd = ill_conditioned()
    found = fit(jax.random.key(5), model, data, method)
    z = (found.posterior.draws.weights.params["w"][..., 0] - mean) @ axes / sd
    assert np.abs(z.mean(axis=(0, 1)) / mixing.mcse(z)).max() < 4
    square, error = (z**2).mean(axis=(0, 1)), mixing.mcse(z**2)
    assert np.abs((square - 1) / error).max() < 4.5
    return mixing.ess_bulk(z).min(), found.info["sampling"]["n_steps"].sum()


@pytest.mark.slow
def test_it_finds_a_length_as_good_as_the_best_of_several_fixed_ones():
    effective, gradients = worst_axis(ChEES(warmup=400, draws=250, chains=16))
    fixed = []
    for leapfrog in (8, 32, 128):
        method = HMC(warmup=400, draws=250, chains=16, leapfrog=leapfrog, target_accept=0.7)
        fixed.append(np.divide(*worst_axis(method)))
    assert effective / gradients > 0.7 * max(fixed)
    assert effective / gradients > 3 * min(fixed)


@pytest.mark.slow
def test_a_gaussian_to_start_from_gives_the_mass():
    model, data, mean, axes, sd = ill_conditioned()
    method = StartFrom(ChEES(warmup=100, draws=200, chains=16, mass="start"), Laplace())
    found = fit(jax.random.key(5), model, data, method)
    z = (found.posterior.draws.weights.params["w"][..., 0] - mean) @ axes / sd
    assert np.abs(z.mean(axis=(0, 1)) / mixing.mcse(z)).max() < 4
    assert np.array_equal(found.info["warmup"]["step_size"][0], np.full(16, 0.1))
    assert found.info["sampling"]["n_steps"].mean() < 8


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["warmup", "sampling"])
def test_a_fit_that_is_interrupted_and_goes_on_has_the_same_bits(phase, tmp_path):
    model, data, *_ = linear_gaussian()
    whole = fit(jax.random.key(1), model, data, SHORT)

    def interrupt(report):
        if (report.phase, report.step) == (phase, PROBE_STEPS):
            os.kill(os.getpid(), signal.SIGINT)

    folder = tmp_path / "c"
    with pytest.raises(Interrupted, match=phase):
        fit(jax.random.key(1), model, data, SHORT, checkpoint=folder, callbacks=[interrupt])
    again = fit(jax.random.key(1), model, data, SHORT, checkpoint=folder)
    assert same(again.posterior, whole.posterior)
    assert same(again.info, whole.info)


@pytest.mark.parametrize("settings", [{"mass": "dense"}, {"start": "map"}, {"chains": 2.5}])
def test_settings_without_sense_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        ChEES(**settings)
