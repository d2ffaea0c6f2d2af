"""A posterior as the next prior: rows in two goes are all rows at once."""

import jax
import numpy as np
import pytest
from scipy import stats

import posterium as ps
from posterium._struct import replace
from posterium.model.priors.gaussian import GaussianPrior
from posterium.numerics import trees
from posterium.numerics.precisions import DiagonalPrecision, FullPrecision

KEY = jax.random.key(2)
RNG = np.random.default_rng(6)
X = RNG.normal(size=(24, 2))
Y = np.column_stack([X @ [1.0, -0.5], X @ [0.3, 2.0]]) + 0.3 * RNG.normal(size=(24, 2))
FIRST, SECOND, ALL = ps.as_data(X[:9], Y[:9]), ps.as_data(X[9:], Y[9:]), ps.as_data(X, Y)
NOISE = ps.Gaussian(np.array([0.4, 0.7]))
LINEAR = ps.Model(ps.Linear(outputs=2), ps.Normal(0.5, "none"), NOISE)
POLISHED = ps.MAP(steps=1, polish="newton")


def going_on(found, likelihood=NOISE):
    return ps.Model(LINEAR.network, found.posterior.as_prior(), likelihood)


def moments(found):
    return found.posterior.mean.params["coefficients"].ravel(), np.asarray(
        found.posterior.covariance.dense()
    )


@pytest.fixture(scope="module")
def first():
    return ps.fit(KEY, LINEAR, FIRST, ps.Exact())


@pytest.fixture(scope="module")
def whole():
    return ps.fit(KEY, LINEAR, ALL, ps.Exact())


def test_it_is_scipys_density_and_draws_from_it():
    root = np.tril(RNG.normal(size=(3, 3)), -1) + np.diag([0.5, 1.0, 2.0])
    prior = GaussianPrior(
        {"a": np.array([0.5]), "b": np.array([[1.0], [-1.0]])}, FullPrecision(root)
    )
    covariance = np.linalg.inv(root.T @ root)
    normal = stats.multivariate_normal([0.5, 1.0, -1.0], covariance)
    params = {"a": np.array([0.1]), "b": np.array([[0.7], [0.2]])}
    with jax.enable_x64(True):
        value = float(prior.log_prob(jax.tree.map(jax.numpy.asarray, params)))
        keys = jax.random.split(KEY, 20_000)
        drawn = jax.vmap(lambda key: trees.vector(prior.sample(key, params)))(keys)
    assert np.isclose(value, normal.logpdf([0.1, 0.7, 0.2]), rtol=1e-12)
    z = (np.asarray(drawn) - normal.mean) @ root.T
    assert np.abs(z.mean(axis=0)).max() < 5 / np.sqrt(20_000)
    assert np.abs(np.cov(z.T) - np.eye(3)).max() < 5 * np.sqrt(2 / 20_000)


@pytest.mark.slow
def test_the_mode_after_two_goes_is_that_of_all_rows(first, whole):
    found = ps.fit(KEY, going_on(first), SECOND, POLISHED, precision="float64")
    mean, covariance = moments(whole)
    assert np.abs(found.posterior.weights.params["coefficients"].ravel() - mean).max() < 1e-8
    with jax.enable_x64(True):
        weights = jax.tree.map(jax.numpy.asarray, found.posterior.weights)
        vector, unravel = trees.ravel(weights.params)
        data = jax.tree.map(jax.numpy.asarray, SECOND)

        def log_joint(vector):
            here = ps.Weights(unravel(vector), weights.state)
            return sum(going_on(first).log_joint(here, data)[:2])

        hessian = np.array(jax.hessian(log_joint)(vector))
    assert np.abs(np.linalg.inv(-hessian) - covariance).max() < 1e-8


@pytest.mark.slow
def test_samplers_and_the_bound_take_it(first, whole):
    mean, covariance = moments(whole)
    bound = ps.VI(family="full", steps=1500, estimator="sigma_points", average=0.2)
    found = ps.fit(KEY, going_on(first), SECOND, bound)
    sd = np.sqrt(np.diag(covariance))
    assert np.abs((found.posterior.mean.params["coefficients"].ravel() - mean) / sd).max() < 0.05
    drawn = ps.fit(KEY, going_on(first), SECOND, ps.HMC(warmup=200, draws=500))
    draws = drawn.posterior.draws.weights.params["coefficients"].reshape(-1, 6)
    assert drawn.verdict.status == "ok"
    assert np.abs((draws.mean(axis=0) - mean) / sd).max() < 5 / np.sqrt(400)
    spread = np.linalg.solve(np.linalg.cholesky(covariance), (draws - mean).T)
    assert np.abs(np.cov(spread) - np.eye(6)).max() < 5 * np.sqrt(2 / 400)


@pytest.mark.slow
def test_a_diagonal_posterior_is_a_prior_like_any_other():
    diagonal = ps.Laplace(structure="diagonal", at=POLISHED)
    before = ps.fit(KEY, LINEAR, FIRST, diagonal)
    model = going_on(before)
    assert isinstance(model.prior.root, DiagonalPrecision)
    after = ps.fit(KEY, model, SECOND, diagonal)
    design = np.column_stack([np.ones(24), X])
    rows = np.sum(design**2, axis=0)[:, None] / np.array([0.4, 0.7]) ** 2
    assert np.allclose(after.posterior.covariance.variance(), 1 / (0.5 + rows).ravel(), rtol=1e-9)
    params = before.posterior.mean.params
    terms = model.prior.terms(params)
    assert np.isclose(
        float(sum(jax.tree.leaves(terms))), float(model.prior.log_prob(params)), rtol=1e-5
    )


def test_it_is_written_to_model_files(first, tmp_path):
    found = ps.fit(KEY, going_on(first), SECOND, POLISHED, precision="float64")
    ps.save(found, tmp_path / "model.posterium")
    loaded = ps.load(tmp_path / "model.posterium")
    assert np.array_equal(loaded.model.prior.root.root, found.model.prior.root.root)
    assert loaded.model.prior.mean.keys() == {"coefficients"}


def test_correlated_weights_have_no_precision_each(first):
    prior = going_on(first).prior
    for asked in (prior.terms, prior.precision_of):
        with pytest.raises(ValueError, match="independent weights; those of this GaussianPrior"):
            asked(first.posterior.mean.params)


def test_another_network_is_refused(first):
    model = ps.Model(ps.Linear(ps.Polynomial(2), 2), first.posterior.as_prior(), NOISE)
    with pytest.raises(ValueError, match="expects a network with the weights that it is over"):
        ps.fit(KEY, model, SECOND, POLISHED)


@pytest.mark.parametrize("after", [ps.Laplace(at=POLISHED), ps.Laplace(at=POLISHED, batch_size=4)])
def test_laplace_after_two_goes_is_the_posterior_of_all_rows(first, whole, after):
    """And the evidence of both goes is that of all rows."""
    found = ps.fit(KEY, going_on(first), SECOND, after)
    for got, expected in zip(moments(found), moments(whole), strict=True):
        assert np.abs(got - expected).max() < 1e-8
    assert abs(first.log_evidence + found.log_evidence - whole.log_evidence) < 1e-7
    assert found.verdict.status == "ok"


@pytest.mark.slow
def test_a_noise_is_tuned_under_an_earlier_posterior(first):
    free = ps.Gaussian(ps.learn(np.array([1.0, 1.0])))
    method = ps.Evidence(ps.Laplace(at=POLISHED), rounds=10)
    newton = ps.fit(KEY, going_on(first, free), SECOND, method)
    fixed = ps.fit(KEY, going_on(first, free), SECOND, replace(method, by="fixed_point"))
    assert newton.verdict.status == "ok"
    assert np.allclose(
        newton.model.likelihood.scale.value, fixed.model.likelihood.scale.value, rtol=1e-3
    )


def test_other_structures_refuse_correlated_priors(first):
    with pytest.raises(ValueError, match=r"Laplace\(structure='full'\)"):
        ps.fit(KEY, going_on(first), SECOND, ps.Laplace(structure="kronecker", at=POLISHED))
