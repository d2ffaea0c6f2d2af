"""Masks of dropout: their law against closed forms, and what shares one."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from posterium import MLP, Weights, learn
from posterium._struct import replace
from posterium.model import masks

KEY = jax.random.key(5)
RNG = np.random.default_rng(8)
X = RNG.normal(size=(4, 6)).astype(np.float32)
MANY = 100_000
ERRORS = 4


def started(network, x=X):
    """Return weights of a network whose last layer is not small."""
    weights = network.init(KEY, x)
    return replace(weights, params=jax.tree.map(lambda leaf: leaf + 0.3, weights.params))


@partial(jax.jit, static_argnames="train")
def applied(network, weights, x, train=False):
    return network.apply(weights, x, train=train)


def drawn(network, count, x=X, weights=None):
    """Return outputs under many keys, (s, n, k)."""
    weights = started(network) if weights is None else weights

    def one(i):
        return network.apply(replace(weights, key=jax.random.fold_in(KEY, i)), x)[0]

    return np.asarray(jax.jit(jax.vmap(one))(jnp.arange(count)), float)


@pytest.mark.parametrize("rate", [0.5, 0.1])
def test_a_linear_layer_has_the_mean_and_the_variance_of_its_masks(rate):
    """Var f = p / (1 - p) sum of w^2 x^2, and E f = w x: 100,000 masks against both."""
    network = MLP(hidden=(), bias=False, input_dropout=rate)
    weights = started(network)
    f = drawn(network, MANY)[:, :, 0]
    terms = X * np.asarray(weights.params["layers"][0]["kernel"])[:, 0]
    variance = rate / (1 - rate) * np.sum(terms**2, axis=1)
    assert np.all(np.abs(f.mean(0) - terms.sum(1)) < ERRORS * np.sqrt(variance / MANY))
    squared = (f - terms.sum(1)) ** 2
    error = squared.std(0) / np.sqrt(MANY)
    assert np.all(np.abs(squared.mean(0) - variance) < ERRORS * error)


def test_a_rate_of_0_changes_nothing_at_all():
    network = MLP(hidden=(5,), dropout=0.0, input_dropout=0.0)
    weights, f = started(network), drawn(network, 50)
    assert np.ptp(f, axis=0).max() == 0
    np.testing.assert_allclose(f[0], applied(network, weights, X)[0], rtol=1e-6)


def test_a_draw_is_one_function_and_draws_differ():
    network = MLP(hidden=(20,), activation="tanh", dropout=0.5)
    f = drawn(network, 30, np.concatenate([X, X[::-1]]))
    np.testing.assert_allclose(f[:, :4], f[:, :3:-1], rtol=1e-5)
    assert len(np.unique(f[:, 0, 0])) == 30


def test_units_are_dropped_apart_and_alike_in_both_layouts():
    """A unit a column: each of the two outcomes as often as its rate, independently."""
    network = MLP(outputs=3, hidden=(3,), bias=False, dropout=0.25)
    eye = jnp.eye(3)
    weights = Weights({"layers": [{"kernel": eye}, {"kernel": eye}]})
    f = drawn(network, MANY, np.ones((1, 3), np.float32), weights)[:, 0]
    codes = (f > 0) @ [1, 2, 4]
    chance = [
        0.25 ** (3 - bin(code).count("1")) * 0.75 ** bin(code).count("1") for code in range(8)
    ]
    found = np.bincount(codes, minlength=8)
    assert stats.chisquare(found, MANY * np.array(chance)).pvalue > 1e-4
    turned = drawn(network, 20, np.ones((70, 3), np.float32), weights)
    np.testing.assert_allclose(turned[:, 5], f[:20])


def test_in_training_each_row_has_a_mask_of_its_own():
    network = MLP(hidden=(40,), activation="tanh", dropout=0.5)
    same = np.repeat(X[:1], 70, axis=0)
    weights = replace(started(network), key=KEY)
    apart, together = (applied(network, weights, same, train=train)[0] for train in (True, False))
    assert len(np.unique(apart)) == 70
    assert np.ptp(together) < 1e-5


@pytest.mark.slow
def test_rates_are_one_a_layer():
    network = MLP(hidden=(8, 8), dropout=np.array([0.0, 0.5]))
    first, second = (MLP(hidden=(8, 8), dropout=np.array(r)) for r in ([0.5, 0.0], [0.0, 0.0]))
    spreads = [drawn(n, 200, weights=started(network)).std(0).max() for n in (network, first)]
    assert min(spreads) > 0
    assert spreads[0] != spreads[1]
    assert drawn(second, 20).std(0).max() == 0


def test_rows_with_masks_of_their_own_have_them_alone_and_in_company():
    network = masks.RowMasks(MLP(hidden=(30,), activation="tanh", dropout=0.5))
    weights = started(network)
    rows = np.repeat(X[:1], 3, axis=0)
    rows[2, 0] = np.nextafter(rows[0, 0], np.float32(9))
    f = drawn(network, 4000, rows, weights)
    np.testing.assert_allclose(f[:, 1:2], drawn(network, 4000, rows[1:2], weights), rtol=1e-5)
    np.testing.assert_allclose(f[:, 0], f[:, 1], rtol=1e-5)
    assert abs(np.corrcoef(f[:, 0, 0], f[:, 2, 0])[0, 1]) < ERRORS / np.sqrt(4000)


def test_without_a_key_or_in_training_row_masks_are_the_network_inside():
    inner = MLP(hidden=(5,), dropout=0.5)
    network, weights = masks.RowMasks(inner), started(inner)
    for given, train in ((weights, False), (replace(weights, key=KEY), True)):
        one, other = (applied(net, given, X, train=train)[0] for net in (network, inner))
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_relaxed_masks_are_near_hard_ones_and_their_slope_is_that_of_their_mean(rate):
    """P(relaxed > 1/2) is the rate kept; the mean slope is the slope of the mean, by quadrature."""

    def kept(rate, key):
        return masks.relaxed(key, rate, ()) * (1 - rate)

    keys = jax.random.split(KEY, 20_000)
    found, slope = jax.jit(jax.vmap(jax.value_and_grad(kept), (None, 0)))(rate, keys)
    share = np.mean(np.asarray(found) > 0.5)
    assert abs(share - (1 - rate)) < ERRORS * np.sqrt(rate * (1 - rate) / len(keys))
    u = (np.arange(200_000) + 0.5) / 200_000

    def mean(rate):
        odds = np.log((1 - rate) / rate) + np.log(u / (1 - u))
        return np.mean(1 / (1 + np.exp(-odds / masks.TEMPERATURE)))

    expected = (mean(rate + 1e-4) - mean(rate - 1e-4)) / 2e-4
    error = np.std(slope) / np.sqrt(len(keys))
    assert abs(np.mean(slope) - expected) < ERRORS * error


def test_the_entropy_is_that_of_a_coin():
    rates = np.array([0.0, 0.1, 0.5, 0.9])
    expected = [stats.bernoulli(rate).entropy() for rate in rates]
    np.testing.assert_allclose(masks.entropy(rates), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"dropout": 1.0}, "from 0 to below 1"),
        ({"input_dropout": -0.1}, "from 0 to below 1"),
        ({"dropout": np.array([0.1, np.nan])}, "from 0 to below 1"),
        ({"dropout": learn(0.1)}, "without a ceiling"),
    ],
)
def test_a_rate_that_is_none_is_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        MLP(**settings)


def test_rates_for_other_layers_are_refused():
    network = MLP(hidden=(5,), dropout=np.array([0.1, 0.2]))
    with pytest.raises(ValueError, match="one a hidden layer, 1; got 2"):
        network.apply(network.init(KEY, X), X)
