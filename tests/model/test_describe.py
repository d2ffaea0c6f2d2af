"""What a network is made of, found without computing."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.contracts.cases import NETWORKS

from posterium import MLP, Fourier, Functions, Linear, Weights, describe, struct
from posterium.model import describe as module
from posterium.numerics import trees

X = np.zeros((7, 2), np.float32)
HUGE = 10**8


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_described_as_it_is(name):
    network = NETWORKS[name]
    found = describe(network, X)
    weights = network.init(jax.random.key(0), X)
    for leaves, tree in ((found.params, weights.params), (found.state, weights.state)):
        arrays = trees.flatten(tree)
        assert [leaf.path for leaf in leaves] == list(arrays)
        assert [leaf.shape for leaf in leaves] == [a.shape for a in arrays.values()]
        assert [leaf.dtype for leaf in leaves] == [a.dtype.name for a in arrays.values()]
        assert [leaf.count for leaf in leaves] == [a.size for a in arrays.values()]
    assert found.count == trees.vector(weights.params).size
    assert found.outputs == network.apply(weights, X)[0].shape


def test_the_table_reads_as_in_its_docstring():
    assert doctest.testmod(module).failed == 0


def test_state_stands_apart_and_does_not_count():
    found = describe(Linear(Fourier(5), outputs=3), X)
    assert found.count == 15
    assert [leaf.path for leaf in found.state] == ["frequency", "phase"]
    assert str(found).splitlines() == [
        "Linear: x (7, 2) to f (7, 3)",
        "path          shape   type     count",
        "coefficients  (5, 3)  float32     15",
        "all weights                       15",
        "frequency     (2, 5)  float32     10",
        "phase         (5,)    float32      5",
        "all state                         15",
    ]


def test_nothing_is_computed_so_that_a_network_beyond_memory_is_described():
    found = describe(MLP(hidden=(HUGE, HUGE)), jax.ShapeDtypeStruct((HUGE, 3), jnp.float32))
    assert found.count == HUGE**2 + 6 * HUGE + 1
    assert found.outputs == (HUGE, 1)


def test_the_paths_found_are_those_that_globs_match():
    found = describe(MLP(hidden=(4, 4)), X)
    assert [leaf.path for leaf in found.matching("layers/2/*")] == [
        "layers/2/bias",
        "layers/2/kernel",
    ]
    assert found.matching("*") == found.params
    assert found.matching("nothing") == ()


def test_types_are_those_of_the_precision_in_force():
    assert {leaf.dtype for leaf in describe(MLP(), X).params} == {"float32"}
    with jax.enable_x64(True):
        assert {leaf.dtype for leaf in describe(MLP(), np.zeros((2, 2))).params} == {"float64"}


@struct
class Noisy:
    """A network with noise of its own and weights of a whole number type."""

    def init(self, key, x):
        return Weights({"steps": jnp.zeros((2, 0), jnp.int32)}, None, key)

    def apply(self, weights, x, *, train=False):
        return jax.random.normal(weights.key, (len(x), 1)), None


def test_empty_and_whole_number_weights_and_noise_are_no_trouble():
    found = describe(Noisy(), X)
    assert (found.count, found.params[0].dtype, found.outputs) == (0, "int32", (7, 1))


@pytest.mark.parametrize(
    ("network", "x", "said"),
    [
        (MLP, X, r"network must be a network such as MLP\(\)"),
        (MLP(), np.zeros(3), r"x must have shape \(n, d\)"),
        (Functions(lambda key, x: {}, lambda params, x: params["w"]), X, "does not take x"),
    ],
)
def test_what_is_no_network_or_takes_no_such_inputs_is_refused(network, x, said):
    with pytest.raises((TypeError, ValueError), match=said):
        describe(network, x)
