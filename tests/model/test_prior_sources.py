"""Priors from elsewhere: an earlier fit, weights trained before, distributions of others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.contracts.prior_cases import OwnLogistic

import posterium as ps
from posterium.model.priors.recognise import EachWeight

KEY = jax.random.key(6)
NETWORK = ps.MLP(1, (10,), "tanh")
NOISE = ps.Gaussian(0.1)
RNG = np.random.default_rng(8)


def task(*parts):
    x = np.concatenate([RNG.uniform(*ends, (40, 1)) for ends in parts])
    return ps.as_data(x, np.sin(2 * x) + 0.1 * RNG.normal(size=x.shape))


BEFORE, AFTER = ((-2, -1), (0, 1)), ((-1, 0), (1, 2))
"""Where the rows of the first task are, and those of the second."""
FIRST, SECOND = task(*BEFORE), task(*AFTER)
TRAIN = ps.MAP(steps=2000, polish="lbfgs")


def error(fit, parts):
    """Return the root mean square error over some intervals."""
    grid = np.concatenate([np.linspace(*ends, 64) for ends in parts])[:, None]
    return float(np.sqrt(np.mean((ps.predict(KEY, fit, grid).mean - np.sin(2 * grid)) ** 2)))


@pytest.fixture(scope="module")
def first():
    model = ps.Model(NETWORK, ps.Normal(), NOISE)
    return ps.fit(KEY, model, FIRST, ps.Laplace(at=TRAIN))


@pytest.mark.slow
def test_a_fit_as_the_prior_of_the_next_remembers_the_first_task(first):
    on = ps.fit(KEY, ps.Model(NETWORK, first, NOISE), SECOND, TRAIN, start=first.posterior)
    forgetful = ps.Model(NETWORK, ps.Normal(), NOISE)
    off = ps.fit(KEY, forgetful, SECOND, TRAIN, start=first.posterior)
    assert error(on, AFTER) < 0.1 < error(first, AFTER) / 3
    assert error(on, BEFORE) < error(off, BEFORE) / 3


@pytest.mark.slow
def test_a_model_and_an_estimator_take_a_fit_for_a_prior():
    model = ps.Model(NETWORK, ps.Normal(), NOISE)
    first = ps.fit(KEY, model, FIRST, ps.VI(steps=5))
    assert isinstance(ps.Model(NETWORK, first, NOISE).prior, ps.GaussianPrior)
    estimator = ps.BayesianRegressor(
        method=ps.MAP(steps=5),
        network=NETWORK,
        prior=first,
        likelihood=NOISE,
        standardise=False,
    )
    x, y = SECOND.x, SECOND.y[:, 0]
    assert isinstance(estimator.fit(x, y).fit_.model.prior, ps.GaussianPrior)


def test_a_fit_without_a_density_is_refused_with_what_to_write():
    model = ps.Model(NETWORK, ps.Normal(), NOISE)
    point = ps.fit(KEY, model, FIRST, ps.MAP(steps=5))
    with pytest.raises(ValueError, match=r"that of MAP is Point.*Centred\(Normal\(100.0\), at=fit"):
        ps.Model(NETWORK, point, NOISE)
    near = ps.Model(NETWORK, ps.Centred(ps.Normal(100.0), at=point), NOISE)
    assert ps.fit(KEY, near, SECOND, ps.MAP(steps=5)).verdict.status == "ok"


def test_an_object_of_ones_own_is_the_prior_of_each_weight_and_is_given_again(tmp_path):
    model = ps.Model(NETWORK, OwnLogistic(), NOISE)
    assert isinstance(model.prior, EachWeight)
    found = ps.fit(KEY, model, FIRST, ps.MAP(steps=5))
    assert "EachWeight(OwnLogistic())" in repr(found)
    ps.save(found, tmp_path / "own.posterium")
    with pytest.raises(ValueError, match=r"prior=OwnLogistic\(\.\.\.\)"):
        ps.load(tmp_path / "own.posterium")
    again = ps.load(tmp_path / "own.posterium", prior=OwnLogistic())
    assert isinstance(again.model.prior, EachWeight)


@pytest.mark.slow
def test_numpyros_distributions_are_priors_of_each_weight(tmp_path):
    distributions = pytest.importorskip("numpyro.distributions")
    given = distributions.StudentT(4.0, 0.0, 0.5)
    model = ps.Model(NETWORK, given, NOISE)
    params = NETWORK.init(KEY, jnp.zeros((1, 1))).params
    ours = ps.StudentTPrior(4.0, 0.5, "none")
    assert np.isclose(model.prior.log_prob(params), ours.log_prob(params), rtol=1e-5)
    found = ps.fit(KEY, model, FIRST, ps.MAP(steps=5))
    ps.save(found, tmp_path / "numpyro.posterium")
    again = ps.load(tmp_path / "numpyro.posterium", prior=given)
    assert np.isclose(again.model.prior.log_prob(params), ours.log_prob(params), rtol=1e-5)
    assert not ps.Model(NETWORK, distributions.Laplace(0.0, 1.0), NOISE).prior.smooth


class OnlyPositive(OwnLogistic):
    @staticmethod
    def support(w):
        return w > 0


class OverVectors(OwnLogistic):
    event_shape = (3,)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (OnlyPositive(), "whole real line; OnlyPositive is not"),
        (OverVectors(), r"event_shape \(3,\)"),
    ],
)
def test_a_distribution_that_is_not_over_one_weight_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        ps.Model(NETWORK, given, NOISE)
