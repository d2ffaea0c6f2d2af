"""Every prior: its log density against SciPy, its draws against that law, its curvature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats
from tests.contracts.prior_cases import PARAMS, PRIORS, SCALES

import posterium
from posterium import Flat, Normal, learn
from posterium.model import hyper
from posterium.numerics import trees
from posterium.posterior.decode import decode
from posterium.posterior.encode import encode

LONG = {"Normal, learned", "Normal, a number a leaf", "StudentTPrior"}
"""Whose draws take seconds to compile, or are those of another case."""
every = pytest.mark.parametrize("name", PRIORS)
scales = pytest.mark.parametrize("name", SCALES)
DRAWS = 20_000
RARE = 1e-5
"""Probability of a false alarm of a test of draws."""


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def expected(case):
    """Return the log density of each weight by SciPy, bias first."""
    weights = np.asarray(trees.vector(PARAMS))
    laws = case.laws or ()
    return np.array([law.logpdf(w) for law, w in zip(laws, weights, strict=bool(laws))])


def test_every_public_prior_has_a_case():
    homes = {n: home for n, home in posterium._HOME.items() if home.startswith("model.priors.")}
    public = {n for n in homes if n[0].isupper()} - {"Independent"}
    assert public == {type(case.prior).__name__ for case in PRIORS.values()} | set(SCALES)


@every
def test_its_log_density_is_scipys_and_its_terms_add_up_to_it(name):
    case = PRIORS[name]
    assert abs(float(case.prior.log_prob(PARAMS)) - expected(case).sum()) < 1e-9
    found = trees.flatten(case.prior.terms(PARAMS))
    assert [np.shape(term) for term in found.values()] == [(), ()]
    bias, kernel = expected(case)[:2].sum(), expected(case)[2:].sum()
    assert abs(float(found["layers/0/bias"]) - bias) < 1e-9
    assert abs(float(found["layers/0/kernel"]) - kernel) < 1e-9


@every
def test_its_precision_is_minus_the_second_derivative_or_refused(name):
    case = PRIORS[name]
    if not case.smooth:
        with pytest.raises(ValueError, match="Expected a prior with a curvature"):
            case.prior.precision_of(PARAMS)
        return
    vector, unravel = trees.ravel(PARAMS)
    hessian = np.asarray(jax.jit(jax.hessian(lambda v: case.prior.log_prob(unravel(v))))(vector))
    found = trees.vector(case.prior.precision_of(PARAMS))
    assert np.allclose(np.diag(hessian), -found, rtol=1e-10)
    assert np.allclose(hessian, np.diag(np.diag(hessian)), atol=1e-12)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in LONG else []) for n in PRIORS]
)
def test_its_draws_follow_its_law_and_are_independent(name):
    case = PRIORS[name]
    if isinstance(case.prior, Flat):
        with pytest.raises(ValueError, match="no draws because it is not a distribution"):
            case.prior.sample(jax.random.key(0), PARAMS)
        return
    keys = jax.random.split(jax.random.key(0), DRAWS)
    drawn = np.asarray(jax.vmap(lambda key: trees.vector(case.prior.sample(key, PARAMS)))(keys))
    levels = np.stack([law.cdf(w) for law, w in zip(case.laws, drawn.T, strict=True)])
    assert min(stats.kstest(level, "uniform").pvalue for level in levels) > RARE
    scores = stats.norm.ppf(np.clip(levels, 1e-9, 1 - 1e-9))
    correlation = np.corrcoef(scores) - np.eye(6)
    assert np.abs(correlation).max() < 5 / np.sqrt(DRAWS)


@every
def test_its_slope_is_finite_in_float32_from_0_to_10000(name):
    prior = PRIORS[name].prior
    if name in ("Centred", "GaussianPrior"):
        pytest.skip("over weights of one shape")
    at = np.concatenate([[0.0], np.logspace(-30, 4, 60)]).astype(np.float32)
    params = {"layers": [{"bias": at, "kernel": np.outer(at, [1, -1]).astype(np.float32)}]}
    if name == "Normal, a number a weight":
        prior = Normal(3.0)
    with jax.enable_x64(False):
        density = jax.jit(lambda p: trees.cast(prior, jnp.float32).log_prob(p))
        value, slope = jax.value_and_grad(density)(params)
        assert value.dtype == jnp.float32
        assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves((value, slope)))


@every
def test_it_goes_to_a_file_and_back(name):
    prior = PRIORS[name].prior
    if name == "EachWeight":
        pytest.skip("holds an object that no file can")
    again = decode(*encode(prior))
    assert repr(again) == repr(prior)
    assert np.array_equal(again.log_prob(PARAMS), prior.log_prob(PARAMS))


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


@scales
def test_a_prior_of_a_scale_is_scipys(name):
    prior, law = SCALES[name]
    at = np.array([1e-3, 0.5, 4.0])
    assert np.allclose(prior.log_prob(at), law.logpdf(at), rtol=1e-12)
    drawn = np.asarray(prior.sample(jax.random.key(0), (DRAWS,)))
    assert stats.kstest(drawn, law.cdf).pvalue > RARE


@scales
@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_a_learned_scale_carries_the_jacobian_of_its_coordinate(name, floor):
    prior, law = SCALES[name]
    scale = learn(1.0, floor=floor, prior=prior)

    def density(raw):
        return float(np.exp(hyper.fill(scale, (jnp.asarray(raw),)).log_prior()))

    total = integrate.quad(density, -30, 30, limit=200)[0]
    assert abs(total - law.sf(floor)) < 1e-6


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
