"""The assessment of a fit: its numbers against theory, in any batches; k-hat in the verdict."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterium._struct import replace
from posterium.combinators.ensemble import Ensemble
from posterium.driver.fit import fit
from posterium.methods.vi import VI
from posterium.model.data import Batch, Stream, as_data
from posterium.model.features import Linear
from posterium.model.hyper import learn
from posterium.model.likelihoods.gaussian import Gaussian
from posterium.model.model import Model
from posterium.model.network import MLP
from posterium.model.priors.normal import Normal
from posterium.model.priors.scales import HalfNormal
from posterium.numerics import trees
from posterium.numerics.families.gaussian import MeanField
from posterium.phases.assess import TILE, Assess, assessment
from posterium.posterior.family import FamilyPosterior, random_shapes

KEY = jax.random.key(0)
RNG = np.random.default_rng(8)
X = RNG.normal(size=(17, 2)) @ np.array([[1, 0.995], [0, 0.1]])
Y = X @ [1.0, 0.5] + 0.5 * RNG.normal(size=17)
DATA = as_data(X, Y)
MODEL = Model(Linear(), Normal(1.0, "none"), Gaussian(0.5))
DESIGN = np.column_stack([np.ones(17), X])
PRECISION = DESIGN.T @ DESIGN / 0.25 + np.eye(3)


def log_evidence():
    covariance = DESIGN @ DESIGN.T + 0.25 * np.eye(17)
    return -0.5 * (
        Y @ np.linalg.solve(covariance, Y) + np.linalg.slogdet(2 * np.pi * covariance)[1]
    )


def guide(model=MODEL, sd=0.2):
    weights = trees.cast(model.network.init(KEY, X), np.dtype(float))
    mean = trees.vector(weights.params)
    raw = MeanField().start(mean, jnp.asarray(sd), random_shapes(weights.params, ()))
    return FamilyPosterior(weights, MeanField(), raw)


def test_a_collapsed_fit_is_warned_of_and_its_numbers_are_those_of_theory():
    method = VI(steps=5000, learning_rate=3e-2, estimator="sigma_points")
    found = fit(KEY, MODEL, DATA, method, precision="float64")
    record = {name: values[0] for name, values in found.info["assess"].items()}
    gap = 0.5 * (np.log(np.diag(PRECISION)).sum() - np.linalg.slogdet(PRECISION)[1])
    last = {name: values[-1] for name, values in found.info["ascent"].items()}
    assert last["elbo"] == pytest.approx(log_evidence() - gap, abs=1e-4)
    for name in ("elbo", "log_likelihood", "kl"):
        assert abs(record[name] - last[name]) < 4.5 * record[f"{name}_se"]
        assert record[f"{name}_se"] > 0
    assert record["k_hat"] > 0.7
    assert found.verdict.status == "warned"
    (reason,), (advice,) = found.verdict.reasons, found.verdict.advice
    assert reason.startswith(f"k-hat is {record['k_hat']:.2f}, above 0.7")
    assert "NUTS" in advice


def test_the_errors_are_the_spread_over_keys_and_free_hyper_parameters_keep_their_prior():
    noise = learn(0.5, prior=HalfNormal(1.0))
    model = replace(MODEL, likelihood=Gaussian(noise))
    with jax.enable_x64(True):
        data, q, phase = trees.cast(DATA, np.dtype(float)), guide(), Assess(64)

        @jax.jit
        def run(key):
            state = phase.init(key, model, data, q)
            return phase.step(key, state, model, Batch(data, None, data, True))[1]

        found = trees.to_numpy(jax.lax.map(run, jax.random.split(KEY, 400)))
    for name in ("elbo", "log_likelihood", "kl"):
        told = np.sqrt((found[f"{name}_se"] ** 2).mean())
        assert told == pytest.approx(found[name].std(ddof=1), rel=4 / np.sqrt(2 * 400))
    rest = float(noise.log_prior())
    assert abs(rest) > 0.1
    np.testing.assert_allclose(found["elbo"], found["log_likelihood"] - found["kl"] + rest)


def streamed(parts):
    cuts = np.cumsum(parts)[:-1]
    pairs = list(zip(np.split(X, cuts), np.split(Y, cuts), strict=True))
    return Stream(lambda: iter(pairs), 17, 5)


def test_a_stream_is_fitted_and_assessed_as_rows_in_memory_are():
    method = VI(
        steps=4, learning_rate=0.0, means=0.5, init_scale=0.2, estimator="sigma_points", assess=70
    )
    stream = fit(KEY, MODEL, streamed([7, 4, 6]), method, precision="float64")
    memory = fit(KEY, MODEL, DATA, method, precision="float64")
    assert stream.info["assess"]["elbo"].shape == (4,)
    for name, values in memory.info["assess"].items():
        assert stream.info["assess"][name][-1] == pytest.approx(values[0], rel=1e-9)
    shares = np.array([5, 5, 5, 2]) / 17
    for name in ("elbo", "log_likelihood", "kl"):
        batches, full = (found.info["ascent"][name] for found in (stream, memory))
        assert shares @ batches == pytest.approx(full[0], rel=1e-10)
        if name != "kl":
            assert np.ptp(batches) > 1


def test_rows_in_batches_give_the_same_assessment(monkeypatch):
    monkeypatch.setattr("posterium.phases.assess.AT_ONCE", 100)
    with jax.enable_x64(True):
        data, q = trees.cast(DATA, np.dtype(float)), guide()
        whole = Assess(64)
        state = whole.init(KEY, MODEL, data, q)
        step = jax.jit(lambda s, part: whole.step(KEY, s, MODEL, Batch(part, None, data, True)))
        _, once = step(state, data)
        for rows in np.append(np.arange(17), [-1]).reshape(3, 6):
            state, info = step(state, data.take(jnp.asarray(rows)))
    for name, value in once.items():
        assert info[name] == pytest.approx(float(value), rel=1e-9)


def test_a_pass_over_many_rows_goes_by_tiles():
    many = as_data(np.zeros((2 * TILE + 1, 1)), np.zeros(2 * TILE + 1))
    assert assessment(10, many) == Assess(10, 3, TILE)
    assert assessment(10, DATA) == Assess(10)
    assert assessment(10, streamed([17])) == Assess(10, 4, 5)


@pytest.mark.parametrize(
    ("method", "draws"),
    [
        (VI(), 1000),
        (VI(steps=1000), 300),
        (VI(steps=1000, batch_size=1), 17),
        (VI(steps=10), 16),
        (VI(steps=10, assess=77), 77),
        (VI(steps=1000, samples=3, batch_size=100), 900),
    ],
)
def test_draws_are_as_many_as_told_or_cost_a_tenth_of_the_steps(method, draws):
    assert method.phases(MODEL, DATA)[1].draws == draws


def test_no_draws_leave_the_phase_out():
    (ascent,) = VI(assess=0).phases(MODEL, DATA)
    assert ascent.last
    assert not VI().phases(MODEL, DATA)[0].last
    with pytest.raises(ValueError, match="assess must be 0, at least 2, or None; got 1"):
        VI(assess=1)


def test_a_bound_that_is_not_finite_fails():
    verdict = Assess(16).judge({"elbo": np.array([-np.inf]), "k_hat": np.array([np.nan])}, None)
    assert verdict.status == "failed"
    assert "-inf over 16 draws" in verdict.reasons[0]


def test_a_bound_far_below_what_importance_weights_find_is_warned_of_where_k_hat_is_silent():
    record = {"elbo": -20.0, "importance": -16.5, "k_hat": 0.4}
    verdict = Assess(64).judge({name: np.array([value]) for name, value in record.items()}, None)
    assert verdict.status == "warned"
    assert "3.5 nats below the log evidence" in verdict.reasons[0]
    near = {name: np.array([value]) for name, value in {**record, "elbo": -18.0}.items()}
    assert Assess(64).judge(near, None).status == "ok"


def test_importance_weights_lie_between_the_bound_and_the_evidence_on_average():
    with jax.enable_x64(True):
        data, q = trees.cast(DATA, np.dtype(float)), guide(sd=0.1)

        @jax.jit
        def run(key):
            phase = Assess(64)
            state = phase.init(key, MODEL, data, q)
            return phase.step(key, state, MODEL, Batch(data, None, data, True))[1]

        found = trees.to_numpy(jax.lax.map(run, jax.random.split(KEY, 400)))
    error = found["importance"].std() / 20
    assert found["elbo"].mean() + 0.1 < found["importance"].mean() < log_evidence() + 4 * error


def test_members_are_assessed_each_by_its_own_model(tmp_path):
    model = Model(MLP(hidden=(3,)), Normal(), Gaussian(learn(0.5)))
    method = Ensemble(VI(steps=40, learning_rate=0.05, assess=60), 2)
    found = fit(KEY, model, DATA, method, checkpoint=str(tmp_path))
    again = fit(KEY, model, DATA, method, checkpoint=str(tmp_path))
    assert found.info["assess"]["elbo"].shape == (1, 2)
    assert np.ptp(found.info["assess"]["elbo"]) > 0
    assert found.posterior.size() == 2
    assert np.ptp(found.posterior.models.likelihood.scale.raw) > 0
    for name, values in found.info["assess"].items():
        np.testing.assert_array_equal(again.info["assess"][name], values)


def test_a_second_fit_of_equal_shapes_compiles_nothing_new(caplog):
    method = VI(steps=4, learning_rate=0.0, means=0.5, estimator="sigma_points", assess=70)
    fit(KEY, MODEL, DATA, method, precision="float64")
    other = replace(MODEL, prior=Normal(3.0, "none"))
    with jax.log_compiles():
        fit(jax.random.key(2), other, DATA, replace(method, init_scale=0.4), precision="float64")
        assert "Compiling" not in caplog.text
        fit(KEY, MODEL, DATA, replace(method, assess=71), precision="float64")
        assert "Compiling" in caplog.text
