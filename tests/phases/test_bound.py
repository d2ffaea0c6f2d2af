"""Estimators of the bound: one mean for all of them, and the variance that each promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from posterium._struct import replace
from posterium.model.data import as_data
from posterium.model.likelihoods.gaussian import Gaussian
from posterium.model.model import Model
from posterium.model.network import MLP, Functions
from posterium.model.priors.normal import Normal
from posterium.numerics import trees
from posterium.numerics.families.gaussian import FullRank, MeanField
from posterium.phases.bound import Bound, refuse_rows_together
from posterium.phases.objectives import BlackBoxAlpha, Renyi
from posterium.posterior.family import FamilyPosterior, random_shapes

RNG = np.random.default_rng(7)
X = RNG.normal(size=(12, 2))
Y = np.sin(X @ [1.0, -0.5]) + 0.2 * RNG.normal(size=12)
MODEL = Model(MLP(hidden=(4,), activation="tanh"), Normal(), Gaussian(0.4))
KEYS = 4000
INDEPENDENT = MeanField()


@pytest.fixture(scope="module", autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def member(family=INDEPENDENT, model=MODEL, x=X, sd=0.3):
    weights = trees.cast(model.network.init(jax.random.key(1), x), np.dtype(float))
    mean = trees.vector(weights.params)
    shapes = random_shapes(weights.params, ())
    return FamilyPosterior(weights, family, family.start(mean, jnp.asarray(sd), shapes))


def slopes(bound, parts, *, q=None, model=MODEL, keys=KEYS):
    """Return slopes of the bound in the coordinates for each key, (keys, q), summed over parts."""
    q = member(model=model) if q is None else q
    vector, unravel = trees.ravel(q.raw)

    def value(vector, key):
        here = replace(q, raw=unravel(vector))
        terms = (share * bound.value(key, here, model, part, 1.0)[0] for share, part in parts)
        return sum(terms)

    some = jax.random.split(jax.random.key(5), keys)
    return np.asarray(jax.jit(jax.vmap(jax.grad(value), in_axes=(None, 0)))(vector, some))


def data(x=X, y=Y):
    return trees.cast(as_data(x, y), np.dtype(float))


def whole():
    return [(1.0, data())]


def partition():
    """Three batches, the last one short, with the shares of their rows."""
    rows = np.append(np.random.default_rng(0).permutation(12), [-1, -2, -3]).reshape(3, 5)
    parts = [data().take(jnp.asarray(r)) for r in rows]
    return [(float(part.weight.sum()) / 12, part) for part in parts]


def errors(one, other):
    """Return the difference of two means in standard errors, (q,)."""
    spread = (np.var(draws, axis=0, ddof=1) / len(draws) for draws in (one, other))
    return (one.mean(axis=0) - other.mean(axis=0)) / np.sqrt(sum(spread))


@pytest.fixture(scope="module")
def shared():
    return slopes(Bound(), whole())


def worst(q):
    """Return the largest of so many standard normals that chance gives once in 10,000 times."""
    return norm.isf(0.5e-4 / q)


def test_local_slopes_have_the_mean_of_shared_ones_and_less_variance(shared):
    local = slopes(Bound(estimator="local"), whole())
    assert np.abs(errors(local, shared)).max() < worst(local.shape[1])
    assert local.var(axis=0).sum() < 0.6 * shared.var(axis=0).sum()


def test_flipout_slopes_have_the_mean_of_shared_ones_and_less_variance(shared):
    flipout = slopes(Bound(estimator="flipout"), whole())
    assert np.abs(errors(flipout, shared)).max() < worst(flipout.shape[1])
    assert flipout.var(axis=0).sum() < 0.9 * shared.var(axis=0).sum()


@pytest.mark.slow
def test_more_samples_divide_the_variance(shared):
    four = slopes(Bound(samples=4), whole(), keys=1000)
    assert four.var(axis=0).sum() == pytest.approx(shared.var(axis=0).sum() / 4, rel=0.15)


@pytest.mark.parametrize("estimator", ["local", pytest.param("flipout", marks=pytest.mark.slow)])
def test_row_wise_slopes_of_a_partition_have_the_mean_of_all_rows(shared, estimator):
    parts = slopes(Bound(estimator=estimator), partition(), keys=2000)
    assert np.abs(errors(parts, shared)).max() < worst(parts.shape[1])


@pytest.mark.parametrize(
    "bound",
    [
        pytest.param(Bound(estimator="sigma_points"), id="sigma points"),
        pytest.param(Bound(samples=2), id="shared", marks=pytest.mark.slow),
        pytest.param(Bound(BlackBoxAlpha(0.5), samples=2), id="alpha"),
    ],
)
def test_a_partition_with_fixed_noise_averages_to_all_rows(bound):
    parts, full = (slopes(bound, rows, keys=2) for rows in (partition(), whole()))
    np.testing.assert_allclose(parts, full, rtol=1e-10, atol=1e-10)


@pytest.mark.slow
def test_black_box_alpha_has_one_mean_under_shared_and_local_draws():
    bound = Bound(BlackBoxAlpha(1.0), samples=3)
    q, part = member(), data()
    keys = jax.random.split(jax.random.key(2), KEYS)

    def values(bound):
        return np.asarray(
            jax.jit(jax.vmap(lambda key: bound.value(key, q, MODEL, part, 1.0)[0]))(keys)
        )

    one, other = values(bound), values(replace(bound, estimator="local"))
    assert abs(errors(one[:, None], other[:, None]))[0] < 4.5


@pytest.mark.slow
@pytest.mark.parametrize("family", [MeanField(), FullRank()])
def test_sticking_the_landing_keeps_the_mean_of_slopes(family):
    q = member(family)
    sampled = slopes(Bound(closed=False), whole(), q=q)
    stuck = slopes(Bound(closed=False, stopped=True), whole(), q=q)
    counted = sampled.std(axis=0) > 0
    assert counted.sum() >= 34
    found = errors(stuck[:, counted], sampled[:, counted])
    assert np.abs(found).max() < worst(counted.sum())


def test_sticking_the_landing_leaves_no_noise_at_the_posterior():
    model = replace(MODEL, network=MLP(hidden=()))
    design = np.column_stack([np.ones(12), X])
    prior = np.diag([1.0, 2.0, 2.0])
    precision = design.T @ design / 0.4**2 + prior
    mean = np.linalg.solve(precision, design.T @ Y) / 0.4**2
    factor = np.linalg.cholesky(np.linalg.inv(precision))
    scale = np.tril(factor, -1) + np.diag(np.log(np.diag(factor)))
    raw = {"mean": jnp.asarray(mean), "scale": jnp.asarray(scale)}
    q = replace(member(FullRank(), model), raw=raw)
    found = {
        stopped: slopes(Bound(closed=False, stopped=stopped), whole(), q=q, model=model, keys=50)
        for stopped in (True, False)
    }
    assert np.abs(found[True]).max() < 1e-10
    assert found[False].std(axis=0).max() > 0.1
    np.testing.assert_allclose(found[False].mean(axis=0), 0, atol=5 * found[False].std() / 50**0.5)


def test_row_wise_estimators_refuse_a_network_that_sees_rows_together():
    together = Functions(
        lambda key, x: {"w": jax.random.normal(key, (x.shape[1], 1))},
        lambda params, x: (x - x.mean(axis=0, keepdims=True)) @ params["w"],
    )
    with pytest.raises(ValueError, match="does not depend on the others"):
        refuse_rows_together(together, X)
    refuse_rows_together(MODEL.network, X)


@pytest.mark.parametrize(
    ("bound", "family", "message"),
    [
        (Bound(estimator="local"), FullRank(), "expects independent weights"),
        (Bound(estimator="flipout"), FullRank(), "expects independent weights"),
        (Bound(Renyi(0.5)), MeanField(), "samples of at least 2"),
        (Bound(BlackBoxAlpha(0.5), "sigma_points", 4), MeanField(), "no sigma points"),
        (Bound(Renyi(0.5), "local", 4), MeanField(), "draws weights for each row"),
        (Bound(estimator="local", stopped=True), MeanField(), "draws weights for each row"),
        (Bound(Renyi(0.5), samples=4, stopped=True), MeanField(), "not for Renyi"),
        (Bound("evidence"), MeanField(), "objective must be 'elbo'"),
    ],
)
def test_an_estimator_that_does_not_suit_is_refused(bound, family, message):
    with pytest.raises(ValueError, match=message):
        bound.checked(family)
