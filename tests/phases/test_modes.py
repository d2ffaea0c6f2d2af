"""The check for modes that chains missed: what it finds, and how rarely it cries wolf."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterium import (
    HMC,
    MLP,
    NUTS,
    Bernoulli,
    Ensemble,
    Flat,
    Gaussian,
    Horseshoe,
    Linear,
    Model,
    Normal,
    ParallelTempering,
    as_data,
    fit,
)
from posterium.datasets.reference import identity6
from posterium.phases import modes
from posterium.phases.modes import Modes, check_modes, judge_modes
from posterium.recipes import relu4

KEY = jax.random.key(0)
BENT = relu4.model(0.05)
BENT_DATA = as_data(*identity6())


def functions(*levels):
    """Return functions that are constant at 5 probes, (m, 5, 1)."""
    return np.array(levels, float)[:, None, None] * np.ones((1, 5, 1))


DRAWN = functions(-1, 1, -1, 1) + np.linspace(-0.1, 0.1, 5)[None, :, None]
"""Four draws with sd 1 at every probe."""


def test_a_mode_that_no_draw_climbs_to_is_told_of_with_its_share():
    tops = functions(0, 9, 0, 0.1, 0, -0.1)
    verdict = judge_modes(np.log([3, 1, 3, 3, 3, 3]), tops, DRAWN)
    assert verdict.status == "warned"
    assert "1 of the modes" in verdict.reasons[0]
    assert "25%" in verdict.reasons[0]
    assert "ParallelTempering" in verdict.advice[0]


@pytest.mark.parametrize(
    ("evidence", "levels"),
    [
        pytest.param([1, 30, 30, 30, 30], [9, 0, 0, 0, 0], id="a small share"),
        pytest.param([3, 3, 3, 3, 3], [0.5, 0, 0.1, 0, 0], id="one function"),
        pytest.param([3, 2, 3, 3, 2], [9, 0, 0, 9, 9], id="visited"),
        pytest.param([np.inf, 3, 3, 3, 3], [9, 0, 0, 0, 0], id="no evidence"),
        pytest.param([3, 3, 3, 3, 3], [np.nan, 0, 0, 0, 0], id="no function"),
        pytest.param([np.nan] * 5, [0] * 5, id="nothing at all"),
    ],
)
def test_nothing_is_told_where_no_mode_was_missed(evidence, levels):
    assert judge_modes(np.log(evidence), functions(*levels), DRAWN).status == "ok"


def test_a_value_that_draws_differ_in_by_rounding_tells_no_modes_apart():
    """At an input of 0, a network without biases says the same whatever its weights."""
    drawn, tops = DRAWN + 100, functions(100, 100, 100, 100, 100)
    drawn[:, 0], tops[:, 0] = 100.0, 100.0
    drawn[1, 0] += 1.5e-14
    tops[0, 0] += 4e-13
    assert judge_modes(np.log([3, 3, 3, 3, 3]), tops, drawn).status == "ok"


def test_a_mode_far_from_draws_that_hardly_differ_is_told_of():
    drawn = (functions(1, 1, 1, 1) + 1e-5 * DRAWN).astype(np.float32)
    tops = functions(1, 2, 1, 1, 1, 1).astype(np.float32)
    assert judge_modes(np.log([3, 1, 3, 3, 3, 3]), tops, drawn).status == "warned"


def test_laplace_is_exact_for_a_gaussian_and_robust_without_curvature():
    matrix = np.array([[2.0, 0.5], [0.5, 1.0]])
    with jax.enable_x64(True):
        found = modes.laplace(lambda z: 0.5 * z @ matrix @ z + 1.5, jnp.zeros(2))
        kinked = modes.laplace(lambda z: 0.5 * z[0] ** 2 - jnp.abs(z[1]), jnp.zeros(2))
    exact = np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(matrix)[1] - 1.5
    assert found == pytest.approx(exact, abs=1e-10)
    assert np.isfinite(kinked)


@pytest.mark.slow
def test_a_chain_in_one_of_two_modes_is_warned_of():
    one = fit(KEY, BENT, BENT_DATA, NUTS(warmup=500, draws=300, chains=1, thin=2))
    left = one.posterior.draws.weights.params["layers"][0]["kernel"] < 0
    assert left.mean() in (0, 1)
    assert any("No chain visits" in reason for reason in one.verdict.reasons)
    assert one.verdict.status == "warned"
    assert one.info["modes"]["log_evidence"].shape == (1, 2 * modes.STARTS)


def checked(model, data, samples):
    """Return the verdict of the check on given draws."""
    phase = Modes()

    @jax.jit
    def run(samples):
        state = phase.init(KEY, model, data, samples)
        return phase.step(KEY, state, model, Whole(data))[1]

    with jax.enable_x64(True):
        info = jax.tree.map(np.asarray, run(samples))
    return phase.judge({name: values[None] for name, values in info.items()}, samples)


class Whole:
    """A batch of all rows."""

    def __init__(self, data):
        self.part = data


@pytest.mark.parametrize(
    ("model", "rows", "count"),
    [
        (BENT, 6, 1),
        (Model(MLP(hidden=(5,)), Flat(), Gaussian(1.0)), 6, 0),
        (Model(MLP(hidden=(5,)), Normal(0.0), Gaussian(1.0)), 6, 0),
        (Model(MLP(hidden=(5,)), Horseshoe(), Gaussian(1.0)), 6, 0),
        (Model(MLP(hidden=(100,)), Normal(), Gaussian(1.0)), 6, 0),
        (Model(MLP(hidden=(30,)), Normal(), Gaussian(1.0)), 1000, 0),
    ],
)
def test_only_small_networks_under_a_gaussian_prior_are_checked_unasked(model, rows, count):
    data = as_data(np.zeros((rows, 1)), np.zeros(rows))
    assert len(check_modes(None, model, data)) == count
    assert check_modes(0, model, data) == ()
    assert check_modes(8, model, data) == (Modes(8),)


@pytest.mark.slow
@pytest.mark.parametrize("chains", [1, 4])
def test_of_20_wrong_runs_none_is_ok(chains):
    x, y = identity6()
    grid = np.linspace(-5, 5, 100)[:, None]
    exact = relu4.exact(x, y, 0.05, grid, points=401)
    wrong = missed = 0
    for seed in range(20):
        found = fit(jax.random.key(seed), BENT, BENT_DATA, NUTS(chains=chains))
        if relu4.errors(found, grid, exact).wrong:
            wrong += 1
            missed += found.verdict.status == "ok"
    assert wrong >= 15
    assert missed == 0


RNG = np.random.default_rng(3)
PLANE = RNG.normal(size=(40, 2))
SLOPE = PLANE @ [1.0, -1.0]
WAVE = np.concatenate([RNG.uniform(-2, -0.5, 20), RNG.uniform(0.8, 2, 20)])[:, None]
GOOD = {
    "linear": (
        Model(Linear(), Normal(1.0, "none"), Gaussian(0.5)),
        as_data(PLANE, SLOPE + 0.5 * RNG.normal(size=40)),
    ),
    "logistic": (
        Model(Linear(), Normal(1.0, "none"), Bernoulli()),
        as_data(PLANE, (SLOPE + 0.7 * RNG.normal(size=40) > 0).astype(int)),
    ),
    "tanh": (
        Model(MLP(1, (4,), "tanh"), Normal(0.3), Gaussian(0.15)),
        as_data(WAVE, np.sin(2.5 * WAVE[:, 0]) + 0.15 * RNG.normal(size=40)),
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_modes_are_looked_for_where_there_may_be_several(name):
    assert len(modes.check_modes(None, *GOOD[name])) == (name == "tanh")


@pytest.mark.slow
@pytest.mark.parametrize("name", GOOD)
def test_of_20_good_runs_at_most_one_is_told_of_modes(name):
    told = 0
    for seed in range(20):
        sampler = NUTS(warmup=300, draws=300, modes=modes.STARTS)
        found = fit(jax.random.key(seed), *GOOD[name], sampler)
        told += any("No chain visits" in reason for reason in found.verdict.reasons)
    assert told <= 1


@pytest.mark.slow
def test_members_of_an_ensemble_are_checked_each():
    small = HMC(warmup=20, draws=40, chains=2, leapfrog=4)
    found = fit(KEY, BENT, BENT_DATA, Ensemble(small, 2))
    assert found.info["modes"]["log_evidence"].shape == (1, 2, 2 * modes.STARTS)
    assert found.posterior.parts.draws.weights.params["layers"][0]["kernel"].shape[:3] == (2, 2, 40)


@pytest.mark.slow
def test_draws_of_parallel_tempering_miss_no_mode():
    found = fit(KEY, BENT, BENT_DATA, ParallelTempering())
    assert checked(BENT, BENT_DATA, found.posterior).status == "ok"


def test_a_climb_from_far_out_where_slopes_are_huge_arrives_as_well():
    tops = jax.jit(lambda starts: modes.climb(lambda z: jnp.sum(jnp.exp(2 * z) - z), starts))
    found = tops(jnp.array([[5.0], [-1.0]]))
    np.testing.assert_allclose(found, -0.5 * np.log(2), atol=1e-3)
