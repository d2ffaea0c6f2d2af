"""IVON held to the mean-field optimum, to its paper's algorithm, and to identities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from tests.methods.test_vi import gap_of_mean_field, uci_case

from posterium._struct import replace, struct
from posterium.driver import program
from posterium.driver.fit import fit
from posterium.methods.ivon import IVON
from posterium.model.data import Batch, Stream, as_data
from posterium.model.features import Affine, Linear
from posterium.model.hyper import learn
from posterium.model.likelihoods.gaussian import Gaussian
from posterium.model.model import Model
from posterium.model.network import MLP
from posterium.model.priors.base import Independent
from posterium.model.priors.composed import Centred
from posterium.model.priors.normal import Normal
from posterium.numerics import trees

KEY = jax.random.key(0)
X = np.random.default_rng(1).normal(size=(23, 3)) @ np.array(
    [[1, 0.9, 0], [0, 0.5, 0.4], [0, 0, 1]]
)
Y = X @ np.array([1.0, -0.5, 0.2]) + 0.3 * np.random.default_rng(2).normal(size=23)
DATA = as_data(X, Y)
MODEL = Model(Linear(Affine()), Normal(2.0, scaling="none"), Gaussian(0.6))
EXACT = IVON(2500, 0.3, estimator="sigma_points", betas=(0.9, 0.99), assess=0)
SAMPLED = IVON(steps=5000, samples=4, assess=0)


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


def exact(x, y, tau, noise):
    """Return mean, precision matrix and log evidence of linear regression on an affine basis."""
    design = np.column_stack([np.ones(len(x)), x])
    precision = design.T @ design / noise**2 + tau * np.eye(design.shape[1])
    mean = np.linalg.solve(precision, design.T @ y) / noise**2
    marginal = design @ design.T / tau + noise**2 * np.eye(len(x))
    return mean, precision, multivariate_normal(np.zeros(len(x)), marginal).logpdf(y)


def moments(found):
    """Return the means and the variances of the weights."""
    params = jax.tree.leaves(found.posterior.mean.params)
    return np.concatenate([np.ravel(leaf) for leaf in params]), found.posterior.covariance.sd**2


def test_it_ends_at_the_mean_field_optimum_and_its_bound_never_exceeds_the_evidence():
    mean, precision, evidence = exact(X, Y, 2.0, 0.6)
    found = fit(KEY, MODEL, DATA, EXACT, precision="float64")
    centre, variance = moments(found)
    elbo = found.info["ascent"]["elbo"]
    assert (elbo <= evidence + 1e-9).all()
    assert evidence - elbo[-1] == pytest.approx(gap_of_mean_field(precision), abs=1e-8)
    np.testing.assert_allclose(centre, mean, atol=1e-8)
    np.testing.assert_allclose(variance, 1 / np.diag(precision), rtol=1e-8)
    assert found.verdict.status == "ok"


@pytest.mark.parametrize(
    ("name", "stored"),
    [("yacht", 1.9476), pytest.param("concrete", 2.0077, marks=pytest.mark.slow)],
)
def test_the_gaps_on_uci_tables_are_the_stored_ones(name, stored):
    reference, x, y = uci_case(name)
    noise = Gaussian(reference["noise_sd"])
    model = Model(Linear(Affine()), Normal(reference["prior_precision"], scaling="none"), noise)
    method = replace(EXACT, learning_rate=0.6)
    found = fit(KEY, model, as_data(x, y), method, precision="float64")
    elbo = found.info["ascent"]["elbo"]
    assert reference["log_evidence"] - elbo[-1] == pytest.approx(stored, abs=1e-4)
    precision = np.diag(np.linalg.inv(np.array(reference["posterior_covariance"])))
    np.testing.assert_allclose(moments(found)[1] * precision, 1, rtol=1e-6)


@pytest.mark.slow
def test_by_draws_it_ends_near_the_mean_field_optimum_without_a_bias_over_seeds():
    mean, precision, _ = exact(X, Y, 2.0, 0.6)
    seeds = [moments(fit(jax.random.key(seed), MODEL, DATA, SAMPLED)) for seed in range(12)]
    sd = 1 / np.sqrt(np.diag(precision))
    z = np.array([(centre - mean) / sd for centre, _ in seeds])
    ratio = np.array([variance / sd**2 for _, variance in seeds])
    for values, truth, slack in ((z, 0, 0.01), (ratio, 1, 0.02)):
        error = values.std(axis=0, ddof=1) / np.sqrt(len(seeds))
        assert (np.abs(values.mean(axis=0) - truth) < 4 * error + slack).all()
        assert (error < 0.01).all()


def first_state(method, model, data=DATA):
    data = trees.cast(data, np.dtype(float))
    (phase,) = method.phases(model, data)
    return phase, program.init(phase, KEY, model, data, None), data


def test_steps_are_those_of_the_paper(double):
    settings = {"learning_rate": 0.3, "schedule": "constant", "hess_init": 0.7, "clip": 0.8}
    method = IVON(samples=2, betas=(0.8, 0.9), assess=0, **settings)
    phase, state, data = first_state(method, MODEL)
    design, n, lam = np.column_stack([np.ones(23), X]), 23, 23.0
    m, h, g, delta = np.zeros(4), np.full(4, 0.7), np.zeros(4), 2.0 / 23
    step = jax.jit(lambda key, state: phase.step(key, state, MODEL, Batch(data, None, data, True)))
    for t in range(1, 6):
        key = jax.random.key(t)
        z = np.asarray(jax.random.normal(key, (2, 4), float))
        sigma = 1 / np.sqrt(lam * (h + delta))
        theta = m + sigma * z
        slopes = np.array([design.T @ (design @ w - Y) / 0.36 / n for w in theta])
        h_hat = np.mean(slopes * (theta - m) / sigma**2, axis=0)
        g = 0.8 * g + 0.2 * slopes.mean(axis=0)
        h = 0.9 * h + 0.1 * h_hat + 0.5 * 0.1**2 * (h - h_hat) ** 2 / (h + delta)
        move = (g / (1 - 0.8**t) + delta * m) / (h + delta)
        assert t > 1 or (np.abs(move) > 0.8).any()
        m = m - 0.3 * (0.7 + delta) * np.clip(move, -0.8, 0.8)
        state, _ = step(key, state)
        np.testing.assert_allclose(state.mean, m, rtol=1e-10)
        np.testing.assert_allclose(state.precision, lam * (h + delta), rtol=1e-10)


@struct
class Plain(Independent):
    """A normal prior that does not say that it is one."""

    def log_density(self, w):
        return -0.5 * (2.0 * w**2 - jnp.log(2.0 / (2 * jnp.pi)))

    def draw(self, key, shape, dtype):
        return jax.random.normal(key, shape, dtype) / 2.0**0.5


def test_a_prior_by_its_gradient_ends_where_the_same_prior_as_a_weight_decay_does():
    mean, precision, evidence = exact(X, Y, 2.0, 0.6)
    found = fit(KEY, replace(MODEL, prior=Plain()), DATA, EXACT, precision="float64")
    centre, variance = moments(found)
    np.testing.assert_allclose(centre, mean, atol=1e-8)
    np.testing.assert_allclose(variance, 1 / np.diag(precision), rtol=1e-8)
    gap = evidence - found.info["ascent"]["elbo"][-1]
    assert gap == pytest.approx(gap_of_mean_field(precision), abs=1e-8)


def test_a_prior_around_given_weights_pulls_towards_them():
    at = {"coefficients": np.array([[1.0], [-2.0], [0.5], [3.0]])}
    prior = Centred(Normal(30.0, "none"), at)
    found = fit(KEY, replace(MODEL, prior=prior), DATA, EXACT, precision="float64")
    design, middle = np.column_stack([np.ones(23), X]), at["coefficients"][:, 0]
    precision = design.T @ design / 0.36 + 30 * np.eye(4)
    mean = np.linalg.solve(precision, design.T @ Y / 0.36 + 30 * middle)
    np.testing.assert_allclose(moments(found)[0], mean, atol=1e-8)


def test_learned_noise_and_prior_precision_end_at_the_largest_bound():
    model = replace(
        MODEL, prior=Normal(learn(1.0), scaling="none"), likelihood=Gaussian(learn(1.0))
    )

    def lost(raw):
        _, precision, evidence = exact(X, Y, *np.exp(raw))
        return gap_of_mean_field(precision) - evidence

    best = minimize(lost, np.zeros(2), tol=1e-12)
    method = replace(EXACT, steps=2500, hyper_learning_rate=0.05)
    found = fit(KEY, model, DATA, method, precision="float64")
    assert found.info["ascent"]["elbo"][-1] == pytest.approx(-best.fun, abs=1e-5)
    learned = found.model.prior.precision.value, found.model.likelihood.scale.value
    np.testing.assert_allclose(learned, np.exp(best.x), rtol=2e-3)


def test_batches_of_a_partition_average_to_the_estimates_of_all_rows(double):
    model = Model(MLP(hidden=(3,)), Normal(), Gaussian(learn(0.5)))
    phase, state, data = first_state(IVON(assess=0), model)
    z = jax.random.normal(KEY, (3, state.mean.size))

    @jax.jit
    def estimate(part):
        info, slopes, raw_slope = phase.estimate(state, model, part, z)
        return trees.vector((info["elbo"], info["log_likelihood"], slopes, raw_slope))

    rows = np.append(np.random.default_rng(0).permutation(23), -1).reshape(3, 8)
    parts = [data.take(jnp.asarray(r)) for r in rows]
    shares = [float(part.weight.sum()) / 23 for part in parts]
    averaged = sum(share * estimate(part) for share, part in zip(shares, parts, strict=True))
    np.testing.assert_allclose(averaged, estimate(data), rtol=1e-10, atol=1e-10)


@pytest.mark.slow
def test_batches_from_a_stream_are_fitted_like_rows_in_memory():
    method = replace(SAMPLED, batch_size=8)
    stream = Stream(lambda: iter([(X, Y[:, None])]), rows=23, batch_size=8)
    _, precision, _ = exact(X, Y, 2.0, 0.6)
    for data in (DATA, stream):
        found = fit(KEY, MODEL, data, method)
        assert np.abs(moments(found)[1] * np.diag(precision) - 1).max() < 0.1


@pytest.mark.slow
def test_a_draw_a_step_is_assessed_at_the_end_with_the_errors_of_the_bound():
    found = fit(KEY, MODEL, DATA, replace(SAMPLED, assess=None), precision="float64")
    _, precision, evidence = exact(X, Y, 2.0, 0.6)
    told = {name: values[-1] for name, values in found.info["assess"].items()}
    gap = evidence - told["elbo"]
    assert abs(gap - gap_of_mean_field(precision)) < 4 * told["elbo_se"] + 0.01
    assert found.posterior.covariance.sd.shape == (4,)


def test_a_second_fit_of_equal_shapes_compiles_nothing_new(caplog):
    method = IVON(steps=100, batch_size=8, assess=0)
    fit(KEY, MODEL, DATA, method)
    other = replace(method, learning_rate=0.05, hess_init=2.0, betas=(0.8, 0.99))
    with jax.log_compiles():
        fit(jax.random.key(9), replace(MODEL, prior=Normal(5.0, scaling="none")), DATA, other)
        assert "Compiling" not in caplog.text
        fit(KEY, MODEL, DATA, replace(method, steps=101))
        assert "Compiling" in caplog.text


def test_a_bound_that_still_rises_is_warned_of_and_one_that_breaks_fails():
    short = fit(KEY, MODEL, DATA, replace(EXACT, steps=400, learning_rate=1e-3, clip=None))
    assert short.verdict.status == "warned"
    assert "rising" in short.verdict.reasons[0]
    broken = replace(EXACT, steps=400, learning_rate=1e8, schedule="constant", clip=None)
    assert fit(KEY, MODEL, DATA, broken).verdict.status == "failed"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"estimator": "local"}, "estimator must be one of"),
        ({"steps": 0}, "must be at least 1"),
        ({"samples": 0}, "samples must be at least 1"),
        ({"hess_init": 0.0}, "hess_init must be positive"),
        ({"betas": (0.9, 1.0)}, "betas from 0 to below 1"),
        ({"clip": 0.0}, "clip must be positive"),
        ({"learning_rate": -1.0}, "learning_rate must be finite"),
        ({"assess": 1}, "assess must be 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        IVON(**settings).phases(MODEL, DATA)
