"""HMC and NUTS: exact identities of the integrator, closed-form posteriors, planted traps."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.methods.planted import KINDS, planted

from posterium import (
    MLP,
    ByPath,
    Ensemble,
    Flat,
    Gaussian,
    Linear,
    Model,
    Normal,
    Stream,
    Weights,
    as_data,
    fit,
    learn,
    load,
    predict,
    save,
)
from posterium._struct import struct
from posterium.evaluate import convergence, mixing
from posterium.methods.hmc import HMC
from posterium.methods.nuts import NUTS
from posterium.numerics import trees
from posterium.numerics.mcmc import hamiltonian
from posterium.numerics.mcmc.base import Pace
from posterium.posterior.posterior import Mixture, Point

SHORT = NUTS(warmup=300, draws=1000)


# The integrator


def pendulums(z: jax.Array) -> jax.Array:
    """A log density with every derivative: coupled pendulums."""
    return jnp.sum(jnp.cos(z)) - 0.3 * z[0] * z[1] - 0.05 * jnp.sum(z**4)


def flow(step_size: float, steps: int, log_density=pendulums):
    """Return the map (z, m) -> (z, m) of so many leapfrog steps, and the energy."""
    advance, start, energy = hamiltonian.leapfrog(log_density, jnp.array([0.5, 1.0, 2.0]))

    def move(z: jax.Array, m: jax.Array):
        end = jax.lax.fori_loop(0, steps, lambda _, s: advance(s, step_size), start(z, m))
        return end.position, end.momentum

    return move, lambda z, m: energy(start(z, m))


Z, M = np.array([0.3, -0.8, 0.5]), np.array([1.0, 0.2, -0.7])


def test_a_reversed_trajectory_returns_to_where_it_began():
    with jax.enable_x64(True):
        move = jax.jit(flow(0.1, 200)[0])
        z, m = move(jnp.asarray(Z), jnp.asarray(M))
        back, momentum = move(z, -m)
    assert np.abs(np.asarray(z) - Z).max() > 0.1
    np.testing.assert_allclose(back, Z, atol=1e-10)
    np.testing.assert_allclose(-momentum, M, atol=1e-10)


def test_the_energy_error_falls_as_the_square_of_the_step():
    sizes = np.array([0.02, 0.04, 0.08])
    errors = []
    with jax.enable_x64(True):
        for size in sizes:
            move, energy = flow(size, round(1.6 / size))
            start = jnp.asarray(Z), jnp.asarray(M)
            errors.append(abs(float(energy(*jax.jit(move)(*start)) - energy(*start))))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert slope == pytest.approx(2, abs=0.1)


def test_the_integrator_keeps_volume():
    with jax.enable_x64(True):
        move = flow(0.2, 10)[0]

        def both(zm: jax.Array) -> jax.Array:
            return jnp.concatenate(move(zm[:3], zm[3:]))

        jacobian = jax.jit(jax.jacfwd(both))(jnp.concatenate([Z, M]))
    assert np.linalg.det(np.asarray(jacobian)) == pytest.approx(1, abs=1e-8)


def test_a_trajectory_that_is_cut_short_before_it_turns_is_told_from_one_that_turns():
    kernel = hamiltonian.NoUTurn(max_depth=3)

    @jax.jit
    def depth(step_size: float):
        key, pace = jax.random.key(0), Pace(step_size, jnp.ones(3))
        state = kernel.first_state(key, jnp.zeros(3), lambda z: -0.5 * jnp.sum(z**2))
        _, info = kernel.step(key, state, lambda z: -0.5 * jnp.sum(z**2), pace)
        return info["tree_depth"], info["reached_max_depth"]

    # Half a period takes pi: 7 steps of 0.01 are far from it, 7 of 0.9 are beyond.
    assert depth(0.01) == (3, True)
    assert not depth(0.9)[1]


# Posteriors in closed form


def linear_gaussian():
    """Return model and data, and mean and covariance of the weights."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    y = 0.5 + x @ [1.0, -1.0] + 0.5 * rng.normal(size=30)
    design = np.column_stack([np.ones(30), x])
    covariance = np.linalg.inv(design.T @ design / 0.5**2 + 2 * np.eye(3))
    mean = covariance @ design.T @ y / 0.5**2
    model = Model(Linear(), Normal(2.0, scaling="none"), Gaussian(0.5))
    return model, as_data(x, y), mean, covariance


def assert_moments(draws: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> None:
    """Hold means and covariances of draws (c, s, p) to 4 Monte Carlo standard errors."""
    z = (draws.mean(axis=(0, 1)) - mean) / mixing.mcse(draws)
    assert np.abs(z).max() < 4
    products = (draws - mean)[..., :, None] * (draws - mean)[..., None, :]
    z = (products.mean(axis=(0, 1)) - covariance) / mixing.mcse(products)
    assert np.abs(z).max() < 4


@pytest.mark.parametrize(
    "method", [SHORT, HMC(warmup=300, draws=1000, mass="dense", thin=2, start="network")]
)
def test_draws_have_mean_and_covariance_of_the_closed_form(method):
    model, data, mean, covariance = linear_gaussian()
    found = fit(jax.random.key(1), model, data, method)
    draws = found.posterior.draws.weights.params["coefficients"][..., 0]
    assert draws.shape == (4, 1000, 3)
    assert draws.dtype == np.float64
    assert found.verdict.status == "ok"
    assert_moments(draws, mean, covariance)
    with jax.enable_x64(True):
        at = np.asarray(convergence.probes(data.x))
    again = np.einsum("nd,csd->csn", np.column_stack([np.ones(len(at)), at]), draws)
    probe = np.swapaxes(found.info["sampling"]["probe"], 0, 1)[..., 0]
    np.testing.assert_allclose(probe, again, rtol=1e-10)


def test_a_second_fit_of_equal_shapes_compiles_nothing_and_a_step_size_target_neither(caplog):
    model, data, *_ = linear_gaussian()
    fit(jax.random.key(1), model, data, SHORT)
    other = as_data(data.x + 1, data.y)
    with jax.log_compiles():
        fit(jax.random.key(2), model, other, NUTS(warmup=300, draws=1000, target_accept=0.9))
        assert "Compiling" not in caplog.text
        fit(jax.random.key(2), model, other, NUTS(warmup=300, draws=999))
        assert "Compiling" in caplog.text


def test_a_saved_sample_predicts_the_same_bits(tmp_path):
    model, data, *_ = linear_gaussian()
    found = fit(jax.random.key(1), model, data, SHORT)
    save(found, tmp_path / "m.posterium")
    x = np.array([[0.0, 1.0], [2.0, -1.0]])
    one, two = (predict(jax.random.key(0), f, x) for f in (found, load(tmp_path / "m.posterium")))
    assert np.array_equal(one.mean, two.mean)


# Traps


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_planted_trap_is_flagged_and_no_draw_is_lost(kind):
    found = fit(jax.random.key(0), *planted(kind), SHORT)
    assert found.verdict.status == "failed" or (kind, found.verdict.status) == ("funnel", "warned")
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found.posterior))
    diverging = found.info["sampling"]["diverging"].sum()
    assert (diverging > 0) == (kind != "two modes")
    w = found.posterior.draws.weights.params["w"]
    if kind == "nan region":
        assert w[..., 0].max() <= 0.5
    if kind == "islands":
        assert np.array_equal(w, np.round(w))


def test_good_runs_are_not_flagged_but_their_first_50_draws_are():
    model, data = planted("normal")
    fits = [fit(jax.random.key(100 + i), model, data, SHORT) for i in range(20)]
    assert sum(f.verdict.status != "ok" for f in fits) <= 1
    start = {name: values[:50] for name, values in fits[0].info["sampling"].items()}
    assert convergence.judge_chains(start).status != "ok"


@pytest.mark.slow
@pytest.mark.goal("S8")
def test_of_100_good_runs_at_most_2_are_flagged_and_of_5_failures_all(record_property):
    def runs(kind: str, seeds: range) -> list[Any]:
        model, data = planted(kind)
        return [fit(jax.random.key(seed), model, data, SHORT) for seed in seeds]

    good = runs("normal", range(100))
    begun = {name: values[:50] for name, values in good[0].info["sampling"].items()}
    bad = [runs(kind, range(1))[0].verdict for kind in KINDS[1:]]
    bad.append(convergence.judge_chains(begun))
    alarms = sum(found.verdict.status != "ok" for found in good)
    caught = sum(verdict.status != "ok" for verdict in bad)
    record_property("good runs flagged", alarms)
    record_property("failures flagged", caught)
    assert alarms <= 2
    assert caught == 5


@pytest.mark.slow
def test_many_short_chains_from_eight_points_are_judged_by_where_they_began():
    method = NUTS(warmup=150, draws=40, chains=32)

    def status(kind: str, seed: int) -> str:
        model, data = planted(kind)
        keys = jax.random.split(jax.random.key(1000 + seed), 8)
        points = jax.vmap(lambda key: Point(Weights(model.prior.sample(key, None))))(keys)
        start = Mixture(points, trees.stack(model, 8))
        return str(fit(jax.random.key(seed), model, data, method, start=start).verdict)

    good = [status("normal", seed) for seed in range(20)]
    assert sum(text != "ok" for text in good) <= 1, good
    assert "nested R-hat" in status("two modes", 0)


# The door


@pytest.mark.slow
def test_an_ensemble_of_samplers_is_judged_member_by_member():
    model, data = planted("normal")
    small = HMC(warmup=20, draws=40, chains=2, leapfrog=4)
    found = fit(jax.random.key(0), model, data, Ensemble(small, 2))
    assert found.posterior.parts.draws.weights.params["w"].shape == (2, 2, 40, 6)
    assert all("of 2 members" in reason for reason in found.verdict.reasons)
    assert predict(jax.random.key(0), found, data.x, draws=8).mean.shape == (6, 1)


def counting(key, x):
    return {"w": jnp.zeros((1, 1), x.dtype)}


@struct
class Running:
    """A network that keeps a running mean, as batch norm does."""

    def init(self, key, x):
        return Weights(counting(key, x), jnp.zeros(1, x.dtype))

    def apply(self, weights, x, *, train=False):
        state = 0.9 * weights.state + 0.1 * x.mean(0) if train else weights.state
        return (x - weights.state[None]) @ weights.params["w"], state


@pytest.mark.parametrize(
    ("model", "data", "words"),
    [
        (Model(MLP(), Normal(), Gaussian()), None, "prior for every free"),
        (Model(MLP(), Normal(learn(1.0)), Gaussian(1.0)), None, "prior for every free"),
        (Model(MLP(), Flat(), Gaussian(1.0)), None, "start='network'"),
        (Model(MLP(), ByPath({"*bias": Flat(), "*": Normal()}), Gaussian(1.0)), None, "start="),
        (Model(Running(), Normal(), Gaussian(1.0)), None, "running statistics"),
        (Model(MLP(), Normal(), Gaussian(1.0)), Stream(iter, 10.0, 5), "in memory"),
    ],
)
def test_what_cannot_be_sampled_is_refused_with_a_way_out(model, data, words):
    data = data or as_data(np.zeros((4, 1)), np.zeros(4))
    with pytest.raises(ValueError, match=words):
        NUTS().phases(model, data)


@pytest.mark.parametrize(
    "settings",
    [
        {"mass": "full"},
        {"start": "map"},
        {"draws": 0},
        {"draws": "ten"},
        {"thin": 0},
        {"chains": 0},
    ],
)
@pytest.mark.parametrize("sampler", [NUTS, HMC])
def test_settings_without_sense_are_refused(sampler, settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        sampler(**settings)


def test_importing_the_samplers_does_not_import_blackjax():
    import subprocess
    import sys

    code = "import posterium.methods.nuts, sys; sys.exit('blackjax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
