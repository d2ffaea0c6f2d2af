"""What a prior scaled by fan-in counts: the terms that an output sums over, in every framework."""

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tests.model.adapters.networks import CASES, KEY, X, draw, forward

from posterium import MLP, Functions, Gaussian, Model, Normal
from posterium._struct import replace
from posterium.numerics import trees

TOKENS = np.array([[0, 1, 2, 1, 6], [3, 3, 1, 0, 5]])
VOCABULARY, WIDTH, HEADS = 7, 6, 3


class LinenWords(nn.Module):
    """Tokens and positions, attention over them, a convolution; a number a row."""

    @nn.compact
    def __call__(self, tokens):
        place = self.param("place_embedding", nn.initializers.normal(), (1, 5, WIDTH))
        h = nn.Embed(VOCABULARY, WIDTH, name="table")(tokens) + place
        h = nn.MultiHeadDotProductAttention(HEADS, qkv_features=12, name="attend")(h)
        h = nn.ConvTranspose(4, (2,), name="widen")(nn.Conv(8, (3,), name="mix")(h))
        return nn.Dense(1, name="last")(h.mean(1))


class NNXWords(nnx.Module):
    def __init__(self, rngs):
        self.table = nnx.Embed(VOCABULARY, WIDTH, rngs=rngs)
        self.place_embedding = nnx.Param(jnp.zeros((1, 5, WIDTH)))
        self.attend = nnx.MultiHeadAttention(HEADS, WIDTH, 12, decode=False, rngs=rngs)
        self.mix = nnx.Conv(WIDTH, 8, (3,), rngs=rngs)
        self.widen = nnx.ConvTranspose(8, 4, (2,), rngs=rngs)
        self.last = nnx.Linear(4, 1, rngs=rngs)

    def __call__(self, tokens):
        h = self.attend(self.table(tokens) + self.place_embedding[...])
        return self.last(self.widen(self.mix(h)).mean(1))


class EquinoxWords(eqx.Module):
    table: eqx.nn.Embedding
    place_embedding: jax.Array
    attend: eqx.nn.MultiheadAttention
    convolutions: list
    last: eqx.nn.Linear

    def __init__(self, key):
        self.table = eqx.nn.Embedding(VOCABULARY, WIDTH, key=key)
        self.place_embedding = jnp.zeros((5, WIDTH))
        self.attend = eqx.nn.MultiheadAttention(HEADS, WIDTH, qk_size=4, vo_size=4, key=key)
        self.convolutions = [
            eqx.nn.Conv1d(WIDTH, 8, 3, padding=1, key=key),
            eqx.nn.ConvTranspose1d(8, 4, 2, key=key),
        ]
        self.last = eqx.nn.Linear(4, 1, key=key)

    def __call__(self, tokens):
        h = jax.vmap(self.table)(tokens) + self.place_embedding
        h = self.attend(h, h, h).T
        for layer in self.convolutions:
            h = layer(h)
        return self.last(h.mean(1))


ATTENTION = dict.fromkeys(("query", "key", "value"), WIDTH) | {"out": 12}
KNOWN = {"table": 1, "place_embedding": 1, "mix": 3 * WIDTH, "widen": 2 * 8, "last": 4}
FLAX = KNOWN | {f"attend/{name}": count for name, count in ATTENTION.items()}
EQUINOX = {
    "table": 1, "place_embedding": 1, "convolutions/0": 3 * WIDTH, "convolutions/1": 2 * 8,
    "last": 4, "attend/output_proj": 12,
    **{f"attend/{name}_proj": WIDTH for name in ("query", "key", "value")},
}  # fmt: skip
WORDS = {
    "linen": (LinenWords(), FLAX),
    "nnx": (NNXWords, FLAX),
    "equinox": (EquinoxWords, EQUINOX),
}


def counted(network, x, prior=None):
    """Return by how much the prior multiplies the precision of each array of two axes or more."""
    model = Model(network, prior or Normal(2.0), Gaussian(0.1))
    params = jax.eval_shape(model.network.init, KEY, x).params
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), params)
    precision = trees.flatten(model.prior.precision_of(zeros))
    assert all((leaf == leaf.ravel()[0]).all() for leaf in precision.values())
    found = {path: float(leaf.ravel()[0]) / 2 for path, leaf in precision.items()}
    return found, {path for path, leaf in precision.items() if leaf.ndim > 1}


@pytest.mark.parametrize("name", WORDS)
def test_a_prior_counts_the_terms_of_a_sum_and_one_for_what_is_looked_up_or_added(name):
    network, expected = WORDS[name]
    found, arrays = counted(network, TOKENS)
    names = ("kernel", "weight", "embedding")
    layers = {
        path.rpartition("/")[0] if path.rpartition("/")[2] in names else path: count
        for path, count in found.items()
        if path in arrays and not path.endswith("bias")
    }
    assert layers == expected
    assert all(count == 1 for path, count in found.items() if path.endswith("bias"))


def test_a_row_of_a_table_has_the_spread_of_the_precision_whatever_the_vocabulary():
    model = Model(nn.Embed(5000, 4), Normal(0.25), Gaussian(0.1))
    drawn = model.prior.sample(KEY, {"embedding": jnp.zeros((5000, 4))})["embedding"]
    assert abs(drawn.var() - 4) < 4 * 4 * np.sqrt(2 / drawn.size)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.full])
def test_small_networks_count_three_inputs_and_then_four(name):
    found, _ = counted(CASES[name].network, X)
    kind = "weight" if name == "equinox" else "kernel"
    assert (found[f"first/{kind}"], found[f"last/{kind}"]) == (3, 4)


def test_another_network_in_a_model_brings_its_own_layout():
    mlp = Model(MLP(1, (4,)), Normal(2.0), Gaussian(0.1))
    first = replace(mlp, network=EquinoxWords)
    assert ("table/weight", "no sum") in first.prior.layout
    assert replace(first, network=MLP(1, (4,))) == mlp
    assert replace(first, network=(draw, forward)).prior == mlp.prior
    assert (
        replace(mlp, network=LinenWords()).prior
        == Model(LinenWords(), Normal(2.0), Gaussian(0.1)).prior
    )


def test_plain_functions_say_where_their_weights_have_their_inputs():
    def init(key, x):
        return {"outwards": jnp.zeros((2, 3)), "table": jnp.zeros((9, 2)), "w": jnp.zeros((3, 2))}

    layout = (("out*", "outputs first"), ("table", "no sum"))
    found, _ = counted(Functions(init, lambda p, x: x @ p["w"], layout), X)
    assert found == {"outwards": 3, "table": 1, "w": 3}
    said, _ = counted(Functions(init, lambda p, x: x), X, Normal(2.0, "fan_in_outputs_first"))
    assert said == {"outwards": 3, "table": 2, "w": 2}
    plain, _ = counted(Functions(init, lambda p, x: x, layout), X, Normal(2.0, "none"))
    assert set(plain.values()) == {1}
