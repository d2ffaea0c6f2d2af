"""Networks of every framework through the methods: state, noise, members, files, few programs."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.bits import same
from tests.model.adapters.networks import CASES, FRAMEWORKS, KEY, EquinoxNet, LinenNet, NNXNet, X, Y

import posterium
from posterium import (
    MAP,
    NUTS,
    VI,
    BayesianRegressor,
    Ensemble,
    Exact,
    Gaussian,
    HeteroscedasticGaussian,
    Laplace,
    Model,
    Normal,
    Stream,
    Subset,
    Weights,
    as_data,
    fit,
    load,
    predict,
    save,
)
from posterium._struct import replace
from posterium.driver.batches import FullData, Shuffled, Streamed
from posterium.numerics import trees
from posterium.phases.descent import Descent, fitted_part

COMPILED: list[float] = []
jax.monitoring.register_event_duration_secs_listener(
    lambda name, seconds, **_: COMPILED.append(seconds) if "backend_compile" in name else None
)
GIVEN = {"linen": LinenNet(), "nnx": NNXNet, "equinox": EquinoxNet}
"""What a user has: a module, or a class that builds one."""
DATA = as_data(X, Y)
STEPS = 6
MOVED = MAP(steps=STEPS, learning_rate=0.05)
STILL = replace(MOVED, learning_rate=0.0)
frameworks = pytest.mark.parametrize("name", FRAMEWORKS)


def quick_for(framework):
    """Run for one framework in the quick tests, for the others in the slow ones."""
    others = [n for n in FRAMEWORKS if n != framework]
    slow = [pytest.param(n, marks=pytest.mark.slow) for n in others]
    return pytest.mark.parametrize("name", [framework, *slow])


@partial(jax.jit, static_argnames="train")
def apply(network, weights, x, train=False):
    return network.apply(weights, x, train=train)


def model(name, likelihood=None):
    return Model(GIVEN[name], Normal(), likelihood or Gaussian(0.5))


def start(name):
    return CASES[name].network.init(KEY, X)


def mean(found):
    return np.asarray(predict(KEY, found, X).mean)


@frameworks
def test_map_carries_the_running_statistics_and_predicts_without_noise(name):
    found = fit(KEY, model(name), DATA, MOVED)
    weights = found.posterior.mode()
    first = model(name).network.init(jax.random.key(0), X)
    floats = [
        leaf.dtype.kind == "f" and not np.array_equal(leaf, was)
        for leaf, was in zip(*(jax.tree.leaves(w.state) for w in (weights, first)), strict=True)
    ]
    assert sum(floats) == 2
    assert weights.key is None
    expected = apply(CASES[name].network, weights, X)[0]
    assert np.allclose(mean(found), expected, atol=1e-5)


@frameworks
def test_dropout_is_on_in_training_afresh_at_every_step(name):
    info = fit(KEY, model(name), DATA, STILL).info["descent"]
    assert len(set(info["log_likelihood"].tolist())) == STEPS


@quick_for("equinox")
def test_vi_moves_the_running_statistics_at_the_means_and_its_bound_has_no_dropout(name):
    begin = replace(start(name), state=apply(CASES[name].network, start(name), X, train=True)[1])
    method = VI(steps=1, learning_rate=0.0, init_scale=1e-7)
    found = fit(KEY, model(name), DATA, method, start=begin)
    data = trees.cast(DATA, np.float32)
    expected = model(name).log_joint(begin, jax.tree.map(jnp.asarray, data))[1]
    assert np.isclose(found.info["ascent"]["log_likelihood"][0], expected, rtol=1e-5)
    _, moved = apply(CASES[name].network, begin, X, train=True)
    state = found.posterior.mean.state
    assert jax.tree.all(jax.tree.map(partial(np.allclose, rtol=1e-4, atol=1e-6), state, moved))
    assert not same(state, trees.to_numpy(begin.state))


@quick_for("linen")
def test_the_bound_of_vi_is_that_of_the_draws_it_predicts_with(name):
    """With batch statistics of their own, draws would fit data that they do not predict."""
    x = np.linspace(-2, 2, 40, dtype=np.float32)[:, None] * np.ones((1, 3), np.float32)
    data, believed = as_data(x, np.sin(2 * x[:, :1])), model(name, Gaussian(0.1))
    found = fit(KEY, believed, data, VI(steps=1000, learning_rate=0.03))
    seen = found.info["ascent"]["log_likelihood"][-200:]
    data = jax.tree.map(jnp.asarray, trees.cast(data, np.float32))

    def one(i):
        weights = found.posterior.draw(jax.random.key(2), i, 200).weights
        return believed.log_joint(weights, data)[1]

    told = np.asarray(jax.jit(jax.vmap(one))(jnp.arange(200)))
    assert abs(seen.mean() - told.mean()) < 4 * np.hypot(seen.std(), told.std()) / np.sqrt(200)


@quick_for("nnx")
def test_laplace_freezes_the_running_statistics(name):
    _, state = apply(CASES[name].network, start(name), X, train=True)
    given = replace(start(name), state=state)
    found = fit(KEY, model(name), DATA, Laplace(at=None), start=given)
    frozen = jax.tree.map(np.allclose, found.posterior.mean.state, state)
    assert jax.tree.all(frozen)
    weights = trees.cast(given, np.float32)
    assert np.allclose(mean(found), apply(CASES[name].network, weights, X)[0], atol=1e-5)
    assert (np.asarray(predict(KEY, found, X).epistemic_var) > 0).all()


@quick_for("linen")
def test_an_ensemble_of_a_network_starts_every_member_with_weights_of_its_own(name):
    found = fit(KEY, model(name), DATA, Ensemble(STILL, 3)).posterior
    kernels = trees.flatten(found.parts.weights.params)[CASES[name].path]
    assert len({kernel.tobytes() for kernel in kernels}) == 3
    states = jax.tree.leaves(found.parts.weights.state)
    assert any(len({s.tobytes() for s in leaf}) == 3 for leaf in states)


@frameworks
def test_samplers_and_the_closed_form_refuse_batch_norm_with_a_way_out(name):
    with pytest.raises(ValueError, match=r"running statistics.*Use layer norm"):
        fit(KEY, model(name), DATA, NUTS(warmup=2, draws=2))
    with pytest.raises(ValueError, match=r"Exact needs a Linear network.*Use Laplace"):
        fit(KEY, model(name), DATA, Exact())


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.full])
def test_samplers_take_networks_without_running_statistics(name):
    plain = Model(CASES[name].network, Normal(), Gaussian(0.5))
    assert len(NUTS(warmup=2, draws=2, modes=0).phases(plain, DATA)) == 2


@frameworks
def test_a_second_fit_of_the_same_network_compiles_nothing(name):
    again = {"linen": LinenNet(outputs=1)} | {n: GIVEN[n] for n in ("nnx", "equinox")}
    mean(fit(KEY, model(name), DATA, MOVED))
    before = len(COMPILED)
    other = Model(again[name], Normal(2.0), Gaussian(0.3))
    mean(fit(jax.random.key(5), other, as_data(X + 1, 2 * Y), MOVED))
    assert len(COMPILED) == before


@frameworks
def test_a_file_is_read_with_the_network_given_again_and_no_other(name, tmp_path):
    found = fit(KEY, model(name), DATA, MOVED)
    save(found, tmp_path / "net")
    assert same(mean(load(tmp_path / "net", network=GIVEN[name])), mean(found))
    with pytest.raises(posterium.posterior.store.ExternalError, match=rf"network=from_{name}\("):
        load(tmp_path / "net")
    with pytest.raises(posterium.posterior.store.ExternalError, match="not the one that was saved"):
        load(tmp_path / "net", network=CASES[f"{name}, plain"].network)


@frameworks
def test_the_wrong_number_of_outputs_is_refused_with_the_number_needed(name):
    with pytest.raises(ValueError, match="needs a network with 2 output"):
        fit(KEY, model(name, HeteroscedasticGaussian()), DATA, MOVED)


@frameworks
def test_estimators_take_a_network_as_it_is(name):
    estimator = BayesianRegressor(
        method=MOVED, network=GIVEN[name], prior=Normal(), likelihood=Gaussian(0.5)
    )
    found = estimator.fit(X, Y).predict(X)
    assert found.shape == Y.shape
    wrong = BayesianRegressor(method=MOVED, network=GIVEN[name], likelihood="heteroscedastic")
    with pytest.raises(ValueError, match="needs a network with 2 output"):
        wrong.fit(X, Y)


@pytest.mark.slow
def test_a_subset_is_chosen_by_paths():
    method = Subset(Laplace(at=None), "last/*", rest=None)
    found = fit(KEY, model("equinox"), DATA, method, start=start("equinox"))
    assert found.posterior.mean.params.keys() == {"last/weight", "last/bias"}
    assert found.posterior.covariance.variance().shape == (5,)


@frameworks
def test_a_pattern_without_a_match_is_refused_with_the_paths_there_are(name):
    with pytest.raises(ValueError, match=CASES[name].path):
        fit(KEY, model(name), DATA, Subset(Laplace(at=None), "final/*"))


@pytest.mark.slow
def test_the_places_of_held_out_rows_are_taken_by_fitted_ones_where_rows_see_each_other():
    descent = Descent(validation=0.3)
    x = np.arange(20.0)[:, None]
    data = trees.cast(as_data(x, x), np.float32)
    watch = descent._watch(KEY, data, None)
    held = {float(row) for row in x[np.asarray(watch.held), 0]}
    assert len(held) == 6
    shuffled = Shuffled(KEY, data, 8).plan(0, 3, 3)
    for batch in (FullData(data).plan(0, 1, 1).batch(0), *map(shuffled.batch, range(3))):
        batch = jax.tree.map(jnp.asarray, batch)
        alone = fitted_part(watch, batch, seen_together=False)
        together = fitted_part(watch, batch, seen_together=True)
        fitted = np.asarray(together.weight) > 0
        assert np.array_equal(alone.weight, together.weight)
        assert np.array_equal(alone.x[fitted], together.x[fitted])
        assert held.isdisjoint(np.asarray(together.x)[:, 0].tolist())


def test_a_short_batch_of_a_stream_is_filled_with_rows_of_the_one_before():
    x = np.arange(1.0, 8.0)[:, None]

    def batches():
        yield x, x

    first, last = (
        Streamed(Stream(batches, 7, 4), np.float64).plan(0, 2, 2).batch(i).part for i in (0, 1)
    )
    assert np.asarray(last.x)[:, 0].tolist() == [5, 6, 7, 1]
    assert np.asarray(last.weight).tolist() == [1, 1, 1, 0]
    assert np.asarray(first.x)[:, 0].tolist() == [1, 2, 3, 4]


def test_a_padded_batch_moves_the_statistics_as_its_full_rows_do():
    network = CASES["linen"].network
    rows = Shuffled(KEY, DATA, 7).plan(0, 2, 2)
    part = rows.batch(1).part
    assert (np.asarray(part.weight) > 0).sum() == 3
    _, state = apply(network, start("linen"), part.x, train=True)
    params = jax.tree.map(np.asarray, start("linen").params["first"])
    hidden = np.asarray(part.x) @ params["kernel"] + params["bias"]
    assert np.ptp(hidden, axis=0).min() > 0
    moved = np.asarray(state["batch_stats"]["norm"]["mean"])
    assert np.allclose(moved, 0.1 * hidden.mean(0), atol=1e-6)
    assert isinstance(start("linen"), Weights)
