"""Six laws of networks of every framework, and what each one computes."""

from functools import partial

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tests.model.adapters.networks import (
    CASES,
    FULL,
    KEY,
    MOMENTUM,
    EquinoxNet,
    LinenNet,
    NNXNet,
    X,
)

from posterium import Weights, from_equinox, from_linen, from_nnx
from posterium._struct import replace
from posterium.numerics import trees

every = pytest.mark.parametrize("name", CASES)
full = pytest.mark.parametrize("name", FULL)
MASK = jax.random.key(8)
init = jax.jit(lambda network, key: network.init(key, X))


@partial(jax.jit, static_argnames="train")
def apply(network, weights, x, train=False):
    return network.apply(weights, x, train=train)


def made(name):
    return CASES[name].network, init(CASES[name].network, KEY)


def noisy(weights, key=MASK):
    return replace(weights, key=key)


def equal(one, other):
    return jax.tree.structure(one) == jax.tree.structure(other) and all(
        np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True)
    )


@every
def test_two_keys_give_different_weights_and_one_key_the_same(name):
    network, weights = made(name)
    assert equal(init(network, KEY), weights)
    other = init(network, jax.random.key(4))
    kernels = [np.ptp(leaf) > 0 for leaf in jax.tree.leaves(weights.params)]
    pairs = zip(*(jax.tree.leaves(w.params) for w in (weights, other)), strict=True)
    changed = [(a != b).all() for a, b in pairs]
    assert all(change for change, kernel in zip(changed, kernels, strict=True) if kernel)
    assert any(kernels)


@every
def test_noise_is_on_where_there_is_a_key_in_training_or_not(name):
    network, weights = made(name)
    for train in (False, True):
        quiet, again = (apply(network, weights, X, train=train)[0] for _ in range(2))
        one, other, same = (
            apply(network, noisy(weights, jax.random.key(i)), X, train=train)[0] for i in (1, 2, 1)
        )
        assert np.array_equal(quiet, again)
        assert np.array_equal(one, same)
        assert np.allclose(one, quiet, atol=1e-6) != CASES[name].full
        assert np.allclose(one, other, atol=1e-6) != CASES[name].full


@full
def test_without_training_noise_makes_one_function_and_in_training_every_row_has_its_own(name):
    network, weights = made(name)
    function, _ = apply(network, noisy(weights), X)
    assert np.array_equal(function[:5], function[5:])
    company, _ = apply(network, noisy(weights), np.concatenate([X[:5], 9 + X[5:]]))
    assert np.array_equal(company[:5], function[:5])
    training, _ = apply(network, noisy(weights), X, train=True)
    assert not np.allclose(training[:5], training[5:])


@every
def test_the_state_changes_in_training_only(name):
    network, weights = made(name)
    for key in (None, MASK):
        _, state = apply(network, noisy(weights, key), X)
        assert equal(state, weights.state)
        _, state = apply(network, noisy(weights, key), X, train=True)
        assert equal(state, weights.state) != CASES[name].full


@every
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_types_and_structure_are_kept(name, dtype):
    with jax.enable_x64(dtype == "float64"):
        network, weights = made(name)
        weights = trees.cast(weights, np.dtype(dtype))
        for train, key in ((False, None), (True, None), (True, MASK), (False, MASK)):
            f, state = apply(network, noisy(weights, key), X.astype(dtype), train=train)
            assert f.shape == (10, 1)
            assert f.dtype == dtype
            assert jax.tree.structure(state) == jax.tree.structure(weights.state)
            kept = jax.tree.map(
                lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), state, weights.state
            )
            assert jax.tree.all(kept)


@every
def test_weights_are_floating_point_numbers_by_readable_paths(name):
    _, weights = made(name)
    leaves = trees.flatten(weights.params)
    assert CASES[name].path in leaves
    assert all(leaf.dtype == np.float32 for leaf in leaves.values())
    assert all(type(node) in (dict, list) for node in inner(weights.params))
    assert all(type(node) in (dict, list, tuple) for node in inner(weights.state or {}))


def inner(tree):
    """Return the nodes of a tree that are not leaves."""
    values = tree.values() if isinstance(tree, dict) else tree
    return [tree, *(n for v in values if isinstance(v, dict | list) for n in inner(v))]


@every
def test_vmap_over_weights_gives_every_members_function(name):
    network = CASES[name].network
    stacked = jax.vmap(lambda key: init(network, key))(jax.random.split(KEY, 2))
    stacked = replace(stacked, key=jax.random.split(MASK, 2))
    for train in (False, True):
        run = jax.jit(jax.vmap(lambda w, train=train: network.apply(w, X, train=train)))
        together, state = run(stacked)
        for i in range(2):
            alone, own = apply(network, trees.index(stacked, i), X, train=train)
            assert np.allclose(together[i], alone, rtol=1e-4, atol=1e-6)
            one = trees.index(state, i)
            assert jax.tree.all(jax.tree.map(lambda a, b: jnp.allclose(a, b, 1e-4), one, own))


@every
def test_nothing_passed_in_is_changed(name):
    network, weights = made(name)
    weights, x = noisy(weights), X.copy()
    arrays = jax.tree.map(np.array, replace(weights, key=None))
    before = apply(network, weights, x)[0]
    network.apply(weights, x, train=True)
    assert np.array_equal(apply(network, weights, x)[0], before)
    assert equal(replace(weights, key=None), arrays)
    assert np.array_equal(x, X)


@full
def test_training_normalises_by_the_rows_of_the_batch_and_moves_the_running_statistics(name):
    network, weights = made(name)
    f, state = apply(network, weights, X, train=True)
    params = jax.tree.map(np.asarray, weights.params)
    last = params["last"]
    if name == "equinox":
        hidden = X @ params["first"]["weight"].T + params["first"]["bias"]
        last = {"kernel": last["weight"].T, "bias": last["bias"]}
    else:
        hidden = X @ params["first"]["kernel"] + params["first"]["bias"]
    standard = (hidden - hidden.mean(0)) / np.sqrt(hidden.var(0) + 1e-5)
    assert np.allclose(f, np.tanh(standard) @ last["kernel"] + last["bias"], atol=1e-4)
    means = [
        leaf for path, leaf in trees.flatten(state).items() if path.endswith(("mean", "index/0"))
    ]
    assert len(means) == 1
    assert np.allclose(means[0], (1 - MOMENTUM) * hidden.mean(0), atol=1e-6)


def test_outputs_are_those_of_the_linen_module():
    network, weights = made("linen")
    _, state = apply(network, weights, X, train=True)
    expected = LinenNet().apply({"params": weights.params, **state}, X, train=False)
    assert np.array_equal(apply(network, replace(weights, state=state), X)[0], expected)


def test_outputs_are_those_of_the_nnx_module():
    network, weights = made("nnx")
    module = NNXNet(nnx.Rngs(0))
    nnx.update(module, weights.params)
    module.drop.rate = 0.0
    training, trained = module(X), nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))
    f, state = apply(network, weights, X, train=True)
    assert np.allclose(f, training, rtol=1e-5)
    assert jax.tree.all(jax.tree.map(np.allclose, state, trained))
    module.eval()
    assert np.allclose(apply(network, replace(weights, state=state), X)[0], module(X), rtol=1e-5)


def test_outputs_are_those_of_the_equinox_module():
    network, weights = made("equinox")
    module, state = eqx.nn.make_with_state(EquinoxNet)(KEY)
    quiet = eqx.nn.inference_mode(module)
    expected, _ = jax.vmap(quiet, (0, None), (0, None), axis_name="rows")(X, state)
    assert np.allclose(apply(network, weights, X)[0], expected, rtol=1e-6)


def test_whole_numbers_among_parameters_of_plain_functions_are_state():
    _, weights = made("functions")
    assert trees.flatten(weights.state)["columns"].tolist() == [2, 0, 1]
    assert "columns" not in weights.params


def test_frozen_arrays_of_an_equinox_module_are_state():
    network = from_equinox(EquinoxNet, frozen=("first/*",))
    weights = network.init(KEY, X)
    assert "first/weight" in trees.flatten(weights.state)
    assert "first" not in weights.params
    whole = CASES["equinox"].network
    expected = apply(whole, init(whole, KEY), X)[0]
    assert np.allclose(apply(network, weights, X)[0], expected, rtol=1e-5)


def test_a_network_whose_state_grows_is_refused():
    class Growing(nn.Module):
        @nn.compact
        def __call__(self, x):
            self.sow("seen", "rows", x.sum())
            return nn.Dense(1)(x)

    network = from_linen(Growing())
    weights = network.init(KEY, X)
    assert isinstance(weights, Weights)
    with pytest.raises(ValueError, match="keeps its entries in training"):
        apply(network, weights, X, train=True)


class OneFlag(nn.Module):
    """A block with one flag for both switches, called as for noise."""

    @nn.compact
    def __call__(self, x, deterministic):
        x = nn.BatchNorm(name="norm")(nn.Dense(4)(x), use_running_average=deterministic)
        return nn.Dropout(0.5)(x, deterministic=deterministic)


class EquinoxOneFlag(EquinoxNet):
    def __call__(self, x, state, inference, key=None):
        x, state = self.norm(self.first(x[self.columns]), state, inference=inference)
        return self.last(self.drop(jnp.tanh(x), key=key, inference=inference)), state


class NNXOneFlag(NNXNet):
    def __call__(self, x, deterministic):
        x = self.norm(self.first(x), use_running_average=deterministic)
        return self.last(self.drop(jnp.tanh(x), deterministic=deterministic))


@pytest.mark.parametrize(
    "network",
    [from_linen(OneFlag()), from_nnx(NNXOneFlag), from_equinox(EquinoxOneFlag)],
    ids=["linen", "nnx", "equinox"],
)
def test_a_flag_for_noise_alone_switches_statistics_and_noise_each_by_itself(network):
    weights = init(network, KEY)
    for key in (None, MASK):
        assert not equal(apply(network, noisy(weights, key), X, train=True)[1], weights.state)
    for train in (False, True):
        one, other = (apply(network, noisy(weights, k), X, train=train)[0] for k in (MASK, KEY))
        assert not np.allclose(one, other)
        quiet, again = (apply(network, weights, X, train=train)[0] for _ in range(2))
        assert np.array_equal(quiet, again)


class NNXAttention(nnx.Module):
    """Attention whose dropout is told by a flag; and an array that is held as it is."""

    def __init__(self, rngs):
        self.attend = nnx.MultiHeadAttention(1, 3, dropout_rate=0.5, decode=False, rngs=rngs)
        self.columns = jnp.array([2, 0, 1])
        self.scale = jnp.array([1.0, 2.0, 3.0])

    def __call__(self, x, train):
        x = (x[:, self.columns] * self.scale[None])[:, :, None] * jnp.ones(3)[None, None]
        return self.attend(x, deterministic=not train).sum((1, 2))[:, None]


@pytest.mark.slow
def test_dropout_in_attention_is_on_where_there_is_a_key_and_arrays_of_a_module_are_state():
    network = from_nnx(NNXAttention)
    weights = init(network, KEY)
    assert set(weights.state) == {"columns", "scale"}
    one, other = (apply(network, noisy(weights, k), X)[0] for k in (MASK, KEY))
    assert not np.allclose(one, other)
    assert np.array_equal(apply(network, weights, X)[0], apply(network, weights, X, train=True)[0])


class Stateless(eqx.Module):
    layer: eqx.nn.Linear

    def __init__(self, key):
        self.layer = eqx.nn.Linear(3, 1, key=key)

    def __call__(self, x, state):
        return self.layer(x), state


def test_an_equinox_module_may_ask_for_a_state_that_it_does_not_have():
    network = from_equinox(Stateless)
    weights = init(network, KEY)
    f, state = apply(network, weights, X, train=True)
    assert f.shape == (10, 1)
    assert state is None
