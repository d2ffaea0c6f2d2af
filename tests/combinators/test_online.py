"""Evidence while training: where it ends, its trajectory, and what runs away."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.driver.problems import KEY

from posterium import (
    MAP,
    MLP,
    Ensemble,
    Evidence,
    Exact,
    Functions,
    Gaussian,
    Laplace,
    Linear,
    Model,
    Normal,
    OnlineEvidence,
    Stream,
    as_data,
    fit,
    learn,
)
from posterium.combinators.online import judge_trajectory
from posterium.model import hyper

RNG = np.random.default_rng(5)
X = RNG.normal(size=(37, 2))
Y = np.sin(2 * X[:, 0]) + 0.5 * X[:, 1] + 0.2 * RNG.normal(size=37)
DATA = as_data(X, Y)
LINE = Model(Linear(), Normal(learn(0.01), "none"), Gaussian(learn(3.0)))
NETWORK = Model(MLP(1, (6,), "tanh"), Normal(learn(1.0)), Gaussian(learn(1.0)))


def raws(found):
    return np.concatenate([np.ravel(raw) for raw in hyper.free(found.model)])


def training(steps, batch_size=None, rate=0.03, **at):
    return Laplace(at=MAP(steps=steps, batch_size=batch_size, learning_rate=rate, **at))


@pytest.mark.parametrize("batch_size", [pytest.param(None, marks=pytest.mark.slow), 10])
def test_on_a_line_it_ends_at_the_maximum_of_the_exact_evidence(batch_size):
    found = fit(KEY, LINE, DATA, OnlineEvidence(training(1500, batch_size), every=25))
    exact = fit(KEY, LINE, DATA, Evidence(Exact()))
    assert np.abs(raws(found) - raws(exact)).max() < 2e-3
    assert abs(found.log_evidence - exact.log_evidence) < 1e-3
    assert found.verdict.status == "ok"


def test_its_trajectory_is_kept_and_every_step_of_it_is_bounded():
    method = OnlineEvidence(training(200), every=20, burn_in=0.3, bound=0.1)
    found = fit(KEY, LINE, DATA, method)
    way = found.info["descent"]["raws"]
    start = np.log([0.01, 3.0])
    assert way.shape == (200, 2)
    assert np.allclose(way[:79], start)
    moves = np.abs(np.diff(way, axis=0))
    assert np.flatnonzero(moves.max(axis=1) > 0).tolist() == list(range(78, 199, 20))
    assert moves.max() <= 0.1 + 1e-12
    assert np.allclose(raws(found), way[-1])
    evidence = found.info["descent"]["log_evidence"]
    assert np.isnan(evidence[:79]).all()
    assert np.isfinite(evidence[79:]).all()
    assert evidence[-1] > evidence[79]


@pytest.mark.slow
def test_a_network_ends_at_no_less_evidence_than_by_rounds():
    method = training(1500, rate=0.02, polish="newton")
    found = fit(KEY, NETWORK, DATA, OnlineEvidence(method))
    rounds = fit(KEY, NETWORK, DATA, Evidence(method))
    with jax.enable_x64(True):
        at = lambda raws: found.posterior.log_evidence(hyper.fill(found.model, raws))  # noqa: E731
        slope = np.array(jax.grad(at)(hyper.free(found.model)))
    assert np.abs(slope).max() < 0.1
    assert found.log_evidence > rounds.log_evidence - 0.1
    assert found.verdict.status == "ok"


@pytest.mark.slow
def test_members_have_hyper_parameters_of_their_own():
    method = OnlineEvidence(training(300), every=25)
    both = fit(KEY, NETWORK, DATA, Ensemble(method, 2))
    learned = both.posterior.models.likelihood.scale.raw
    assert learned.shape == (2,)
    assert learned[0] != learned[1]
    way = both.info["descent"]["raws"]
    assert (np.abs(np.diff(way[:, :, 1], axis=0)) > 0).any(axis=1).sum() == 300 // 25 - 1


def scale_free(params, x):
    return x @ (params["w"] / jnp.linalg.norm(params["w"])) * params["s"][None, :]


def test_a_precision_of_weights_without_a_scale_is_said_to_run_away():
    def start(key, x):
        return {"w": jax.random.normal(key, (x.shape[1], 1)), "s": jnp.ones(1)}

    prior = Normal({"s": 1.0, "w": learn(1.0)}, "none")
    model = Model(Functions(start, scale_free), prior, Gaussian(0.5))
    found = fit(KEY, model, DATA, OnlineEvidence(training(1000), every=20))
    assert found.verdict.status == "warned"
    assert "running away" in found.verdict.reasons[0]
    assert "batch norm" in found.verdict.advice[0]


def test_a_trajectory_that_settles_or_wanders_is_no_runaway():
    settles = 5 * (1 - np.exp(-0.3 * np.arange(40)))[:, None]
    wanders = np.cumsum(np.tile([0.3, -0.29], 20))[:, None]
    runs = 0.15 * np.arange(40)[:, None]
    assert judge_trajectory(settles).status == "ok"
    assert judge_trajectory(wanders).status == "ok"
    assert judge_trajectory(runs).status == "warned"
    assert "shrank" in judge_trajectory(np.hstack([settles, -runs])).reasons[0]


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (OnlineEvidence(Laplace(at=None)), "begins with a descent"),
        (OnlineEvidence(training(10, validation=0.2)), "begins with a descent on all rows"),
        (OnlineEvidence(Exact()), "begins with a descent"),
        (OnlineEvidence(Ensemble(Laplace())), r"as in Ensemble\(OnlineEvidence"),
    ],
)
def test_what_it_cannot_train_is_refused(method, said):
    with pytest.raises(ValueError, match=said):
        fit(KEY, LINE, DATA, method)


def test_a_stream_is_refused():
    stream = Stream(lambda: iter([(X, Y)]), rows=37, batch_size=10)
    with pytest.raises(ValueError, match="expects data in memory"):
        fit(KEY, LINE, stream, OnlineEvidence(Laplace()))


@pytest.mark.parametrize("settings", [{"every": 0}, {"burn_in": 1.0}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValueError, match="every must be at least 1"):
        OnlineEvidence(Laplace(), **settings)
