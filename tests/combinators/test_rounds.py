"""Rounds of Evidence, and its ways to tune: the fixed point and the grid."""

import jax
import numpy as np
import pytest
from scipy import stats
from tests.driver.problems import KEY

from posterium import (
    MAP,
    MLP,
    Bernoulli,
    Ensemble,
    Evidence,
    Exact,
    Gaussian,
    HalfNormal,
    HeteroscedasticGaussian,
    Laplace,
    Linear,
    Model,
    Normal,
    as_data,
    fit,
    learn,
    predict,
)
from posterium.combinators.held_out import score
from posterium.combinators.tuning import GRID
from posterium.model import hyper
from posterium.numerics import trees

RNG = np.random.default_rng(3)
X = RNG.normal(size=(40, 2))
Y = np.column_stack([X @ [1.0, -0.5], np.sin(X[:, 0])]) + RNG.normal(size=(40, 2)) * [0.3, 0.1]
DATA = as_data(X, Y)
LINE = Model(Linear(), Normal(learn(1.0), "none"), Gaussian(learn(1.0)))
ONE = as_data(X, Y[:, 0])
MODE = MAP(steps=50, polish="newton")
POLISHED = MAP(steps=1, polish="newton")
BY_LAYER = {"layers": [learn(0.5), {"bias": learn(2.0), "kernel": learn(1.0)}]}
NOISES = Gaussian(learn(np.array([0.5, 0.2])))
WAYS = ("newton", "fixed_point")


def raws(found):
    return np.concatenate([np.ravel(raw) for raw in hyper.free(found.model)])


def slope(found):
    """Return the gradient of the log evidence in the coordinates, where the tuning ended."""
    with jax.enable_x64(True):
        at = lambda raws: found.posterior.log_evidence(hyper.fill(found.model, raws))  # noqa: E731
        return np.asarray(trees.vector(jax.grad(at)(hyper.free(found.model))))


@pytest.mark.parametrize("start", [(1.0, 1.0), (100.0, 0.01), (0.01, 30.0)])
def test_the_fixed_point_is_the_maximum_of_the_exact_evidence(start):
    model = Model(Linear(), Normal(learn(start[0]), "none"), Gaussian(learn(start[1])))
    newton = fit(KEY, model, ONE, Evidence(Exact()))
    found = fit(KEY, model, ONE, Evidence(Exact(), by="fixed_point"))
    assert found.verdict.status == "ok"
    assert np.abs(raws(found) - raws(newton)).max() < 1e-6
    assert np.linalg.norm(slope(found)) < 1e-6


def test_the_fixed_point_is_mackays_formula():
    """One step from where the hyper-parameters are, by hand."""
    model = Model(Linear(), Normal(learn(2.0), "none"), Gaussian(learn(0.7)))
    found = fit(KEY, model, ONE, Evidence(Exact(), by="fixed_point", steps=1))
    design = np.column_stack([np.ones(40), X])
    covariance = np.linalg.inv(2.0 * np.eye(3) + design.T @ design / 0.7**2)
    mean = covariance @ design.T @ Y[:, 0] / 0.7**2
    gamma = 3 - 2.0 * np.trace(covariance)
    residual = np.sum((Y[:, 0] - design @ mean) ** 2)
    assert np.allclose(np.exp(raws(found)[0]), gamma / (mean @ mean), rtol=1e-9)
    assert np.allclose(np.exp(raws(found)[1]) ** 2, residual / (40 - gamma), rtol=1e-9)


@pytest.mark.slow
def test_a_hyper_prior_has_its_part_in_the_balance():
    prior = Normal(learn(1.0, prior=HalfNormal(0.3)), "none")
    model = Model(Linear(), prior, Gaussian(learn(0.4, prior=HalfNormal(0.1))))
    newton, found = (fit(KEY, model, ONE, Evidence(Exact(), by=by)) for by in WAYS)
    assert np.abs(slope(found)).max() < 1e-6
    assert np.abs(raws(found) - raws(newton)).max() < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", [NOISES, HeteroscedasticGaussian()])
def test_the_fixed_point_and_newton_end_together(likelihood):
    """A precision a layer, another for the last biases, and a noise sd an output."""
    model = Model(MLP(likelihood.outputs(2), (3,), "tanh"), Normal(BY_LAYER), likelihood)
    weights = model.network.init(KEY, np.asarray(X, np.float32))
    moved = jax.tree.map(
        lambda leaf: leaf + 0.3 * np.arange(leaf.size).reshape(leaf.shape), weights
    )
    newton, found = (
        fit(KEY, model, DATA, Evidence(Laplace(at=None), rounds=1, steps=300, by=by), start=moved)
        for by in WAYS
    )
    assert np.abs(slope(found)).max() < 1e-6
    assert np.abs(raws(found) - raws(newton)).max() < 1e-4
    assert abs(found.log_evidence - newton.log_evidence) < 1e-8


def test_rounds_end_when_nothing_moves_and_share_their_phases():
    method = Evidence(Laplace(at=POLISHED), rounds=30)
    found = fit(KEY, LINE, ONE, method)
    exact = fit(KEY, LINE, ONE, Evidence(Exact()))
    taken = found.info["rounds"]["taken"][-1]
    assert 1 < taken < 15
    assert found.info["rounds"]["moved"][-1] < 1e-3
    assert sum(name.startswith("tune") for name in found.info) == taken
    assert sum(name.startswith("curvature") for name in found.info) == taken + 1
    assert np.abs(raws(found) - raws(exact)).max() < 1e-3
    assert found.verdict.status == "ok"
    phases = method.phases(LINE, ONE)
    assert phases[0] is phases[4]
    assert phases[3] is phases[7]


def test_rounds_that_do_not_suffice_are_told():
    far = Model(Linear(), Normal(learn(1.0), "none"), Gaussian(learn(1e4)))
    found = fit(KEY, far, ONE, Evidence(Laplace(at=POLISHED), rounds=2))
    assert found.verdict.status == "warned"
    assert any("rounds still moved" in reason for reason in found.verdict.reasons)


@pytest.mark.slow
def test_members_end_their_rounds_on_their_own():
    model = Model(MLP(hidden=(3,), activation="tanh"), Normal(learn(1.0)), Gaussian(0.3))
    method = Evidence(Laplace(at=MODE), rounds=6)
    both = fit(KEY, model, ONE, Ensemble(method, 2))
    assert both.info["rounds"]["taken"].shape == (1, 2)
    assert np.isfinite(both.info["log_evidence"]).all()


def test_the_grid_is_where_held_out_rows_score_best():
    held = as_data(X[25:], Y[25:, 0])
    model = Model(Linear(), Normal(learn(1.0), "none"), Gaussian(0.4))
    data = as_data(X[:25], Y[:25, 0], validation=held)
    found = fit(KEY, model, data, Evidence(Exact(), by="grid"))
    design, at = (np.column_stack([np.ones(len(x)), x]) for x in (X[:25], X[25:]))

    def by_hand(precision):
        covariance = np.linalg.inv(precision * np.eye(3) + design.T @ design / 0.4**2)
        mean = at @ covariance @ design.T @ Y[:25, 0] / 0.4**2
        sd = np.sqrt(np.sum(at @ covariance * at, axis=1) + 0.4**2)
        return stats.norm.logpdf(Y[25:, 0], mean, sd).mean()

    scores = [by_hand(p) for p in np.exp(GRID)]
    assert np.isclose(raws(found)[0], GRID[np.argmax(scores)])
    assert np.isclose(found.info["tune"]["objective"][-1], max(scores), rtol=1e-9)


@pytest.mark.slow
def test_the_grid_takes_one_hyper_parameter_after_another_until_all_stand():
    data = as_data(X[:25], Y[:25], validation=as_data(X[25:], Y[25:]))
    model = Model(Linear(outputs=2), Normal(learn(1.0)), Gaussian(learn(np.array([1.0, 1.0]))))
    found = fit(KEY, model, data, Evidence(Laplace(at=POLISHED), by="grid", rounds=4))
    exact = fit(KEY, model, data, Evidence(Exact(), by="grid"))
    assert np.array_equal(raws(found), raws(exact))
    objective = found.info["tune"]["objective"]
    assert (np.diff(objective) >= 0).all()
    assert len(objective) >= 3
    assert found.verdict.status == "ok"
    noise = found.model.likelihood.scale.value
    assert noise[0] > noise[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "likelihood",
    [pytest.param(Gaussian(np.array([0.3, 0.5])), marks=pytest.mark.slow), Bernoulli()],
)
def test_the_score_is_that_of_the_prediction(likelihood):
    y = Y if isinstance(likelihood, Gaussian) else (Y[:, 0] > 0).astype(int)
    network = MLP(2 if isinstance(likelihood, Gaussian) else 1, (3,), "tanh")
    model = Model(network, Normal(), likelihood)
    data = as_data(X, y)
    found = fit(KEY, model, data, Laplace(at=MODE))
    draws = 4000
    predicted = predict(KEY, found, X, draws=draws)
    with jax.enable_x64(True):
        value = score(found.posterior, found.model, data, jax.random.key(5), draws)
    exact = isinstance(likelihood, Gaussian)
    assert abs(float(value) - predicted.log_prob(y).mean()) < (1e-9 if exact else 0.02)


def test_a_grid_without_held_out_rows_is_refused():
    with pytest.raises(ValueError, match="by='grid' expects rows that are held out"):
        fit(KEY, LINE, ONE, Evidence(Exact(), by="grid"))


def test_an_optimum_at_the_edge_of_the_grid_is_told():
    held = as_data(X[25:], 0 * X[25:, 0])
    model = Model(Linear(), Normal(learn(1.0)), Gaussian(1.0))
    data = as_data(X[:25], Y[:25, 0], validation=held)
    found = fit(KEY, model, data, Evidence(Exact(), by="grid"))
    assert found.verdict.status == "warned"
    assert "edge" in found.verdict.reasons[0]


def test_an_unknown_way_of_tuning_is_refused():
    with pytest.raises(ValueError, match="by must be one of 'newton', 'fixed_point', 'grid'"):
        Evidence(Exact(), by="adam")
