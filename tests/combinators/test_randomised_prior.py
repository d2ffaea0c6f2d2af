import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.contracts.cases import DATA, DESIGN, KEY, LINEAR, NOISE, PRECISION, X, Y, exact_moments
from tests.contracts.test_methods import fitted

from posterium import (
    MAP,
    MLP,
    Bernoulli,
    Bootstrap,
    ByPath,
    Centred,
    Ensemble,
    Flat,
    Gamma,
    Gaussian,
    Independent,
    Laplace,
    LaplaceNoise,
    Model,
    Normal,
    Poisson,
    Quantile,
    RandomisedPrior,
    Stream,
    StudentT,
    Subset,
    as_data,
    fit,
    learn,
)
from posterium._struct import replace, struct
from posterium.combinators.randomised_prior import Anchoring, _is_additive
from posterium.model.priors.composed import centre

POLISHED = MAP(steps=1, polish="newton")
NETWORK = MLP(hidden=(4,), activation="tanh")


def modes(found):
    return found.posterior.parts.weights.params["coefficients"][..., 0]


def has_the_law_of_the_posterior(drawn, mean, matrix):
    """Hold draws (s, p) against a Gaussian: means, variances and products in its axes, 5 errors."""
    z = (drawn - mean) @ np.linalg.cholesky(matrix)
    count, products = len(z), z.T @ z / len(z)
    assert np.abs(z.mean(axis=0)).max() < 5 / count**0.5
    assert np.abs(np.diag(products) - 1).max() < 5 * (2 / count) ** 0.5
    off = products[~np.eye(len(products), dtype=bool)]
    assert np.abs(off).max() < 5 / count**0.5


@pytest.mark.slow
def test_members_of_a_linear_gaussian_model_are_draws_from_its_posterior():
    found = fitted("randomised prior")
    has_the_law_of_the_posterior(modes(found), *exact_moments())
    assert found.model.prior.precision == PRECISION


@pytest.mark.slow
def test_so_are_two_thousand():
    method = Ensemble(RandomisedPrior(POLISHED), 2000)
    found = fit(KEY, LINEAR, DATA, method, precision="float64")
    has_the_law_of_the_posterior(modes(found), *exact_moments())


@pytest.mark.slow
def test_an_informative_correlated_prior_is_drawn_around_its_own_centre():
    mean, matrix = exact_moments()
    first = fit(KEY, LINEAR, DATA, Laplace(at=POLISHED))
    again = Model(first.model.network, first.posterior.as_prior(), Gaussian(NOISE))
    found = fit(KEY, again, DATA, Ensemble(RandomisedPrior(POLISHED), 300), precision="float64")
    both = matrix + DESIGN.T @ DESIGN / NOISE**2
    solved = np.linalg.solve(both, matrix @ mean + DESIGN.T @ Y / NOISE**2)
    has_the_law_of_the_posterior(modes(found), solved, both)


@pytest.mark.slow
def test_without_targets_of_their_own_members_agree_more():
    method = Ensemble(RandomisedPrior(POLISHED, targets=False), 200)
    found = fit(KEY, LINEAR, DATA, method, precision="float64")
    _, matrix = exact_moments()
    # The mode moves by S times the prior's precision times the anchor.
    cover = PRECISION * np.linalg.inv(matrix) @ np.linalg.inv(matrix)
    has_the_law_of_the_posterior(modes(found), exact_moments()[0], np.linalg.inv(cover))


@pytest.mark.slow
def test_a_step_of_a_batch_sees_the_targets_and_the_prior_of_its_member():
    data = jax.tree.map(jnp.asarray, DATA)
    by = Anchoring()
    anchor = by.draw(KEY, LINEAR, data)
    rows = jnp.array([3, 0, -8])
    part = by.data(anchor, data.take(rows), jnp.array([3, 0, 7]))
    assert np.array_equal(part.y, (data.y + anchor.noise)[jnp.array([3, 0, 7])])
    params = {"coefficients": jnp.ones((3, 1))}
    shifted = jax.tree.map(jnp.subtract, params, anchor.offset)
    there = by.model(anchor, LINEAR).prior.log_prob(params)
    assert np.isclose(there, LINEAR.prior.log_prob(shifted))


def test_the_noise_added_has_the_law_of_the_likelihood():
    data = jax.tree.map(jnp.asarray, as_data(np.zeros((4000, 2)), np.zeros(4000)))
    noise = np.asarray(Anchoring().draw(KEY, LINEAR, data).noise)
    assert abs(noise.mean()) < 5 * NOISE / 4000**0.5
    assert abs(noise.var() / NOISE**2 - 1) < 5 * (2 / 4000) ** 0.5


@pytest.mark.slow
def test_it_goes_with_a_bootstrap_and_with_early_stopping():
    classes = Model(NETWORK, Normal(), Bernoulli())
    data = as_data(X, (Y > 0).astype(int))
    member = MAP(steps=30, validation=0.2, batch_size=5)
    method = Ensemble(RandomisedPrior(Bootstrap(member), targets=False), 2)
    found = fit(KEY, classes, data, method)
    assert found.verdict.status == "ok", str(found.verdict)
    assert found.posterior.models.prior.precision.shape == (2,)


def test_the_centre_of_a_prior_made_of_priors_is_that_of_its_parts():
    like = {"a": np.zeros(2), "b": np.zeros(1)}
    at = {"a": np.array([1.0, 2.0])}
    prior = ByPath({"a": Centred(Normal(), at=at), "*": Normal()})
    found = centre(Centred(prior, at={"a": np.ones(2), "b": np.ones(1)}), like)
    assert np.array_equal(found["a"], [2.0, 3.0])
    assert np.array_equal(found["b"], [1.0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("likelihood", "is_additive"),
    [(Gaussian(0.3), True), (StudentT(0.3, 4.0), True), (LaplaceNoise(0.3), True),
     (Quantile(0.2, 0.3), False), (Poisson(2.0), False), (Bernoulli(), False)],
)  # fmt: skip
def test_noise_is_added_where_it_is_alike_at_every_output_and_on_both_sides(
    likelihood, is_additive
):
    assert _is_additive(likelihood, (1,)) == is_additive


@struct
class Lopsided(Independent):
    """A Gumbel density."""

    def log_density(self, w):
        return -w - jnp.exp(-w)

    def draw(self, key, shape, dtype):
        return jax.random.gumbel(key, shape, dtype)


REFUSED = {
    "a stream": (LINEAR, Stream(lambda: iter([(X, Y[:, None])]), len(X), 5), POLISHED, "in memory"),
    "an ensemble": (LINEAR, DATA, Ensemble(POLISHED, 2), r"Use Ensemble\(RandomisedPrior"),
    "a learned noise": (
        replace(LINEAR, likelihood=Gaussian(learn(0.5))), DATA, POLISHED, "targets=False",
    ),
    "classes": (
        replace(LINEAR, likelihood=Bernoulli()), as_data(X, (Y > 0).astype(int)), POLISHED,
        "rows of their own",
    ),
    "a flat prior": (replace(LINEAR, prior=Flat()), DATA, POLISHED, "no draws"),
    "a precision of 0": (
        replace(LINEAR, prior=Normal({"coefficients": 0.0}, "none")), DATA, POLISHED, "is flat",
    ),
    "a free prior": (
        replace(LINEAR, prior=Normal(learn(1.0, prior=Gamma(2.0, 1.0)), "none")), DATA, POLISHED,
        "a prior that is known",
    ),
    "a prior with a side": (replace(LINEAR, prior=Lopsided()), DATA, POLISHED, "both sides"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_cannot_do_is_refused_with_a_way_out(name):
    model, data, method, said = REFUSED[name]
    with pytest.raises(ValueError, match=said):
        fit(KEY, model, data, RandomisedPrior(method))


@pytest.mark.slow
def test_a_method_that_takes_another_prior_is_refused():
    inside = Subset(MAP(steps=2), "coefficients", rest=MAP(steps=2))
    with pytest.raises(ValueError, match="further in, as in Subset"):
        fit(KEY, LINEAR, DATA, RandomisedPrior(inside))


@pytest.mark.slow
def test_a_prior_around_given_weights_is_taken():
    at = {"coefficients": np.full((3, 1), 50.0, np.float32)}
    model = replace(LINEAR, prior=Centred(Normal(1.0, "none"), at=at))
    anchor = Anchoring().draw(KEY, model, jax.tree.map(jnp.asarray, DATA))
    assert np.abs(anchor.offset["coefficients"]).max() < 6
    found = fit(KEY, model, DATA, RandomisedPrior(MAP(steps=1)))
    assert np.array_equal(found.model.prior.at["coefficients"], at["coefficients"])
