import json
from pathlib import Path

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from posterium import (
    MLP,
    Exact,
    Flat,
    Fourier,
    Gaussian,
    GaussianPrior,
    HalfNormal,
    HeteroscedasticGaussian,
    Linear,
    Model,
    Normal,
    Polynomial,
    as_data,
    fit,
    predict,
)
from posterium.numerics import regression
from posterium.numerics.precisions import FullPrecision
from posterium.posterior.functions import linearised

KEY = jax.random.key(0)
SHARED = Path(__file__).parents[3] / "shared/data/uci"
DIGITS = 50
SHAPES = [(1, 1), (1, 40), (3, 8), (8, 3), (20, 5), (30, 30), (40, 12), (60, 4), (120, 6), (300, 8)]
"""Rows and weights; twenty problems of each."""


def problem(seed, rows, weights, condition):
    """Return features, targets, prior precision and noise sd whose precision has this condition."""
    generator = np.random.default_rng(seed)
    left = np.linalg.qr(generator.normal(size=(rows, min(rows, weights))))[0]
    right = np.linalg.qr(generator.normal(size=(weights, weights)))[0][:, : left.shape[1]]
    noise = 10.0 ** generator.uniform(-1, 0.5)
    precision = 10.0 ** generator.uniform(-1, 1)
    top = noise * np.sqrt(precision * (condition - 1))
    singular = np.geomspace(top, top / np.sqrt(condition), left.shape[1])
    features = (left * singular) @ right.T
    targets = features @ generator.normal(size=weights) + noise * generator.normal(size=rows)
    return features, targets, np.full(weights, precision), noise


def reference(features, targets, precision, noise):
    """Return mean, covariance and log evidence in 50 digits, by the normal equations."""
    with mpmath.workdps(DIGITS):
        a, b = mpmath.matrix(features.tolist()), mpmath.matrix(targets.tolist())
        weight = 1 / mpmath.mpf(float(noise)) ** 2
        prior = mpmath.diag([mpmath.mpf(float(p)) for p in precision])
        total = prior + weight * (a.T * a)
        lower = mpmath.cholesky(total)
        half = inverse_of_triangle(lower)
        covariance = half.T * half
        mean = weight * (covariance * (a.T * b))
        residual = b - a * mean
        log_det = 2 * sum(mpmath.log(lower[i, i]) for i in range(len(precision)))
        fitted = weight * (residual.T * residual)[0] + (mean.T * prior * mean)[0]
        scale = len(targets) * mpmath.log(2 * mpmath.pi / weight)
        volume = log_det - sum(mpmath.log(p) for p in precision.tolist())
        evidence = -(scale + volume + fitted) / 2
        return to_float(mean)[:, 0], to_float(covariance), float(evidence)


def inverse_of_triangle(lower):
    """Return the inverse of a lower triangular matrix by forward substitution."""
    size = lower.rows
    rows = [[lower[i, j] for j in range(i + 1)] for i in range(size)]
    inverse = mpmath.zeros(size)
    for j in range(size):
        column = []
        for i in range(j, size):
            known = mpmath.fdot(zip(rows[i][j:i], column, strict=True))
            column.append(((i == j) - known) / rows[i][i])
            inverse[i, j] = column[-1]
    return inverse


def to_float(matrix):
    return np.array([[float(matrix[i, j]) for j in range(matrix.cols)] for i in range(matrix.rows)])


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@jax.jit
def solved(features, targets, precision, noise):
    mean, factor = regression.posterior(features, targets, precision, noise)
    count = jnp.asarray(features.shape[0], features.dtype)
    evidence = regression.log_evidence(features, targets, precision, noise, count)
    return mean, factor @ factor.T, evidence


def errors(given, expected, dtype):
    with jax.enable_x64(dtype == np.float64):
        found = solved(*(np.asarray(part, dtype) for part in given))
    mean, covariance, evidence = (np.asarray(part, np.float64) for part in found)
    means, covariances, evidences = expected
    row = given[0][0]
    spread = relative(row @ covariance @ row, row @ covariances @ row)
    scale = max(1.0, abs(evidences))
    return [relative(mean, means), relative(covariance, covariances),
            abs(evidence - evidences) / scale, spread]  # fmt: skip


@pytest.mark.parametrize(("rows", "weights"), SHAPES)
def test_posterior_and_evidence_agree_with_fifty_digits(rows, weights):
    for seed in range(20):
        condition = (10.0, 1e3, 1e4, 1e8)[seed % 4]
        given = problem(seed, rows, weights, condition)
        expected = reference(*given)
        assert max(errors(given, expected, np.float64)) < (1e-6 if condition == 1e8 else 1e-10)
        if condition <= 1e3:
            assert max(errors(given, expected, np.float32)) < 1e-4


@pytest.mark.parametrize(("rows", "weights"), [(20, 5), (3, 8)])
def test_the_gradient_of_the_evidence_agrees_with_differences(rows, weights):
    slope = jax.jit(jax.grad(of_logs, argnums=2))
    for seed in range(20):
        features, targets, precision, noise = problem(seed, rows, weights, 1e2)
        logs = np.log([precision[0], noise])
        with jax.enable_x64(True):
            found = np.asarray(slope(features, targets, logs))
        for i in range(2):
            expected = difference(features, targets, logs, i)
            assert abs(found[i] - expected) < 1e-6 * max(1, abs(expected))


def of_logs(features, targets, logs):
    precision, noise = jnp.exp(logs)
    count = jnp.asarray(float(features.shape[0]))
    full = jnp.broadcast_to(precision, features.shape[1])
    return regression.log_evidence(features, targets, full, noise, count)


def difference(features, targets, logs, i, step=1e-5):
    """Return the central difference of the evidence in one logarithm."""
    moved = [logs + sign * step * np.eye(2)[i] for sign in (1, -1)]
    up, down = (evidence_by_numpy(features, targets, *np.exp(point)) for point in moved)
    return (up - down) / (2 * step)


def evidence_by_numpy(features, targets, precision, noise):
    covariance = noise**2 * np.eye(len(targets)) + features @ features.T / precision
    lower = np.linalg.cholesky(covariance)
    z = np.linalg.solve(lower, targets)
    return -np.log(np.diag(lower)).sum() - 0.5 * (z @ z + len(z) * np.log(2 * np.pi))


RNG = np.random.default_rng(5)
X = RNG.normal(size=(17, 2))
Y = X @ [1.0, -0.5] + 0.3 * RNG.normal(size=17)
MODEL = Model(Linear(), Normal(2.0, "none"), Gaussian(0.4))


def moments(found):
    return found.posterior.mean.params["coefficients"][:, 0], found.posterior.covariance.dense()


def agree(one, other, tolerance=1e-10):
    for a, b in zip(moments(one), moments(other), strict=True):
        assert np.abs(a - b).max() < tolerance
    assert abs(one.log_evidence - other.log_evidence) < tolerance


def test_rows_in_any_order_give_the_same_posterior():
    order = RNG.permutation(17)
    agree(
        fit(KEY, MODEL, as_data(X, Y), Exact()),
        fit(KEY, MODEL, as_data(X[order], Y[order]), Exact()),
    )


def test_doubled_rows_are_rows_of_weight_two():
    twice = as_data(np.tile(X, (2, 1)), np.tile(Y, 2))
    weighted = as_data(X, Y, weight=np.full(17, 2.0))
    agree(fit(KEY, MODEL, twice, Exact()), fit(KEY, MODEL, weighted, Exact()))


def test_doubled_rows_sharpen_the_likelihood_twofold_and_leave_the_prior():
    twice = fit(KEY, MODEL, as_data(np.tile(X, (2, 1)), np.tile(Y, 2)), Exact())
    design = np.column_stack([np.ones(17), X])
    expected = np.linalg.inv(2 * np.eye(3) + 2 * design.T @ design / 0.16)
    assert np.allclose(moments(twice)[1], expected, rtol=1e-11)


def test_a_weight_of_zero_leaves_a_row_out():
    weight = np.ones(17)
    weight[3] = 0
    left = fit(KEY, MODEL, as_data(np.delete(X, 3, 0), np.delete(Y, 3)), Exact())
    agree(fit(KEY, MODEL, as_data(X, Y, weight=weight), Exact()), left, 1e-14)


def test_two_targets_with_noise_of_their_own_are_two_regressions():
    both = np.column_stack([Y, 2 - Y**2])
    model = Model(Linear(outputs=2), Normal(2.0, "none"), Gaussian(np.array([0.4, 0.9])))
    found = fit(KEY, model, as_data(X, both), Exact())
    alone = [
        fit(
            KEY,
            Model(Linear(), Normal(2.0, "none"), Gaussian(noise)),
            as_data(X, both[:, j]),
            Exact(),
        )
        for j, noise in enumerate([0.4, 0.9])
    ]
    assert abs(found.log_evidence - sum(one.log_evidence for one in alone)) < 1e-10
    joint = predict(KEY, found, X[:4])
    for j, one in enumerate(alone):
        single = predict(KEY, one, X[:4])
        assert np.allclose(joint.mean[:, j], single.mean[:, 0], rtol=1e-12)
        assert np.allclose(joint.sd[:, j], single.sd[:, 0], rtol=1e-12)


def test_a_flat_prior_is_least_squares():
    found = fit(KEY, Model(Linear(), Flat(), Gaussian(0.4)), as_data(X, Y), Exact())
    design = np.column_stack([np.ones(17), X])
    assert np.allclose(moments(found)[0], np.linalg.lstsq(design, Y)[0], rtol=1e-12)
    assert np.allclose(moments(found)[1], 0.16 * np.linalg.inv(design.T @ design), rtol=1e-11)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_dependent_features_under_a_flat_prior_fail_with_the_way_out(precision):
    twin = np.column_stack([X[:, 0], 3 * X[:, 0] + 0.1])
    model = Model(Linear(), Flat(), Gaussian(0.4))
    found = fit(KEY, model, as_data(twin, Y), Exact(), precision=precision)
    assert found.verdict.status == "failed"
    assert "linearly dependent" in found.verdict.reasons[0]


@pytest.mark.parametrize("features", [Polynomial(3), Fourier(25, 0.7)])
def test_other_features_solve_their_own_normal_equations(features):
    model = Model(Linear(features), Normal(2.0, "none"), Gaussian(0.4))
    found = fit(KEY, model, as_data(X, Y), Exact())
    with jax.enable_x64(True):
        design = np.asarray(features.evaluate(found.posterior.mean.state, X))
    precision = 2 * np.eye(design.shape[1]) + design.T @ design / 0.16
    assert np.allclose(moments(found)[1], np.linalg.inv(precision), rtol=1e-9)
    assert np.allclose(
        moments(found)[0], np.linalg.solve(precision, design.T @ Y / 0.16), rtol=1e-8
    )


def test_fourier_features_approach_the_squared_exponential_process():
    model = Model(Linear(Fourier(20000, 0.8)), Normal(0.5, "none"), Gaussian(0.4))
    with jax.enable_x64(True):
        weights = model.network.init(KEY, X)
        design = np.asarray(model.network.design(weights, X))
    kernel = np.exp(-0.5 * 0.64 * ((X[:, None] - X[None]) ** 2).sum(-1)) / 2
    # Each entry is a mean of 20,000 bounded terms of variance at most 1/2.
    assert np.abs(design @ design.T - kernel).max() < 5 * np.sqrt(0.5 / 20000)


def test_prediction_is_the_closed_form_and_adds_up():
    found = fit(KEY, MODEL, as_data(X, Y), Exact())
    answer = predict(KEY, found, X[:5])
    design = np.column_stack([np.ones(5), X[:5]])
    mean, covariance = moments(found)
    assert np.allclose(answer.mean[:, 0], design @ mean, rtol=1e-12)
    assert np.allclose(
        answer.epistemic_var[:, 0], np.sum(design @ covariance * design, 1), rtol=1e-11
    )
    assert np.allclose(answer.aleatoric_var, 0.16, rtol=1e-12)
    assert np.allclose(answer.sd**2, answer.aleatoric_var + answer.epistemic_var, rtol=1e-12)
    with jax.enable_x64(True):
        direct = linearised(found.posterior, found.model, X[:5])
    assert np.allclose(direct[0][:, 0], answer.mean[:, 0], rtol=1e-12)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Model(MLP(), Normal(), Gaussian(0.4)), "network is MLP"),
        (Model(Linear(), HalfNormal(), Gaussian(0.4)), "prior is HalfNormal"),
        (Model(Linear(outputs=2), Normal(), HeteroscedasticGaussian()), "likelihood is Hetero"),
    ],
)
def test_exact_takes_linear_models_only(model, said):
    with pytest.raises(ValueError, match=said):
        fit(KEY, model, as_data(X, Y), Exact())


@pytest.mark.skipif(not SHARED.exists(), reason="the shared UCI folder is not beside this checkout")
@pytest.mark.parametrize("name", ["yacht", "concrete"])
def test_the_stored_regressions_on_public_tables_are_met(name):
    stored = json.loads((SHARED / "blr_reference.json").read_text())[name]
    (x, y), (x_test, y_test) = split_of(name)
    model = Model(Linear(), Normal(stored["prior_precision"], "none"), Gaussian(stored["noise_sd"]))
    found = fit(KEY, model, as_data(x, y), Exact())
    mean, covariance = moments(found)
    assert np.abs(mean - stored["posterior_mean"]).max() < 1e-10
    assert relative(covariance, np.array(stored["posterior_covariance"])) < 1e-10
    assert abs(found.log_evidence - stored["log_evidence"]) < 1e-8
    answer = predict(KEY, found, x_test)
    assert np.allclose(answer.mean[:5, 0], stored["test_mean_first5"], rtol=1e-9)
    assert np.allclose(
        answer.epistemic_var[:5, 0], stored["test_epistemic_variance_first5"], rtol=1e-9
    )
    density = np.mean(answer.log_prob(y_test))
    assert abs(density - stored["test_mean_log_density_standardised"]) < 1e-9


def split_of(name):
    """Return the standardised rows of split 0: those for training, and the others."""
    table = np.loadtxt(SHARED / name / "data.csv.gz", delimiter=",", skiprows=1)
    index = np.load(SHARED / name / "splits.npz")
    order, count = index["perm"][0], int(index["n_train"])
    rows = table[np.ix_(order, [*index["feature_columns"], int(index["target_column"])])]
    rows = (rows - rows[:count].mean(0)) / rows[:count].std(0)
    parts = rows[:count], rows[count:]
    return [(part[:, :-1], part[:, -1:]) for part in parts]


def test_flat_weights_are_refused_where_rows_are_fewer_than_weights():
    x = np.linspace(-1, 1, 4)[:, None]
    precision = {"coefficients": np.r_[0.0, np.ones(9)][:, None]}
    model = Model(Linear(Polynomial(9)), Normal(precision, "none"), Gaussian(0.1))
    with pytest.raises(ValueError, match="4 rows and 10 weights"):
        fit(jax.random.key(0), model, as_data(x, x[:, 0]), Exact())


@pytest.mark.parametrize(("cut", "targets"), [(9, 2), (2, 1)])
def test_rows_in_two_goes_are_all_rows_at_once(cut, targets):
    y = np.c_[Y, X @ [0.3, -1.2]][:, :targets]
    noise = np.array([0.4, 0.7])[:targets]
    model = Model(Linear(outputs=targets), Normal(2.0, "none"), Gaussian(noise))
    whole = fit(KEY, model, as_data(X, y), Exact())
    goes = []
    for rows in (slice(cut), slice(cut, None)):
        goes.append(fit(KEY, model, as_data(X[rows], y[rows]), Exact()))
        model = Model(model.network, goes[-1].posterior.as_prior(), model.likelihood)
    params = [found.posterior.mean.params["coefficients"] for found in (goes[-1], whole)]
    np.testing.assert_allclose(*params, atol=1e-10)
    with jax.enable_x64(True):
        dense = [found.posterior.covariance.dense() for found in (goes[-1], whole)]
    np.testing.assert_allclose(*dense, atol=1e-10)
    both = goes[0].log_evidence + goes[1].log_evidence
    assert both == pytest.approx(whole.log_evidence, abs=1e-10)
    assert goes[-1].verdict.status == "ok"


def test_a_prior_that_ties_targets_together_is_refused():
    root = np.linalg.cholesky(np.eye(6) + 0.1)
    prior = GaussianPrior({"coefficients": np.zeros((3, 2))}, FullPrecision(root))
    model = Model(Linear(outputs=2), prior, Gaussian(0.5))
    with pytest.raises(ValueError, match="independent from target to target"):
        fit(KEY, model, as_data(X, np.c_[Y, Y]), Exact())
