"""Laplace against closed forms, quadrature and dense autodiff."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial.hermite import hermgauss
from scipy.special import expit, softmax
from scipy.stats import multivariate_normal

from posterium import (
    MAP,
    MLP,
    Bernoulli,
    Categorical,
    Flat,
    Gaussian,
    HeteroscedasticGaussian,
    Linear,
    Model,
    Normal,
    Stream,
    Weights,
    as_data,
    fit,
    learn,
    predict,
)
from posterium._struct import replace
from posterium.methods.laplace import Laplace
from posterium.model import hyper
from posterium.numerics import curvature
from posterium.phases.search import Search

KEY = jax.random.key(0)
RNG = np.random.default_rng(5)
NEWTON = MAP(steps=1, polish="newton")
N, D, K = 12, 2, 2
X = RNG.normal(size=(N, D))
Y = RNG.normal(size=(N, K)) + X[:, :1]
COUNTS = RNG.integers(1, 4, N)
DATA = as_data(X, Y, weight=COUNTS)
PHI = np.c_[np.ones(N), X]
NOISE = np.array([0.5, 0.8])
PRECISION = np.arange(1.0, 7.0).reshape(3, 2) / 4
LINEAR = Model(
    Linear(outputs=K), Normal({"coefficients": PRECISION}, scaling="none"), Gaussian(NOISE)
)
NET = MLP(outputs=2, hidden=(3,), activation="tanh")
NETWORK_PRECISION = 2.0 * np.repeat([1, 2, 1, 3], [3, 6, 2, 6])
"""2 times the fan-in, over the weights in tree order: bias and kernel of each layer."""
WELLS = Path(__file__).parents[3] / "shared/data/posteriordb/wells_data-wells_dist.json"


def closed_form(noise=NOISE, precision=PRECISION):
    """Return mean (m, k), covariance in the order of the weights, and log evidence."""
    phi, y = np.repeat(PHI, COUNTS, 0), np.repeat(Y, COUNTS, 0)
    mean, covariance, evidence = np.zeros((3, K)), np.zeros((3, K, 3, K)), 0.0
    for k in range(K):
        inverse = np.diag(precision[:, k]) + phi.T @ phi / noise[k] ** 2
        covariance[:, k, :, k] = np.linalg.inv(inverse)
        mean[:, k] = covariance[:, k, :, k] @ phi.T @ y[:, k] / noise[k] ** 2
        marginal = phi @ np.diag(1 / precision[:, k]) @ phi.T + noise[k] ** 2 * np.eye(len(y))
        evidence += multivariate_normal(np.zeros(len(y)), marginal).logpdf(y[:, k])
    return mean, covariance.reshape(6, 6), evidence


def network_weights(seed=2):
    return jax.tree.map(np.asarray, NET.init(jax.random.key(seed), X))


def differences(function, at, step=1e-5):
    """Return central differences of a function of a vector."""
    units = step * np.eye(len(at))
    return np.array([(function(at + u) - function(at - u)) / (2 * step) for u in units])


@pytest.fixture(scope="module")
def linear_fit():
    return fit(KEY, LINEAR, DATA, Laplace(at=NEWTON))


@pytest.mark.parametrize("kind", ["ggn", "hessian"])
def test_on_a_linear_gaussian_model_it_is_the_exact_posterior(linear_fit, kind):
    found = linear_fit
    if kind == "hessian":
        method = Laplace(curvature=kind, at=None)
        found = fit(KEY, LINEAR, DATA, method, start=linear_fit.posterior.mode())
    mean, covariance, evidence = closed_form()
    np.testing.assert_allclose(found.posterior.mean.params["coefficients"], mean, atol=1e-8)
    np.testing.assert_allclose(found.posterior.covariance.dense(), covariance, atol=1e-8)
    assert found.log_evidence == pytest.approx(evidence, abs=1e-8)
    assert found.verdict.status == "ok"
    assert found.precision == "float64"
    assert found.posterior.how == "linear"


def test_the_diagonal_is_one_over_that_of_the_precision(linear_fit):
    start = linear_fit.posterior.mode()
    precision = np.diag(np.linalg.inv(closed_form()[1]))
    for kind in ("ggn", "hessian"):
        method = Laplace(structure="diagonal", curvature=kind, at=None)
        found = fit(KEY, LINEAR, DATA, method, start=start)
        np.testing.assert_allclose(found.posterior.covariance.variance(), 1 / precision, rtol=1e-8)
        gap = 0.5 * (np.linalg.slogdet(closed_form()[1])[1] + np.sum(np.log(precision)))
        assert found.log_evidence == pytest.approx(closed_form()[2] - gap, abs=1e-8)


def test_covariance_and_evidence_move_to_other_hyper_parameters_exactly(linear_fit):
    noise, precision = np.array([1.1, 0.4]), 3 * PRECISION
    mean, covariance, evidence = closed_form(noise, precision)
    with jax.enable_x64(True):
        prior = Normal({"coefficients": precision}, scaling="none")
        moved = replace(LINEAR, prior=prior, likelihood=Gaussian(noise))
        kept = linear_fit.posterior.curvature
        np.testing.assert_allclose(kept.covariance(moved).dense(), covariance, atol=1e-8)
        offset = (linear_fit.posterior.mean.params["coefficients"] - mean).ravel()
        away = 0.5 * offset @ np.linalg.solve(covariance, offset)
        assert float(kept.log_evidence(moved)) == pytest.approx(evidence - away, abs=1e-8)


@pytest.mark.parametrize(
    "structure",
    [
        "full", "kronecker",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("diagonal", "low_rank")),
    ],
)  # fmt: skip
def test_the_gradient_of_the_evidence_equals_differences(structure):
    prior = Normal({"layers": [learn(0.7), learn(np.array(1.9))]})
    model = Model(NET, prior, Gaussian(learn(NOISE, floor=1e-2)))
    method = Laplace(structure=structure, at=None)
    kept = fit(KEY, model, DATA, method, start=network_weights()).posterior.curvature
    with jax.enable_x64(True):
        flat, unravel = jax.flatten_util.ravel_pytree(hyper.free(kept.at))
        evidence = jax.jit(lambda raws: kept.log_evidence(hyper.fill(kept.at, unravel(raws))))
        slope = jax.jit(jax.grad(evidence))(flat)
        assert slope.shape == (4,)
        np.testing.assert_allclose(slope, differences(evidence, np.asarray(flat)), rtol=1e-6)


@pytest.mark.skipif(not WELLS.exists(), reason="the shared folder with the wells table is absent")
def test_wells_mode_sd_and_evidence_equal_the_stored_ones():
    table = json.loads(WELLS.read_text())
    x = np.asarray(table["data"]["dist"])[:, None]
    data = as_data(x, np.asarray(table["data"]["switched"]))
    model = Model(Linear(), Flat(), Bernoulli())
    found = fit(KEY, model, data, Laplace(curvature="hessian", at=NEWTON))
    mode = [p["mode"] for p in table["parameters"]]
    sd = [p["laplace_sd"] for p in table["parameters"]]
    np.testing.assert_allclose(found.posterior.mean.params["coefficients"][:, 0], mode, atol=1e-8)
    np.testing.assert_allclose(np.sqrt(found.posterior.covariance.variance()), sd, atol=1e-8)
    stored = table["laplace_log_integrated_likelihood"]
    assert found.log_evidence == pytest.approx(stored, abs=1e-6)
    assert found.verdict.status == "ok"


def test_the_logistic_reference_system_has_its_mode_and_covariance():
    x = np.array([-2.7, -1.9, -1.3, 0.7, 0.8, 1.4, 2.4])[:, None]
    model = Model(Linear(), Normal(0.75, scaling="none"), Bernoulli())
    found = fit(KEY, model, as_data(x, np.array([0, 0, 0, 1, 1, 1, 1])), Laplace(at=NEWTON))
    mode = found.posterior.mean.params["coefficients"][:, 0]
    covariance = found.posterior.covariance.dense()
    np.testing.assert_allclose(mode, [0.3076198, 1.3645799], atol=1e-7)
    expected = [[0.6832779, 0.0030519], [0.0030519, 0.4869064]]
    np.testing.assert_allclose(covariance, expected, atol=1e-7)
    grid = np.array([[-1.5, 0.0], [0.4, 0.0], [6.0, 0.0]])[:, :1]
    draws = 2048
    probs = predict(KEY, found, grid, draws=draws).probs[:, 1]
    nodes, weights = hermgauss(60)
    phi = np.c_[np.ones(3), grid]
    sd = np.sqrt(np.einsum("nm,ml,nl->n", phi, covariance, phi))
    values = expit((phi @ mode)[:, None] + np.sqrt(2) * sd[:, None] * nodes)
    truth = values @ weights / np.sqrt(np.pi)
    spread = np.sqrt((values**2) @ weights / np.sqrt(np.pi) - truth**2)
    assert np.all(np.abs(probs - truth) < 4.5 * spread / np.sqrt(draws))


@pytest.mark.slow
def test_the_linearised_predictive_of_classes_agrees_with_a_million_draws():
    network = MLP(outputs=3, hidden=(3,), activation="tanh")
    data = as_data(X, RNG.integers(0, 3, N))
    weights = jax.tree.map(np.asarray, network.init(jax.random.key(1), X))
    model = Model(network, Normal(), Categorical())
    found = fit(KEY, model, data, Laplace(at=None), start=weights)
    draws, row = 2048, X[:1]
    probs = predict(KEY, found, row, draws=draws).probs[0]
    with jax.enable_x64(True):
        flat, unravel = jax.flatten_util.ravel_pytree(found.posterior.mean.params)

        def outputs(vector):
            return network.apply(Weights(unravel(vector)), jnp.asarray(row))[0][0]

        center, jacobian = jax.jit(lambda v: (outputs(v), jax.jacfwd(outputs)(v)))(flat)
        center, jacobian = np.asarray(center), np.asarray(jacobian)
    law = jacobian @ np.asarray(found.posterior.covariance.dense()) @ jacobian.T
    every = softmax(np.random.default_rng(0).multivariate_normal(center, law, 10**6), axis=1)
    error = every.std(axis=0) * np.sqrt(1 / draws + 1e-6)
    assert np.all(np.abs(probs - every.mean(axis=0)) < 4.5 * error)


def dense_oracle(model, data, weights, kind):
    """Return precision and gradient of the log joint of a network by autodiff of the whole."""
    flat, unravel = jax.flatten_util.ravel_pytree(jax.tree.map(jnp.float64, weights.params))

    def f(vector):
        return model.network.apply(Weights(unravel(vector)), jnp.asarray(data.x))[0]

    def loss(f):
        return -jnp.sum(jnp.asarray(data.weight) * model.likelihood.log_prob(f, data.y))

    @jax.jit
    def compute(vector):
        slope = jax.grad(lambda v: -loss(f(v)) + model.log_prior(unravel(v)))(vector)
        if kind == "hessian":
            return jax.hessian(lambda v: loss(f(v)))(vector), slope
        jacobian, metric = jax.jacfwd(f)(vector), model.likelihood.fisher(f(vector))
        root = jnp.linalg.cholesky(data.weight[:, None, None] * metric)
        rows = jnp.einsum("nlk,nlp->nkp", root, jacobian).reshape(-1, vector.size)
        return rows.T @ rows, slope

    curvature, slope = compute(flat)
    return np.asarray(curvature) + np.diag(NETWORK_PRECISION), np.asarray(slope)


@pytest.mark.parametrize("kind", ["ggn", "hessian"])
@pytest.mark.parametrize("likelihood", [Gaussian(NOISE), HeteroscedasticGaussian()])
def test_the_curvature_of_a_network_equals_dense_autodiff(kind, likelihood):
    model = Model(NET, Normal(2.0), likelihood)
    data = as_data(X, Y if likelihood.linear_mean else Y[:, :1], weight=COUNTS)
    weights = network_weights()
    kept = fit(KEY, model, data, Laplace(curvature=kind, at=None), start=weights).posterior
    with jax.enable_x64(True):
        precision, slope = dense_oracle(model, data, weights, kind)
        kept = kept.curvature
        np.testing.assert_allclose(kept.precision(model), precision, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(kept.gradient(model), slope, rtol=1e-9, atol=1e-9)
        method = Laplace(structure="diagonal", curvature=kind, at=None)
        kept = fit(KEY, model, data, method, start=weights).posterior.curvature
        np.testing.assert_allclose(kept.precision(model), np.diag(precision), rtol=1e-9)


def passes():
    yield X[:5], Y[:5], COUNTS[:5].astype(float)
    yield X[5:10], Y[5:10], COUNTS[5:10].astype(float)
    yield X[10:], Y[10:], COUNTS[10:].astype(float)


def test_batches_and_streams_add_up_to_all_rows(monkeypatch):
    model = Model(NET, Normal(), Gaussian(NOISE))
    weights = network_weights()
    whole = fit(KEY, model, DATA, Laplace(at=None), start=weights)
    batches = fit(KEY, model, DATA, Laplace(at=None, batch_size=5), start=weights)
    stream = Stream(passes, N, 5, size=float(COUNTS.sum()))
    streamed = fit(KEY, model, stream, Laplace(at=None), start=weights)
    monkeypatch.setattr(curvature, "TILE_BYTES", 3 * 2 * 17 * 8)
    tiled = fit(KEY, model, DATA, Laplace(at=None, batch_size=11), start=weights)
    assert len(batches.info["curvature"]["weight"]) == 3
    for other in (batches, streamed, tiled):
        assert other.log_evidence == pytest.approx(whole.log_evidence, abs=1e-10)
        np.testing.assert_allclose(
            other.posterior.covariance.dense(), whole.posterior.covariance.dense(), atol=1e-10
        )


def test_rows_that_stand_for_twice_as_many_count_twice():
    model, weights = Model(NET, Normal(), Gaussian(NOISE)), network_weights()
    doubled = replace(DATA, size=2 * DATA.size)
    found = [fit(KEY, model, d, Laplace(at=None), start=weights) for d in (DATA, doubled)]
    once, twice = (f.posterior.curvature for f in found)
    np.testing.assert_allclose(twice.ready, 2 * once.ready, rtol=1e-12)
    assert twice.sums.weight == pytest.approx(2 * COUNTS.sum(), rel=1e-12)


def test_draws_have_the_covariance_of_the_posterior(linear_fit):
    count = 100_000
    with jax.enable_x64(True):
        drawn = jax.jit(lambda: linear_fit.posterior.sample(KEY, count))().weights.params
    values = np.asarray(drawn["coefficients"]).reshape(count, -1)
    mean, covariance, _ = closed_form()
    variance = np.diag(covariance)
    error = np.sqrt((np.outer(variance, variance) + covariance**2) / count)
    assert np.all(np.abs(np.cov(values.T) - covariance) < 5 * error)
    assert np.all(np.abs(values.mean(0) - mean.ravel()) < 5 * np.sqrt(variance / count))


def test_weights_that_are_at_no_mode_get_a_warning_with_what_is_left_to_gain(linear_fit):
    start = linear_fit.posterior.mode()
    away = replace(start, params=jax.tree.map(lambda leaf: leaf + 0.1, start.params))
    found = fit(KEY, LINEAR, DATA, Laplace(at=None), start=away)
    assert found.verdict.status == "warned"
    gain = 0.5 * 0.01 * np.sum(np.linalg.inv(closed_form()[1]))
    assert f"{gain:.2g} nats" in found.verdict.reasons[0]
    assert "polish" in found.verdict.advice[0]


def test_an_indefinite_hessian_fails_and_names_its_smallest_eigenvalue():
    model = Model(NET, Normal(1e-3), Gaussian(0.1))
    for structure in ("full", "diagonal"):
        method = Laplace(structure=structure, curvature="hessian", at=None)
        found = fit(KEY, model, DATA, method, start=network_weights(3))
        with jax.enable_x64(True):
            precision = np.asarray(found.posterior.curvature.precision(model))
        lowest = np.linalg.eigvalsh(precision)[0] if precision.ndim == 2 else precision.min()
        assert lowest < 0
        assert found.verdict.status == "failed"
        assert f"eigenvalue is {lowest:.3g}" in found.verdict.reasons[0]
        assert "ggn" in found.verdict.advice[0]


def test_collinear_features_under_a_flat_prior_fail():
    x = np.c_[X, X[:, 0] + X[:, 1]]
    model = Model(Linear(), Flat(), Gaussian(0.5))
    start = Weights({"coefficients": np.zeros((4, 1))})
    found = fit(KEY, model, as_data(x, Y[:, 0]), Laplace(at=None), start=start)
    assert found.verdict.status == "failed"
    assert "prior precision" in found.verdict.advice[0]


def test_the_search_leaves_the_prior_alone_and_estimates_the_noise_unless_held():
    model = Model(Linear(outputs=K), Normal(learn(0.7), scaling="none"), Gaussian(learn(1.0)))
    found = fit(KEY, model, DATA, Laplace(at=Search(steps=50)))
    assert float(found.model.prior.precision.value) == pytest.approx(0.7, rel=1e-6)
    assert abs(float(found.model.likelihood.scale.value) - 1) > 0.01
    held = fit(KEY, model, DATA, Laplace(at=NEWTON, held="all"))
    assert float(held.model.likelihood.scale.value) == pytest.approx(1, rel=1e-6)
    assert len(hyper.learned(held.model)) == 2
    expected = closed_form(np.ones(2), np.full((3, 2), 0.7))[0]
    np.testing.assert_allclose(held.posterior.mean.params["coefficients"], expected, atol=1e-6)


def test_what_it_cannot_do_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"start=weights"):
        fit(KEY, LINEAR, DATA, Laplace(at=None))
    with pytest.raises(ValueError, match="'functional' or 'diagonal'; got 'dense'"):
        Laplace(structure="dense")
    with pytest.raises(ValueError, match="at least 1; got 0"):
        Laplace(batch_size=0)
    free = replace(LINEAR, likelihood=HeteroscedasticGaussian(floor=learn(0.1)))
    with pytest.raises(ValueError, match="Fix them at numbers"):
        Laplace().phases(free, DATA)
