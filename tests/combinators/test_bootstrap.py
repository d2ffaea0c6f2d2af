import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.bits import same
from tests.contracts.cases import DATA, DESIGN, KEY, LINEAR, NOISE, PRECISION, X, Y

from posterium import MAP, Bootstrap, Ensemble, Gaussian, Model, Normal, Stream, fit
from posterium._struct import replace
from posterium.combinators.bootstrap import Resampling
from posterium.driver.protocol import Batch
from posterium.phases.descent import Descent, fitted_part

POLISHED = MAP(steps=1, polish="newton")
N = len(X)


def modes(found):
    return found.posterior.parts.weights.params["coefficients"][..., 0]


def ridge(times):
    """Return the mode of the linear model when row i counts times[i]."""
    matrix = PRECISION * np.eye(3) + (DESIGN.T * times) @ DESIGN / NOISE**2
    return np.linalg.solve(matrix, (DESIGN.T * times) @ Y / NOISE**2)


@pytest.mark.parametrize(
    "weights", ["multinomial", pytest.param("dirichlet", marks=pytest.mark.slow)]
)
def test_members_are_modes_of_rows_that_count_as_often_as_they_were_drawn(weights):
    found = fit(KEY, LINEAR, DATA, Ensemble(Bootstrap(POLISHED, weights), 3), precision="float64")
    opening = jax.random.fold_in(jax.random.fold_in(KEY, 0), 0)
    with jax.enable_x64(True):
        data = jax.tree.map(jnp.asarray, DATA)
        for member, mode in enumerate(modes(found)):
            key = jax.random.split(jax.random.fold_in(opening, member))[1]
            times = np.asarray(Resampling(weights).draw(key, LINEAR, data).times)
            assert np.isclose(times.sum(), N)
            assert np.abs(mode - ridge(times)).max() < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weights", "variance"), [("multinomial", (N - 1) / N), ("dirichlet", (N - 1) / (N + 1))]
)
def test_times_have_mean_one_and_the_variance_of_their_law(weights, variance):
    data = jax.tree.map(jnp.asarray, DATA)
    keys = jax.random.split(KEY, 4000)
    times = np.asarray(jax.vmap(lambda k: Resampling(weights).draw(k, LINEAR, data).times)(keys))
    assert np.allclose(times.sum(axis=1), N, rtol=1e-5)
    assert abs(times[:, 0].mean() - 1) < 5 * (variance / 4000) ** 0.5
    squares = (times - 1) ** 2
    error = squares.mean(axis=1).std() / 4000**0.5
    assert abs(squares.mean() - variance) < 5 * error


def drawn_batch(rows):
    data = jax.tree.map(jnp.asarray, replace(DATA, weight=np.arange(1.0, N + 1)))
    by = Resampling()
    drawn = by.draw(KEY, LINEAR, data)
    part = by.data(drawn, data.take(rows), jnp.where(rows < 0, -1 - rows, rows))
    return data, drawn, Batch(part, rows, by.data(drawn, data, slice(None)), jnp.array(True))


@pytest.mark.slow
def test_batches_of_an_epoch_add_up_to_the_log_likelihood_of_all_rows_drawn():
    data, drawn, _ = drawn_batch(jnp.arange(4))
    f = jnp.sin(data.x[:, :1])
    whole = Resampling().data(drawn, data, slice(None))
    exact = jnp.sum(drawn.times * data.weight * LINEAR.likelihood.log_prob(f, data.y))
    assert np.isclose(LINEAR.log_likelihood(f, whole), exact, rtol=1e-5)
    total, counted = 0.0, 0.0
    for rows in jnp.arange(N - N % 6).reshape(-1, 6):
        _, _, batch = drawn_batch(rows)
        here = jnp.sum(batch.part.weight > 0)
        total += LINEAR.log_likelihood(f[rows], batch.part) * here
        counted += here
    kept = jnp.arange(N) < N - N % 6
    part = jnp.sum(
        jnp.where(kept, drawn.times * data.weight * LINEAR.likelihood.log_prob(f, data.y), 0)
    )
    assert np.isclose(total / drawn.rows, part, rtol=1e-5)


def test_rows_out_of_bag_are_held_out_first_and_those_in_bag_are_all_fitted():
    _, drawn, batch = drawn_batch(jnp.arange(N))
    watch = Descent(validation=0.2).init(KEY, LINEAR, batch.whole, None).watch
    out = np.flatnonzero(np.asarray(drawn.times) == 0)
    assert set(np.asarray(watch.held).tolist()) <= set(out.tolist())
    part = fitted_part(watch, batch, seen_together=False)
    assert part.rows == drawn.rows
    assert np.isclose(part.size, drawn.size)


@pytest.mark.slow
def test_early_stopping_keeps_the_weights_that_are_best_on_rows_out_of_bag():
    method = MAP(steps=60, batch_size=5, validation=0.2, learning_rate=0.1)
    found = fit(KEY, LINEAR, DATA, Ensemble(Bootstrap(method), 3))
    told, rows = found.info["descent"]["held_out"], modes(found)
    assert np.isfinite(told[-1]).all()
    assert (told.max(axis=0) >= told[-1]).all()
    assert len(np.unique(rows[:, 0])) == 3


@pytest.mark.slow
def test_a_bootstrap_alone_draws_its_rows_once_for_all_phases():
    one, other = (fit(KEY, LINEAR, DATA, Bootstrap(POLISHED)) for _ in range(2))
    assert same(one.posterior, other.posterior)
    assert one.info.keys() == {"descent", "polish"}


def test_streams_ensembles_inside_and_unknown_weights_are_refused_with_a_way_out():
    stream = Stream(lambda: iter([(X, Y[:, None])]), N, 5)
    model = Model(LINEAR.network, Normal(1.0, "none"), Gaussian(0.5))
    with pytest.raises(ValueError, match=r"data in memory.*as_data"):
        Bootstrap(MAP()).phases(model, stream)
    with pytest.raises(ValueError, match=r"Use Ensemble\(Bootstrap"):
        fit(KEY, LINEAR, DATA, Bootstrap(Ensemble(MAP(), 2)))
    with pytest.raises(ValueError, match="'multinomial' or 'dirichlet'; got 'uniform'"):
        Bootstrap(MAP(), "uniform")
