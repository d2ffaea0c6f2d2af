"""Variational inference held to what theory says on linear-Gaussian models, and to identities."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, norm

from posterium._struct import replace
from posterium.combinators.ensemble import Ensemble
from posterium.driver import program
from posterium.driver.fit import fit
from posterium.methods.map import MAP
from posterium.methods.vi import VI
from posterium.model.data import Batch, as_data
from posterium.model.features import Affine, Linear
from posterium.model.hyper import learn
from posterium.model.likelihoods.classes import Bernoulli
from posterium.model.likelihoods.gaussian import Gaussian
from posterium.model.model import Model
from posterium.model.network import MLP, Functions
from posterium.model.priors.normal import Flat, Normal
from posterium.model.priors.scales import HalfCauchy
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.numerics.families.gaussian import MeanField
from posterium.numerics.families.matrix_normal import MatrixNormal
from posterium.phases.ascent import KLSchedule
from posterium.phases.kl import closed_kl

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
UCI = SHARED / "uci"
KEY = jax.random.key(0)
X = np.random.default_rng(1).normal(size=(23, 3)) @ np.array(
    [[1, 0.9, 0], [0, 0.5, 0.4], [0, 0, 1]]
)
Y = X @ np.array([1.0, -0.5, 0.2]) + 0.3 * np.random.default_rng(2).normal(size=23)
DATA = as_data(X, Y)
MODEL = Model(Linear(Affine()), Normal(2.0, scaling="none"), Gaussian(0.6))
EXACT = VI(steps=3000, learning_rate=3e-2, estimator="sigma_points", assess=0)


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


def gap_of_mean_field(precision):
    return 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])


def kl_to(precision, mean, posterior):
    """KL from the exact posterior, of a Gaussian fit."""
    cov = np.asarray(posterior.covariance.dense(), float)
    off = np.concatenate([np.ravel(a) for a in jax.tree.leaves(posterior.mean.params)]) - mean
    inside = np.trace(precision @ cov) + off @ precision @ off - len(mean)
    return 0.5 * (inside - np.linalg.slogdet(cov)[1] - np.linalg.slogdet(precision)[1])


def first_state(phase, model, data=DATA, seed=0):
    data = trees.cast(data, np.dtype(float))
    return program.init(phase, jax.random.key(seed), model, data, None), data


def only(method, model=MODEL):
    return method.phases(model, DATA)[0]


def uci_case(name):
    if not UCI.is_dir():
        pytest.skip("needs the UCI tables and their reference in ../shared/data/uci")
    reference = json.loads((UCI / "blr_reference.json").read_text())[name]
    table = np.loadtxt(UCI / name / "data.csv.gz", delimiter=",", skiprows=1)
    splits = np.load(UCI / name / "splits.npz")
    rows = splits["perm"][0][: splits["n_train"]]
    x, y = table[rows][:, splits["feature_columns"]], table[rows, splits["target_column"]]
    return reference, (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()


def test_the_bound_never_exceeds_the_log_evidence_and_a_full_covariance_reaches_it():
    mean, precision, evidence = exact(X, Y, 2.0, 0.6)
    method = replace(EXACT, family="full", assess=None)
    found = fit(KEY, MODEL, DATA, method, precision="float64")
    elbo = found.info["ascent"]["elbo"]
    assert (elbo <= evidence + 1e-9).all()
    assert evidence - elbo[-1] < 1e-6
    assert found.info["assess"]["elbo"][0] == pytest.approx(evidence, abs=1e-6)
    assert found.info["assess"]["k_hat"][0] < 0.5
    assert elbo[0] < evidence - 1
    np.testing.assert_allclose(
        found.posterior.covariance.dense(), np.linalg.inv(precision), atol=1e-6
    )
    np.testing.assert_allclose(trees.vector(found.posterior.mean.params), mean, atol=1e-6)
    assert found.verdict.status == "ok"


@pytest.mark.parametrize("max_scale", [None, 2.0])
def test_mean_field_loses_what_theory_says_and_has_the_inverse_diagonal_as_variance(max_scale):
    _, precision, evidence = exact(X, Y, 2.0, 0.6)
    method = replace(EXACT, max_scale=max_scale)
    found = fit(KEY, MODEL, DATA, method, precision="float64")
    elbo = found.info["ascent"]["elbo"]
    assert (elbo <= evidence + 1e-9).all()
    assert evidence - elbo[-1] == pytest.approx(gap_of_mean_field(precision), abs=1e-6)
    np.testing.assert_allclose(
        found.posterior.covariance.variance(), 1 / np.diag(precision), rtol=1e-5
    )


@pytest.mark.parametrize(("name", "stored"), [("yacht", 1.9476), ("concrete", 2.0077)])
def test_the_gaps_on_uci_tables_are_the_stored_ones(name, stored):
    reference, x, y = uci_case(name)
    noise = Gaussian(reference["noise_sd"])
    model = Model(Linear(Affine()), Normal(reference["prior_precision"], scaling="none"), noise)
    evidence, variances = reference["log_evidence"], {}
    for family, gap, slack in (("full", 0, 1e-6), ("mean_field", stored, 1e-4)):
        method = replace(EXACT, family=family)
        found = fit(KEY, model, as_data(x, y), method, precision="float64")
        elbo = found.info["ascent"]["elbo"]
        assert (elbo <= evidence + 1e-9).all()
        assert evidence - elbo[-1] == pytest.approx(gap, abs=slack)
        variances[family] = np.asarray(found.posterior.covariance.variance())
    covariance = np.array(reference["posterior_covariance"])
    np.testing.assert_allclose(variances["full"], np.diag(covariance), rtol=1e-6)
    diagonal = np.diag(np.linalg.inv(covariance))
    np.testing.assert_allclose(variances["mean_field"], 1 / diagonal, rtol=1e-3)


def test_averaged_iterates_come_within_a_hundredth_of_a_nat_by_draws_and_beat_the_last_one():
    mean, precision, _ = exact(X, Y, 2.0, 0.6)
    method = VI("full", steps=3000, learning_rate=3e-2, samples=8, schedule="constant", assess=0)
    last, averaged = (
        kl_to(precision, mean, fit(KEY, MODEL, DATA, replace(method, average=a)).posterior)
        for a in (0.0, 0.3)
    )
    assert 0 < averaged < min(0.01, last / 3)


def test_the_sampled_bound_lies_below_the_evidence_by_the_kl_to_the_posterior(double):
    mean, precision, evidence = exact(X, Y, 2.0, 0.6)
    phase = only(VI("full", init_scale=0.1, kl="sampled"))
    state, data = first_state(phase, MODEL)
    q = phase.member(state.moving, state.weights)
    keys = jax.random.split(jax.random.key(3), 10_000)
    bounds = np.asarray(
        jax.jit(jax.vmap(lambda key: phase.bound.value(key, q, MODEL, data, 1.0)[0]))(keys)
    )
    error = bounds.std() / 100
    posterior = q.settled()
    truth = evidence - kl_to(precision, mean, posterior)
    assert truth < evidence
    assert abs(bounds.mean() - truth) < 4 * error


PRIORS = [
    pytest.param(Normal(3.0, scaling="none"), np.full(4, 3.0), id="one precision"),
    pytest.param(
        Normal({"coefficients": np.array([[0.5], [1.0], [4.0], [9.0]])}, scaling="none"),
        np.array([0.5, 1, 4, 9]),
        id="one precision a weight",
    ),
    pytest.param(Normal(learn(0.7)), np.full(4, 4 * 0.7), id="learned, by fan-in"),
    pytest.param(Flat(), np.zeros(4), id="flat"),
]


@pytest.mark.parametrize(("prior", "precision"), PRIORS)
@pytest.mark.parametrize("family", ["mean_field", "full"])
def test_the_kl_by_formula_is_the_mean_over_a_million_draws(double, family, prior, precision):
    model = replace(MODEL, prior=prior)
    phase = only(VI(family, estimator="sigma_points"), model)
    state, _ = first_state(phase, model)
    rng = np.random.default_rng(5)
    raw, points, raws = state.moving
    mean = jnp.asarray(rng.normal(size=raw["mean"].shape))
    raw = {"mean": mean, "scale": jnp.asarray(rng.normal(size=raw["scale"].shape) * 0.5)}
    q = phase.member((raw, points, raws), state.weights)
    kl = jax.jit(closed_kl)(q, model)
    covariance = np.asarray(phase.family.covariance(raw).dense())
    draws = rng.multivariate_normal(mean, covariance, size=1_000_000)
    log_q = multivariate_normal(mean, covariance).logpdf(draws)
    proper = precision > 0
    log_p = norm(0, 1 / np.sqrt(precision[proper])).logpdf(draws[:, proper]).sum(axis=1)
    terms = log_q - log_p
    assert phase.bound.closed
    assert abs(float(kl) - terms.mean()) < 4 * terms.std() / 1000


def test_batches_of_a_partition_average_to_the_full_bound_and_gradient(double):
    method = VI("full", optimiser="sgd", learning_rate=1.0, schedule="constant", samples=3)
    model = Model(MLP(hidden=(3,)), Normal(), Gaussian(learn(0.5)))
    phase = only(method, model)
    state, data = first_state(phase, model)
    start = trees.vector((state.moving, 0.0, 0.0))

    @jax.jit
    def step(part):
        new, info = phase.step(KEY, state, model, Batch(part, None, data, True))
        return trees.vector((new.moving, info["elbo"], info["log_likelihood"])) - start

    full = step(data)
    order = np.random.default_rng(0).permutation(23)
    rows = np.append(order, -1).reshape(3, 8)
    parts = [data.take(jnp.asarray(r)) for r in rows]
    shares = [float(part.weight.sum()) / 23 for part in parts]
    assert shares[2] == 7 / 23
    averaged = sum(share * step(part) for share, part in zip(shares, parts, strict=True))
    np.testing.assert_allclose(averaged, full, rtol=1e-10, atol=1e-10)


def test_doubled_rows_double_the_likelihood_and_leave_the_kl(double):
    phase = only(VI())
    state, data = first_state(phase, MODEL)
    twice = replace(data, weight=2 * data.weight, size=2 * data.size)
    step = jax.jit(lambda d: phase.step(KEY, state, MODEL, Batch(d, None, d, True))[1])
    one, two = (trees.to_numpy(step(d)) for d in (data, twice))
    assert two["log_likelihood"] == pytest.approx(2 * one["log_likelihood"], rel=1e-12)
    assert two["kl"] == one["kl"]
    assert two["elbo"] == pytest.approx(two["log_likelihood"] - two["kl"], rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "likelihood"),
    [
        ("wells_data-wells_dist", Bernoulli()),
        ("kidiq-kidscore_interaction", Gaussian(learn(20.0, prior=HalfCauchy(2.5)))),
    ],
)
def test_moments_are_those_of_reference_posteriors(name, likelihood):
    file = SHARED / "posteriordb" / f"{name}.json"
    if not file.is_file():
        pytest.skip("needs the reference posteriors in ../shared/data/posteriordb")
    reference = json.loads(file.read_text())
    *columns, target = [np.array(column, float) for column in reference["data"].values()]
    if likelihood.task == "classification":
        columns, target = [np.ones(len(target)), *columns], target.astype(int)
    whitened, back = np.linalg.qr(np.column_stack(columns))
    scale = np.sqrt(len(target))
    model = Model(MLP(hidden=(), bias=False), Flat(), likelihood)
    method = VI(
        "full", steps=8000, learning_rate=3e-2, samples=32, average=0.3, init_scale=0.1, assess=0
    )
    if likelihood.task == "regression":
        method = replace(method, learning_rate=0.3, init_scale=1.0)
    data = as_data(whitened * scale, target)
    posterior = fit(KEY, model, data, method, precision="float64").posterior
    root = np.linalg.inv(back) * scale
    mean = root @ np.asarray(trees.vector(posterior.mean.params))
    sd = np.sqrt(np.diag(root @ posterior.covariance.dense() @ root.T))
    truth = reference["parameters"][: len(mean)]
    centre = np.array([p["quadrature_mean"] for p in truth])
    spread = np.array([p["quadrature_sd"] for p in truth])
    assert (np.abs(mean - centre) < 0.05 * spread).all()
    np.testing.assert_allclose(sd / spread, 1, atol=0.03)


def test_learned_noise_and_prior_precision_end_at_the_largest_evidence():
    model = replace(
        MODEL, prior=Normal(learn(1.0), scaling="none"), likelihood=Gaussian(learn(1.0))
    )
    best = minimize(lambda raw: -exact(X, Y, *np.exp(raw))[2], np.zeros(2), tol=1e-12)
    found = fit(KEY, model, DATA, replace(EXACT, family="full"), precision="float64")
    assert found.info["ascent"]["elbo"][-1] == pytest.approx(-best.fun, abs=1e-6)
    learned = found.model.prior.precision.value, found.model.likelihood.scale.value
    np.testing.assert_allclose(learned, np.exp(best.x), rtol=1e-4)


def test_the_kl_weight_is_zero_then_a_line_then_one():
    method = VI(steps=200, kl_schedule=KLSchedule(), learning_rate=1e-2, assess=0)
    info = fit(KEY, MODEL, DATA, method, precision="float64").info["ascent"]
    weight = info["kl_weight"]
    np.testing.assert_allclose(
        weight, np.clip((np.arange(200) / 200 - 0.05) / 0.9, 0, 1), atol=1e-12
    )
    assert (weight[:11] == 0).all()
    assert (weight[190:] == 1).all()
    np.testing.assert_allclose(info["elbo"], info["log_likelihood"] - info["kl"])
    np.testing.assert_allclose(
        info["objective"], (info["log_likelihood"] - weight * info["kl"]) / 23
    )


def test_the_average_is_over_the_last_share_of_the_iterates(double):
    phase = only(VI(steps=8, average=0.5, learning_rate=0.1))
    state, data = first_state(phase, MODEL)
    iterates = []
    step = jax.jit(
        lambda i, s: phase.step(jax.random.key(i), s, MODEL, Batch(data, None, data, True))
    )
    for i in range(8):
        state, _ = step(i, state)
        iterates.append(state.moving[0]["mean"])
    found, _ = phase.end(state, None, MODEL, data)
    np.testing.assert_allclose(
        found.mode().params["coefficients"][:, 0], np.mean(iterates[4:], axis=0), rtol=1e-12
    )


def test_means_start_where_they_are_told():
    weights = Weights({"coefficients": np.array([[1.0], [2.0], [3.0], [4.0]])})
    network = MLP(hidden=(4,))
    model = replace(MODEL, network=network)
    data = trees.cast(DATA, np.dtype(np.float32))

    def mean(means, start=None, model=model):
        phase = only(VI(means=means), model)
        return np.asarray(phase.init(KEY, model, data, start).moving[0]["mean"])

    own = trees.vector(network.init(jax.random.split(KEY)[0], data.x).params)
    np.testing.assert_array_equal(mean("network"), own)
    assert not mean("zero").any()
    assert 0.005 < np.abs(mean(8e-3)).max() <= 8e-3
    np.testing.assert_array_equal(mean("zero", weights, MODEL), [1, 2, 3, 4])
    found = fit(KEY, MODEL, DATA, MAP(steps=50))
    np.testing.assert_array_equal(
        mean("network", found.posterior, MODEL), found.posterior.mode().params["coefficients"][:, 0]
    )


def test_a_stronger_fit_of_equal_shapes_compiles_nothing_new(caplog):
    method = VI(steps=100, batch_size=8, assess=0)
    fit(KEY, MODEL, DATA, method)
    stronger = replace(method, learning_rate=0.05, init_scale=0.2)
    with jax.log_compiles():
        fit(jax.random.key(9), replace(MODEL, prior=Normal(5.0, scaling="none")), DATA, stronger)
        assert "Compiling" not in caplog.text
        fit(KEY, MODEL, DATA, replace(method, steps=101))
        assert "Compiling" in caplog.text


def test_members_of_an_ensemble_are_fitted_at_once():
    model = Model(MLP(hidden=(5,)), Normal(), Gaussian())
    found = fit(KEY, model, DATA, Ensemble(VI(steps=300, batch_size=8, means=0.1), 3))
    assert found.posterior.size() == 3
    elbo = found.info["ascent"]["elbo"]
    assert elbo.shape == (300, 3)
    assert (elbo[-30:].mean(axis=0) > elbo[:30].mean(axis=0)).all()
    means = trees.index(found.posterior.parts.mean.params, slice(None))["layers"][0]["kernel"]
    assert (np.ptp(means, axis=0) > 0).all()


def test_a_bound_that_still_rises_is_warned_of_and_one_that_breaks_fails():
    short = fit(KEY, MODEL, DATA, replace(EXACT, steps=400, learning_rate=1e-3))
    assert short.verdict.status == "warned"
    assert "rising" in short.verdict.reasons[0]
    broken = fit(
        KEY, MODEL, DATA, VI(steps=160, optimiser="sgd", learning_rate=1e8, schedule="constant")
    )
    assert broken.verdict.status == "failed"


class Cauchy(Flat):
    """A prior without a closed form."""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"family": "diagonal"}, "family must be one of mean_field, full"),
        ({"kl": "exact"}, "kl must be one of"),
        ({"estimator": "none"}, "estimator must be one of"),
        ({"means": "map"}, "'network', 'zero' or a number"),
        ({"means": (0.0,)}, "'network', 'zero' or a number"),
        ({"steps": 10.5}, "steps must be a whole number"),
        ({"samples": "two"}, "samples must be a whole number"),
        ({"assess": 10.0}, "assess must be a whole number"),
        ({"learning_rate": "fast"}, "learning_rate must be a number"),
        ({"init_scale": None}, "init_scale must be a number"),
        ({"steps": 0}, "must be at least 1"),
        ({"batch_size": 0}, "must be at least 1"),
        ({"samples": 0}, "samples must be at least 1"),
        ({"average": 1.5}, "average must be a share"),
        ({"init_scale": 3.0, "max_scale": 2.0}, "below max_scale"),
        ({"family": MeanField(0.005)}, "below max_scale, the cap"),
        ({"init_scale": 0.0}, "must be positive"),
        ({"family": "full", "max_scale": 2.0}, "leave it out"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        VI(**settings).phases(MODEL, DATA)


def test_matrices_are_split_where_the_network_keeps_its_outputs():
    layout = (("*weight", "outputs first"),)
    network = Functions(lambda key, x: {}, lambda params, x: x, layout=layout)
    model = Model(network, Normal(), Gaussian())
    assert VI(family="matrix_normal").phases(model, DATA)[0].family == MatrixNormal(layout)
    assert VI(family="matrix_normal").phases(MODEL, DATA)[0].family == MatrixNormal()
