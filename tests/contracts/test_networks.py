"""Every network: rows do not see each other, value equality, and any batch shape."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.contracts.cases import KEY, NETWORKS, X

import posterium
from posterium import MLP, Fourier, Linear, Polynomial
from posterium.numerics import trees

every = pytest.mark.parametrize("name", NETWORKS)
FEATURES = ("Affine", "Polynomial", "Fourier")


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def weights_of(network):
    """Return weights that are not where the network starts: some start at 0."""
    weights = network.init(KEY, X)
    leaves, structure = jax.tree.flatten(weights.params)
    keys = jax.random.split(KEY, len(leaves))
    moved = [leaf + jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    return posterium.Weights(jax.tree.unflatten(structure, moved), weights.state)


def test_every_public_network_has_a_case():
    homes = ("model.network", "model.features")
    public = {n for n, home in posterium._HOME.items() if home in homes} - set(FEATURES)
    assert public <= {type(network).__name__ for network in NETWORKS.values()}


@every
def test_outputs_are_one_row_a_row(name):
    network = NETWORKS[name]
    f, _ = network.apply(weights_of(network), X)
    assert f.ndim == 2
    assert f.shape[0] == len(X)
    assert np.asarray(f).std(0).min() > 0


@every
def test_a_row_does_not_see_the_others(name):
    network = NETWORKS[name]
    weights = weights_of(network)
    together = network.apply(weights, X)[0]
    alone = np.concatenate([network.apply(weights, X[i : i + 1])[0] for i in range(len(X))])
    assert np.allclose(alone, together, rtol=1e-12, atol=1e-14)


@every
def test_the_same_key_starts_alike_and_another_otherwise(name):
    network = NETWORKS[name]
    one, again, other = (network.init(jax.random.key(i), X) for i in (1, 1, 2))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), one, again))
    if type(network) is not Linear:
        assert not np.array_equal(trees.vector(one.params), trees.vector(other.params))


@every
def test_the_start_does_not_depend_on_the_rows(name):
    network = NETWORKS[name]
    one, other = network.init(KEY, X), network.init(KEY, 5 + X[:3])
    assert np.array_equal(trees.vector(one), trees.vector(other))


@every
def test_it_is_equal_by_value(name):
    network = NETWORKS[name]
    twin = jax.tree.unflatten(jax.tree.structure(network), jax.tree.leaves(network))
    assert twin == network
    assert jax.tree.structure(twin) == jax.tree.structure(network)


@every
def test_it_has_gradients_under_vmap(name):
    network = NETWORKS[name]
    stacked = jax.vmap(lambda k: network.init(k, X))(jax.random.split(KEY, 2))
    slope = jax.vmap(
        jax.grad(lambda p, w: network.apply(posterium.Weights(p, w.state), X)[0].sum())
    )(stacked.params, stacked)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


def test_an_mlp_is_that_by_hand():
    network = MLP(2, (3, 3), "tanh", residual=True)
    weights = weights_of(network)
    first, second, last = (jax.tree.map(np.asarray, layer) for layer in weights.params["layers"])
    hidden = np.tanh(X @ first["kernel"] + first["bias"])
    hidden = np.tanh(hidden @ second["kernel"] + second["bias"]) + hidden
    expected = hidden @ last["kernel"] + last["bias"]
    assert np.allclose(network.apply(weights, X)[0], expected, rtol=1e-12)


def test_layer_norm_makes_every_row_of_sums_standard():
    network = MLP(1, (4,), "gelu", layer_norm=True)
    layer = network.init(KEY, X).params["layers"][0]
    sums = network._affine(layer, jnp.asarray(X), turned=False)
    assert np.abs(sums.mean(1)).max() < 1e-12
    assert np.allclose(np.asarray(sums).std(1), 1, atol=1e-3)


@pytest.mark.parametrize(
    "settings",
    [
        {"activation": "step"}, {"hidden": (0,)}, {"outputs": 0}, {"hidden": (3, -1)},
        {"outputs": (8,)}, {"hidden": (8.0,)}, {"hidden": "50"},
    ],
)  # fmt: skip
def test_an_mlp_that_makes_no_sense_is_refused(settings):
    with pytest.raises(ValueError, match=r"must be (one of|whole numbers of at least 1; got)"):
        MLP(**settings)


def test_one_hidden_layer_may_be_given_by_its_width():
    assert MLP(hidden=np.int64(8)) == MLP(hidden=[8]) == MLP(hidden=(8,))


def test_features_of_integers_are_numbers():
    for features in (Polynomial(2), Fourier(4)):
        network = Linear(features)
        rows = np.arange(6).reshape(3, 2)
        whole, real = (
            network.apply(network.init(KEY, r), r)[0] for r in (rows, rows.astype(float))
        )
        assert np.array_equal(whole, real)
        assert whole.dtype == np.float64


def test_polynomial_features_are_the_powers():
    found = Polynomial(3).evaluate(None, jnp.asarray(X))
    expected = np.concatenate([np.ones((len(X), 1)), X, X**2, X**3], 1)
    assert np.allclose(found, expected, rtol=1e-14)


def test_powers_of_whole_numbers_do_not_wrap_around():
    found = Polynomial(4).evaluate(None, jnp.full((1, 1), 200, jnp.uint8))
    assert np.allclose(found, [[1, 200, 200**2, 200**3, 200**4]], rtol=1e-6)
