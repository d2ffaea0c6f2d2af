import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from posterium import Gaussian, Linear, Model, Normal, Weights
from posterium._struct import replace
from posterium.numerics.covariances.dense import Diagonal, Full, from_precision
from posterium.posterior.posterior import Draw, GaussianPosterior, Mixture, Point, Samples

RNG = np.random.default_rng(4)
KEY = jax.random.key(5)
MEAN = RNG.normal(size=(2, 2))
WEIGHTS = Weights({"a": MEAN[0], "b": MEAN[1][:, None]})
FACTOR = RNG.normal(size=(4, 4))
OPERATORS = {"diagonal": Diagonal(np.array([0.1, 0.5, 1.0, 3.0])), "full": Full(FACTOR)}
DRAWS = 20_000
every = pytest.mark.parametrize("name", OPERATORS)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def flat(params):
    return np.concatenate([np.asarray(params["a"]), np.asarray(params["b"])[..., 0]], -1)


@every
def test_an_operator_is_its_dense_matrix(name):
    operator = OPERATORS[name]
    dense = np.asarray(operator.dense())
    jacobian = RNG.normal(size=(3, 4))
    root = np.stack([operator.sqrt(z) for z in jnp.eye(4)], 1)
    assert np.allclose(root @ root.T, dense, rtol=1e-12)
    assert np.allclose(operator.variance(), np.diag(dense), rtol=1e-12)
    assert np.allclose(operator.quadratic(jacobian), jacobian @ dense @ jacobian.T, rtol=1e-11)
    assert np.isclose(operator.log_det(), np.linalg.slogdet(dense)[1], rtol=1e-12)


def test_a_covariance_comes_from_its_inverse():
    precision = FACTOR @ FACTOR.T + np.eye(4)
    assert np.allclose(
        from_precision(jnp.asarray(precision)).dense(), np.linalg.inv(precision), rtol=1e-10
    )


@every
def test_draws_of_a_gaussian_have_its_mean_and_covariance(name):
    posterior = GaussianPosterior(WEIGHTS, OPERATORS[name])
    drawn = flat(posterior.sample(KEY, DRAWS).weights.params)
    covariance = np.asarray(OPERATORS[name].dense())
    sd = np.sqrt(np.diag(covariance))
    assert (np.abs(drawn.mean(0) - MEAN.ravel()) < 5 * sd / np.sqrt(DRAWS)).all()
    error = np.sqrt((covariance**2 + np.outer(sd, sd) ** 2) / DRAWS)
    assert (np.abs(np.cov(drawn.T) - covariance) < 5 * error).all()


@every
def test_the_density_of_a_gaussian_is_scipys(name):
    posterior = GaussianPosterior(WEIGHTS, OPERATORS[name])
    at = Weights(jax.tree.map(lambda leaf: leaf + 0.3, WEIGHTS.params))
    expected = stats.multivariate_normal.logpdf(
        flat(at.params), MEAN.ravel(), np.asarray(OPERATORS[name].dense())
    )
    assert np.isclose(posterior.log_prob(at), expected, rtol=1e-10)


def test_a_draw_depends_on_key_and_number_and_not_on_the_count():
    posterior = GaussianPosterior(WEIGHTS, OPERATORS["full"])
    few, many = (flat(posterior.sample(KEY, count).weights.params) for count in (3, 10))
    assert np.allclose(few, many[:3], rtol=1e-12)
    assert len(np.unique(many[:, 0])) == 10


def test_a_point_is_drawn_again_and_again():
    drawn = Point(WEIGHTS).sample(KEY, 3)
    assert np.array_equal(flat(drawn.weights.params), np.tile(MEAN.ravel(), (3, 1)))
    assert Point(WEIGHTS).default_draws() == 1


@pytest.mark.parametrize(("chains", "kept"), [(1, 5), (4, 5), (4, 600), (4, 1000), (3, 700)])
def test_samples_are_each_used_once_by_default(chains, kept):
    values = np.arange(float(chains * kept)).reshape(chains, kept)
    posterior = Samples(Draw(Weights({"at": values})))
    count = posterior.default_draws()
    assert count == min(chains * kept, 1000)
    drawn = np.asarray(posterior.sample(KEY, count).weights.params["at"])
    assert len(set(drawn.tolist())) == count
    shares = np.bincount((drawn // kept).astype(int), minlength=chains)
    assert np.ptp(shares) <= 1
    assert drawn[-1] % kept >= 0.99 * kept - 2


def test_a_mixture_gives_its_members_with_their_models():
    many = jax.tree.map(lambda leaf: np.stack([leaf, leaf + 1]), WEIGHTS)
    models = Model(Linear(), Normal(np.ones(2)), Gaussian(np.array([0.1, 0.2])))
    mixture = Mixture(Point(many), models)
    assert mixture.size() == 2
    posterior, model = mixture.member(1)
    assert np.array_equal(flat(posterior.mode().params), MEAN.ravel() + 1)
    assert model.likelihood.scale == 0.2
    assert mixture.default_draws() == 2


def test_a_gaussian_without_curvature_says_where_the_evidence_is():
    posterior = GaussianPosterior(WEIGHTS, OPERATORS["full"])
    with pytest.raises(ValueError, match=r"Use fit.info\['log_evidence'\], or fit again"):
        posterior.log_evidence(Model(Linear(), Normal(), Gaussian(1.0)))
    assert replace(posterior, how="linear").how == "linear"
