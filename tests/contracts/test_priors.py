"""Every prior: its log density against SciPy, draws against its moments, its curvature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats
from tests.contracts.cases import PARAMS, PRIORS

import posterium
from posterium import Flat, HalfCauchy, HalfNormal, Normal, learn
from posterium.model import hyper

every = pytest.mark.parametrize("name", PRIORS)
SCALES = {"HalfNormal": stats.halfnorm, "HalfCauchy": stats.halfcauchy}
DRAWS = 20_000


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def numbers(prior):
    """Return the precision of every weight, by hand: bias, then kernel."""
    precision = hyper.value(prior.precision)
    if isinstance(precision, dict):
        layer = precision["layers"][0]
        return np.concatenate(
            [
                np.broadcast_to(layer[k], PARAMS["layers"][0][k].shape).ravel()
                for k in ("bias", "kernel")
            ]
        )
    fan = 2 if prior.scaling == "fan_in" else 1
    return float(precision) * np.array([1, 1, fan, fan, fan, fan])


def weights():
    return np.concatenate([PARAMS["layers"][0][k].ravel() for k in ("bias", "kernel")])


def test_every_public_prior_has_a_case():
    public = {n for n, home in posterium._HOME.items() if home == "model.prior" and n[0].isupper()}
    assert public <= {type(prior).__name__ for prior in PRIORS.values()} | set(SCALES)


@every
def test_its_log_density_is_scipys(name):
    prior = PRIORS[name]
    expected = (
        0.0
        if isinstance(prior, Flat)
        else stats.norm.logpdf(weights(), scale=numbers(prior) ** -0.5).sum()
    )
    assert abs(float(prior.log_prob(PARAMS)) - expected) < 1e-12
    terms = jax.tree.leaves(prior.terms(PARAMS))
    assert [np.shape(term) for term in terms] == [(), ()]
    assert abs(sum(map(float, terms)) - expected) < 1e-12


@every
def test_its_precision_is_minus_the_second_derivative(name):
    prior = PRIORS[name]
    vector, unravel = jax.flatten_util.ravel_pytree(PARAMS)
    hessian = jax.hessian(lambda v: prior.log_prob(unravel(v)))(vector)
    found = jax.flatten_util.ravel_pytree(prior.precision_of(PARAMS))[0]
    assert np.allclose(np.diag(hessian), -found, rtol=1e-12)
    assert np.allclose(hessian, np.diag(np.diag(hessian)), atol=1e-12)


@every
def test_its_draws_have_its_moments(name):
    prior = PRIORS[name]
    if isinstance(prior, Flat):
        with pytest.raises(ValueError, match="no draws because it is not a distribution"):
            prior.sample(jax.random.key(0), PARAMS)
        return
    keys = jax.random.split(jax.random.key(0), DRAWS)
    drawn = jax.vmap(lambda key: jax.flatten_util.ravel_pytree(prior.sample(key, PARAMS))[0])(keys)
    scaled = np.asarray(drawn) * np.sqrt(numbers(prior))
    assert np.abs(scaled.mean(0)).max() < 5 / np.sqrt(DRAWS)
    covariance = np.cov(scaled.T)
    assert np.abs(np.diag(covariance) - 1).max() < 5 * np.sqrt(2 / DRAWS)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 5 / np.sqrt(DRAWS)


def test_a_precision_of_zero_is_flat_and_adds_nothing():
    prior = Normal({"layers": [{"bias": 0.0, "kernel": 4.0}]}, "none")
    kernel = PARAMS["layers"][0]["kernel"]
    assert abs(float(prior.log_prob(PARAMS)) - stats.norm.logpdf(kernel, scale=0.5).sum()) < 1e-12
    slope = jax.grad(prior.log_prob)(PARAMS)
    assert not np.asarray(slope["layers"][0]["bias"]).any()


def test_fan_in_keeps_the_variance_of_a_layer_whatever_its_width():
    for width in (3, 300):
        precision = Normal(2.0).precision_of(
            {"kernel": jnp.zeros((width, 4)), "bias": jnp.zeros(4)}
        )
        assert (precision["kernel"] == 2 * width).all()
        assert (precision["bias"] == 2).all()


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("scale", [0.3, 2.0])
def test_a_prior_of_a_scale_is_scipys(name, scale):
    prior = {"HalfNormal": HalfNormal, "HalfCauchy": HalfCauchy}[name](scale)
    at = np.array([1e-3, 0.5, 4.0])
    assert np.allclose(prior.log_prob(at), SCALES[name].logpdf(at, scale=scale), rtol=1e-12)


@pytest.mark.parametrize("prior", [HalfNormal(0.7), HalfCauchy(0.7)])
@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_a_learned_scale_carries_the_jacobian_of_its_coordinate(prior, floor):
    scale = learn(1.0, floor=floor, prior=prior)

    def density(raw):
        return float(np.exp(hyper.fill(scale, (jnp.asarray(raw),)).log_prior()))

    total = integrate.quad(density, -30, 30, limit=200)[0]
    above = {HalfNormal: stats.halfnorm, HalfCauchy: stats.halfcauchy}[type(prior)].sf(
        floor, scale=0.7
    )
    assert abs(total - above) < 1e-6


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_a_learned_value_starts_above_its_floor(value):
    with pytest.raises(ValueError, match="finite and above its floor"):
        learn(value)


def test_free_coordinates_go_out_and_in_again():
    model = {"a": learn(2.0), "b": 3.0, "c": [learn(np.array([1.0, 4.0]), floor=0.5)]}
    moved = hyper.fill(model, tuple(raw + 1 for raw in hyper.free(model)))
    assert np.isclose(moved["a"].value, 2 * np.e)
    assert np.allclose(moved["c"][0].value, 0.5 + np.e * np.array([0.5, 3.5]))
    assert hyper.fix(model)["b"] == 3.0
    assert len(hyper.free(hyper.fix(model))) == 0
