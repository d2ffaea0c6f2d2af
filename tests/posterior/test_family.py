"""Members of families as posteriors: draws, densities, weights as points, files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterium import save
from posterium.driver.fit import fit
from posterium.methods.vi import VI
from posterium.model.data import as_data
from posterium.model.likelihoods.gaussian import Gaussian
from posterium.model.model import Model
from posterium.model.network import MLP
from posterium.model.priors.normal import Normal
from posterium.numerics import trees
from posterium.numerics.covariances.dense import Full
from posterium.numerics.covariances.embedded import Embedded
from posterium.numerics.families.flow import Flow
from posterium.numerics.families.gaussian import FullRank, MeanField
from posterium.numerics.families.radial import Radial
from posterium.posterior.family import FamilyPosterior, random_shapes, random_vector
from posterium.posterior.posterior import GaussianPosterior
from posterium.posterior.predict import predict
from posterium.posterior.store import load

KEY = jax.random.key(0)
X = np.random.default_rng(1).normal(size=(9, 2))
NETWORK = MLP(hidden=(3,), activation="tanh")
PATHS = ("layers/0/bias", "layers/0/kernel", "layers/1/bias", "layers/1/kernel")
BIASES = (PATHS[0], PATHS[2])


def member(family, point=(), sd=0.3):
    weights = NETWORK.init(KEY, X)
    mean = random_vector(weights.params, point)
    raw = family.start(mean, jnp.asarray(sd), random_shapes(weights.params, point))
    return FamilyPosterior(weights, family, raw, point)


def test_without_points_the_vector_is_that_of_all_weights():
    q = member(MeanField())
    np.testing.assert_array_equal(trees.vector(q.mode().params), q.raw["mean"])
    np.testing.assert_array_equal(trees.vector(q.at(jnp.arange(13.0)).params), np.arange(13))


def test_points_stand_and_all_else_is_drawn():
    q = member(FullRank(), BIASES)
    assert tuple(trees.flatten(q.weights.params)) == PATHS
    draws = trees.flatten(q.sample(KEY, 500).weights.params)
    own = trees.flatten(q.weights.params)
    for path in PATHS:
        spread = np.asarray(draws[path]).std(axis=0)
        if path in BIASES:
            assert not np.ptp(draws[path], axis=0).any()
            np.testing.assert_array_equal(draws[path][0], own[path])
        else:
            np.testing.assert_allclose(spread, 0.3, rtol=0.2)


def test_a_draw_comes_with_its_log_density():
    q = member(Radial(), BIASES)
    weights, log_q = q.scored_draw(KEY, 3)
    again = q.draw(KEY, 3, 10).weights
    np.testing.assert_array_equal(trees.vector(weights.params), trees.vector(again.params))
    assert log_q == pytest.approx(float(q.log_prob(weights)), rel=1e-5)


def test_a_gaussian_member_settles_to_its_covariance_with_zeros_for_points():
    q = member(FullRank(), BIASES)
    scale = jnp.asarray(np.random.default_rng(2).normal(size=q.raw["scale"].shape) * 0.3)
    q = FamilyPosterior(q.weights, q.family, {**q.raw, "scale": scale}, BIASES)
    settled = q.settled()
    assert isinstance(settled, GaussianPosterior)
    covariance = settled.covariance.dense()
    free = np.concatenate([np.full(np.size(leaf), path not in BIASES) for path, leaf in
                           trees.flatten(q.weights.params).items()])  # fmt: skip
    assert not covariance[~free].any()
    np.testing.assert_allclose(
        covariance[np.ix_(free, free)], FullRank().covariance(q.raw).dense(), rtol=1e-6
    )
    draws = np.asarray(jax.vmap(trees.vector)(settled.sample(KEY, 4000).weights.params))
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.15 * covariance.max())
    assert not np.ptp(draws[:, ~free], axis=0).any()


def test_an_embedded_covariance_is_the_matrix_it_stands_for():
    factor = np.random.default_rng(3).normal(size=(3, 3)).astype(np.float32)
    operator = Embedded(Full(jnp.asarray(factor)), np.array([0, 2, 4]), 5)
    whole = np.zeros((5, 5), np.float32)
    whole[np.ix_([0, 2, 4], [0, 2, 4])] = factor @ factor.T
    jacobian = np.random.default_rng(4).normal(size=(2, 5)).astype(np.float32)
    np.testing.assert_allclose(operator.dense(), whole, rtol=1e-5)
    np.testing.assert_allclose(operator.variance(), np.diag(whole), rtol=1e-5)
    np.testing.assert_allclose(
        operator.quadratic(jacobian), jacobian @ whole @ jacobian.T, rtol=1e-4
    )
    root = np.asarray(jax.vmap(operator.sqrt)(jnp.eye(5))).T
    np.testing.assert_allclose(root @ root.T, whole, rtol=1e-4, atol=1e-6)
    assert operator.log_det() == -np.inf


@pytest.mark.parametrize("family", [Radial(), Flow(layers=2, hidden=3)])
def test_a_fit_of_another_family_is_saved_loaded_and_predicts_the_same(tmp_path, family):
    model = Model(NETWORK, Normal(), Gaussian(0.5))
    method = VI(family, steps=3, point=("*/bias",), assess=0)
    found = fit(KEY, model, as_data(X, X[:, 0]), method)
    assert isinstance(found.posterior, FamilyPosterior)
    assert found.posterior.point == BIASES
    save(found, tmp_path / "fit.posterium")
    loaded = load(tmp_path / "fit.posterium")
    one, other = (predict(KEY, f, X, draws=20).mean for f in (found, loaded))
    np.testing.assert_array_equal(one, other)
    assert f"of the family {family}" in repr(found)
    with pytest.raises(ValueError, match="needs a Gaussian posterior"):
        predict(KEY, found, X, how="linear")


def test_a_posterior_with_points_is_no_prior():
    with pytest.raises(ValueError, match="point estimate"):
        member(MeanField(), BIASES).settled().as_prior()
