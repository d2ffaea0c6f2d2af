import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.contracts.cases import DATA, KEY, LINEAR
from tests.driver.problems import MODEL
from tests.model.adapters.networks import CASES
from tests.model.adapters.networks import X as ROWS
from tests.model.adapters.networks import Y as TARGETS

from posterium import (
    MAP,
    SWA,
    SWAG,
    Ensemble,
    Gaussian,
    Model,
    Normal,
    as_data,
    fit,
    learn,
    predict,
)
from posterium._struct import replace
from posterium.driver.batches import Shuffled
from posterium.evaluate import convergence
from posterium.methods.swag import covariance, judge_drift
from posterium.numerics import trees
from posterium.phases.descent import Descent, Optimiser
from posterium.posterior.posterior import GaussianPosterior, Point, Samples

MODE = MAP(steps=1, polish="newton")
SHORT = SWAG(rank=4, steps=60, every=5, learning_rate=0.02, batch_size=5, at=None)


def iterates(method, model, data):
    """Return the iterates of a method by hand, (t, p), and the start of its descent."""
    model, data = trees.cast((model, data), np.float64)
    data = jax.tree.map(jnp.asarray, data)
    optimiser = Optimiser(method.optimiser, method.learning_rate)
    descent = Descent(optimiser, method.steps, method.batch_size, patience=None)
    key = jax.random.fold_in(KEY, 0)
    plan = Shuffled(key, data, method.batch_size).plan(0, method.steps, method.steps)
    state, found = descent.init(jax.random.fold_in(key, 0), model, data, None), []
    move = jax.jit(lambda state, batch: descent.step(key, state, model, batch)[0])
    for step in range(method.steps):
        state = move(state, plan.batch(step))
        found.append(trees.vector(state.params))
    return np.array(found)[method.every - 1 :: method.every]


def test_moments_are_those_of_the_stored_iterates():
    with jax.enable_x64(True):
        stored = iterates(SHORT, LINEAR, DATA)
    found = fit(KEY, LINEAR, DATA, SHORT, precision="float64").posterior
    assert isinstance(found, GaussianPosterior)
    mean = trees.vector(found.mean.params)
    assert np.allclose(mean, stored.mean(axis=0), rtol=1e-6, atol=0)
    running = np.cumsum(stored, axis=0) / np.arange(1, len(stored) + 1)[:, None]
    last = (stored - running)[-4:]
    exact = (np.diag(stored.var(axis=0)) + last.T @ last / 3) / 2
    assert np.allclose(found.covariance.dense(), exact, rtol=1e-6, atol=1e-6 * exact.max())


@pytest.mark.parametrize("taken", [6, 3])
def test_moments_of_a_descent_that_is_ended_early_are_those_of_the_iterates_so_far(taken):
    stored = []

    def every_fifth(report):
        stored.append(trees.vector(report.state.of.params))
        return len(stored) == taken

    every_fifth.every = SHORT.every
    found = fit(KEY, LINEAR, DATA, SHORT, precision="float64", callbacks=[every_fifth]).posterior
    stored = np.array(stored)
    running = np.cumsum(stored, axis=0) / np.arange(1, taken + 1)[:, None]
    last = (stored - running)[-SHORT.rank :]
    exact = (np.diag(stored.var(axis=0)) + last.T @ last / (len(last) - 1)) / 2
    assert np.allclose(trees.vector(found.mean.params), stored.mean(axis=0), rtol=1e-6, atol=0)
    assert np.allclose(found.covariance.dense(), exact, rtol=1e-6, atol=1e-6 * exact.max())


def test_an_average_ended_before_the_first_iterate_is_where_the_descent_stands():
    reports = []

    def at_once(report):
        reports.append(report)
        return True

    at_once.every = 2
    found = fit(KEY, LINEAR, DATA, SHORT, precision="float64", callbacks=[at_once]).posterior
    assert np.array_equal(
        found.mean.params["coefficients"], reports[0].state.of.params["coefficients"]
    )
    assert not np.any(found.covariance.dense())


def test_draws_have_half_the_variance_of_the_iterates_and_half_that_of_the_deviations():
    rng = np.random.default_rng(1)
    variance, deviations = rng.uniform(0.5, 2, 5), rng.normal(size=(3, 5))
    with jax.enable_x64(True):
        operator = covariance(jnp.asarray(variance), jnp.asarray(deviations))
        z = jax.random.normal(KEY, (20_000, 5))
        drawn, dense = np.asarray(jax.vmap(operator.sqrt)(z)), operator.dense()
    exact = np.diag(variance) / 2 + deviations.T @ deviations / 4
    assert np.allclose(dense, exact)
    sd = np.sqrt(np.diag(exact))
    error = np.sqrt((np.outer(sd, sd) ** 2 + exact**2) / len(drawn))
    assert (np.abs(drawn.T @ drawn / len(drawn) - exact) < 5 * error).all()


def test_weights_that_never_moved_have_no_spread():
    variance, deviations = np.array([0.0, 1.0]), np.array([[0.0, 1.0], [0.0, -1.0]])
    operator = covariance(jnp.asarray(variance), jnp.asarray(deviations))
    exact = np.array([[0.0, 0.0], [0.0, 1.5]])
    assert np.allclose(operator.dense(), exact, rtol=1e-6)
    assert operator.sqrt(jnp.ones(2))[0] == 0


def test_rank_0_is_the_whole_variance_of_independent_weights():
    variance = np.array([0.0, 0.5, 2.0])
    found = covariance(jnp.asarray(variance), jnp.zeros((0, 3))).dense()
    assert np.allclose(found, np.diag(variance), rtol=1e-6)


@pytest.mark.slow
def test_constant_iterates_give_no_spread_and_a_warning():
    found = fit(KEY, LINEAR, DATA, replace(SHORT, learning_rate=0.0))
    assert (np.asarray(predict(KEY, found, DATA.x).epistemic_var) == 0).all()
    assert (found.posterior.covariance.dense() == 0).all()
    assert found.verdict.status == "warned"
    assert "do not move" in str(found.verdict)


@pytest.mark.slow
def test_iterates_that_drift_are_told_and_those_around_a_mode_are_not():
    away = replace(SHORT, learning_rate=2e-3, batch_size=None)
    told = fit(KEY, LINEAR, DATA, away).verdict
    assert told.status == "warned"
    assert "The iterates drift" in str(told)
    near = replace(SHORT, steps=400, at=MODE)
    assert fit(KEY, LINEAR, DATA, near).verdict.status == "ok"


def test_a_drift_counts_against_the_spread_within_halves():
    t = np.arange(100)
    noise = np.random.default_rng(0).normal(size=(100, 3, 1))
    line = t[:, None, None] / 10 * np.ones((1, 3, 1))
    assert judge_drift(noise, spread=True).status == "ok"
    assert "moved by 5 noise sds" in str(judge_drift(line, spread=True))
    assert judge_drift(line / 1000, spread=True).status == "ok"
    assert judge_drift(np.ones((100, 3, 1)), spread=False).status == "ok"


@pytest.mark.slow
def test_swa_is_the_average_alone():
    settings = {"steps": 60, "every": 5, "learning_rate": 0.02, "batch_size": 5, "at": None}
    alone = fit(KEY, LINEAR, DATA, SWA(**settings))
    gaussian = fit(KEY, LINEAR, DATA, SWAG(rank=2, **settings))
    assert isinstance(alone.posterior, Point)
    one, other = (trees.vector(f.posterior.mode().params) for f in (alone, gaussian))
    assert np.array_equal(one, other)


@pytest.mark.slow
def test_a_learned_noise_is_averaged_in_its_logarithm():
    free = replace(LINEAR, likelihood=Gaussian(learn(1.0, floor=0.01)))
    found = fit(KEY, free, DATA, replace(SHORT, steps=10, rank=2))
    assert found.model.likelihood.scale.value != 1.0
    assert found.posterior.covariance.scale.shape == (3,)


def test_a_cyclical_rate_takes_each_iterate_at_a_low_point():
    optimiser = Optimiser("sgd", 1.0, "cosine", cycles=4)
    rates = [float(optimiser._rate(40)(t)) for t in range(40)]
    assert np.allclose(rates, np.tile(0.5 * (1 + np.cos(np.pi * np.arange(10) / 10)), 4))
    phase = replace(SHORT, schedule="cyclical").phases(LINEAR, DATA)[-1]
    assert phase.of.optimiser.cycles == 12


@pytest.mark.slow
def test_draws_of_a_network_with_batch_norm_have_statistics_of_their_own():
    model = Model(CASES["linen"].network, Normal(), Gaussian(0.5))
    method = replace(SHORT, draws=3, steps=20, learning_rate=0.05)
    found = fit(KEY, model, as_data(ROWS, TARGETS), method)
    assert isinstance(found.posterior, Samples)
    for i in range(3):
        weights = found.posterior.draw(KEY, i, 3).weights
        first = weights.params["first"]
        sums = ROWS @ np.asarray(first["kernel"]) + np.asarray(first["bias"])[None]
        told = weights.state["batch_stats"]["norm"]
        # The memory of the batches before is 0.9^t; those of 5 rows are noisy estimates.
        assert np.allclose(told["mean"], sums.mean(axis=0), atol=0.5 * sums.std(axis=0).max())
    assert predict(KEY, found, ROWS).epistemic_var.min() > 0


@pytest.mark.slow
def test_members_are_judged_each_and_compared_by_what_they_predict():
    found = fit(KEY, MODEL, DATA, Ensemble(SHORT, 3))
    probe = found.info["averaging"]["probe"]
    assert probe.shape[:2] == (60, 3)
    by_member = np.swapaxes(probe[4::5], 0, 1)
    assert np.nanmax(convergence.rhat(by_member)) > 1.1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rank": 1}, "rank must be None, 0, or from 2"),
        ({"rank": 200}, "to the 100 iterates"),
        ({"rank": 2.5}, "rank must be a whole number"),
        ({"every": 0}, "every must be at least 1; got 0"),
        ({"every": 2.5}, "every must be a whole number"),
        ({"every": 33}, "multiple of every"),
        ({"draws": 0}, "draws must be at least 1; got 0"),
        ({"schedule": "linear"}, "constant, cyclical; got 'linear'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        SWAG(**settings)


def test_a_free_precision_that_nothing_bounds_is_refused():
    model = replace(LINEAR, prior=Normal(learn(1.0)))
    with pytest.raises(ValueError, match="SWAG expects a fixed prior precision"):
        fit(KEY, model, DATA, SHORT)
