"""Starting a method where another ended: chains at members, hyper-parameters, a given fit."""

import jax
import numpy as np
import pytest

from posterium import (
    MAP,
    MLP,
    Ensemble,
    Exact,
    Gaussian,
    HalfNormal,
    Laplace,
    Linear,
    Model,
    Normal,
    as_data,
    fit,
    learn,
)
from posterium.combinators.start import StartFrom
from posterium.methods.hmc import HMC
from posterium.numerics import trees
from posterium.posterior.positions import origins, spread
from posterium.posterior.posterior import Mixture, Point

TINY = HMC(warmup=1, draws=4, chains=4, modes=0)
MODEL = Model(Linear(), Normal(), Gaussian(learn(0.7, prior=HalfNormal(1.0))))


def line():
    x = np.linspace(-1, 1, 20)[:, None]
    return as_data(x, 1 + 2 * x[:, 0])


@pytest.mark.parametrize("members", [2, 3, 6])
def test_chain_i_begins_at_member_i_and_members_come_round_again(members):
    weights = MODEL.network.init(jax.random.key(0), line().x)
    parts = jax.vmap(lambda i: Point(jax.tree.map(lambda leaf: leaf + i, weights)))(
        np.arange(float(members), dtype=np.float32)
    )
    models = trees.stack(trees.cast(MODEL, np.float32), members)
    draws = spread(jax.random.key(1), Mixture(parts, models), 4, MODEL)
    begun = np.asarray(draws.weights.params["coefficients"])[:, 0, 0]
    np.testing.assert_array_equal(begun, np.arange(4) % members)
    np.testing.assert_allclose(draws.raws[0], np.log(0.7), rtol=1e-6)


def test_chains_that_begin_at_one_point_share_their_origin():
    position = np.array([[0.0, 0], [1, 0], [0, 0], [1, 1], [1, 0]])
    assert origins(position).tolist() == [0, 1, 0, 3, 1]


def test_the_phases_of_the_start_come_first_and_its_end_is_where_chains_begin():
    method = StartFrom(TINY, Ensemble(MAP(steps=300, learning_rate=0.1), 2))
    assert method.precision == "float64"
    found = fit(jax.random.key(0), MODEL, line(), method)
    assert list(found.info) == ["descent", "warmup", "sampling"]
    best = found.info["descent"]["objective"][-1].max() * 20
    assert found.info["warmup"]["log_joint"][0].min() > best - 30
    # Members that ended at the one mode there is are one place to begin.
    assert np.array_equal(found.info["sampling"]["origin"], np.zeros((4, 4)))


def test_a_fit_that_is_there_is_a_start_with_its_hyper_parameters():
    first = fit(jax.random.key(0), MODEL, line(), MAP(steps=300, learning_rate=0.1))
    assert first.precision == "float32"
    found = fit(jax.random.key(1), MODEL, line(), StartFrom(TINY, first))
    assert list(found.info) == ["given", "warmup", "sampling"]
    best = first.info["descent"]["objective"][-1] * 20
    assert found.info["warmup"]["log_joint"][0].min() > best - 30
    raw = found.posterior.draws.raws[0]
    assert raw.shape == (4, 4)
    assert raw.dtype == np.float64


def test_a_fit_with_other_free_hyper_parameters_is_no_start():
    noise = fit(jax.random.key(0), MODEL, line(), Exact())
    prior = Model(Linear(), Normal(learn(7.0)), Gaussian(0.7))
    with pytest.raises(ValueError, match=r"in the prior it has 0 of shapes \[\], this model 1"):
        fit(jax.random.key(1), prior, line(), StartFrom(Exact(), noise))


SETTLED = Ensemble(MAP(steps=30, learning_rate=0.05), 2)


@pytest.mark.parametrize("given", [pytest.param(False, marks=pytest.mark.slow), True])
def test_members_that_go_on_from_members_keep_the_noise_they_learned(given):
    model = Model(MLP(hidden=(2,)), Normal(), Gaussian(learn(0.7)))
    first = fit(jax.random.key(0), model, line(), SETTLED)
    method = StartFrom(Ensemble(Laplace(at=None), 2), first if given else SETTLED)
    found = fit(jax.random.key(0), model, line(), method, precision="float32")
    learned = first.posterior.models.likelihood.scale.raw
    assert learned[0] != learned[1]
    assert np.array_equal(found.posterior.models.likelihood.scale.raw, learned)


def test_an_ensemble_does_not_go_on_from_one_of_another_size():
    with pytest.raises(ValueError, match="expects as many members; got 3 from 2"):
        fit(jax.random.key(0), MODEL, line(), StartFrom(Ensemble(MAP(), 3), SETTLED))
