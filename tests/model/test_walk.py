"""The report of what becomes of each weight, for networks as users pass them."""

import jax
import numpy as np
import pytest
from tests.model.adapters.networks import CASES, X

from posterium import MLP, describe_walk
from posterium.numerics import trees

KINDS = {
    "noise": {"local", "per row", "flipout", "shared"},
    "kronecker": {"product", "bias", "plain"},
}


@pytest.mark.parametrize("use", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_every_weight_of_a_network_has_a_treatment(name, use):
    network = CASES[name].network
    found = describe_walk(network, X, use)
    params = jax.eval_shape(network.init, jax.random.key(0), X).params
    assert [path for path, *_ in found.entries] == list(trees.flatten(params))
    assert {treatment for _, treatment, _ in found.entries} <= KINDS[use]
    matrix = {"noise": "local", "kronecker": "product"}[use]
    assert matrix in {treatment for _, treatment, _ in found.entries}


def test_it_is_that_of_the_shapes_alone():
    x = jax.ShapeDtypeStruct((100, 3), np.float32)
    assert describe_walk(MLP(), x).entries == describe_walk(MLP(), np.zeros((7, 3))).entries


def test_an_unknown_use_is_refused():
    with pytest.raises(ValueError, match="noise, kronecker; got 'flipout'"):
        describe_walk(MLP(), X, "flipout")
