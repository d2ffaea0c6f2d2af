"""What a model takes for a network, and what it refuses."""

import subprocess
import sys
from functools import partial

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from tests.model.adapters.networks import (
    KEY,
    EquinoxNet,
    LinenNet,
    NNXNet,
    X,
    Y,
    draw,
    forward,
    plain_equinox,
    plain_linen,
    plain_nnx,
)

from posterium import (
    MAP,
    MLP,
    Functions,
    Gaussian,
    Model,
    Normal,
    Weights,
    as_data,
    describe,
    fit,
    from_equinox,
    from_linen,
    from_nnx,
)
from posterium.model.adapters.recognise import as_network


class Bare:
    """A network that is no record."""

    def init(self, key, x):
        return Weights({"w": jnp.zeros(1)})

    def apply(self, weights, x, *, train=False):
        return x[:, :1], None


class Listed(nn.Module):
    widths: list
    more: dict
    inner: nn.Module

    @nn.compact
    def __call__(self, x):
        for width in self.widths:
            x = nn.Dense(width)(x)
        return self.inner(x)


class Holding(nn.Module):
    array: jax.Array

    def __call__(self, x):
        return x


@pytest.mark.parametrize(
    ("given", "record"),
    [
        (LinenNet(), from_linen(LinenNet())),
        (NNXNet, from_nnx(NNXNet)),
        (plain_nnx, from_nnx(plain_nnx)),
        (EquinoxNet, from_equinox(EquinoxNet)),
        (plain_equinox, from_equinox(plain_equinox)),
        ((draw, forward), Functions(draw, forward)),
        (MLP(), MLP()),
    ],
)
def test_a_model_takes_a_network_of_any_framework_as_it_is(given, record):
    assert as_network(given) == record
    assert Model(given, Normal(), Gaussian()).network == record
    assert describe(given, X).outputs == (10, 1)


@pytest.mark.parametrize("bound", [partial(nnx.Linear, 3, 1), partial(eqx.nn.Linear, 3, 1)])
def test_a_class_with_its_sizes_bound_is_a_factory(bound):
    assert describe(bound, X).count == 4


def test_linen_modules_built_twice_are_the_same_network_lists_and_all():
    one, other = (from_linen(Listed([4, 4], {"a": [1]}, plain_linen())) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != from_linen(Listed([4, 5], {"a": [1]}, plain_linen()))
    assert describe(one, X).outputs == (10, 1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (NNXNet(nnx.Rngs(0)), "Expected a factory.*NNXNet that is built.*lambda rngs: NNXNet"),
        (plain_equinox(KEY), "Expected a factory.*MLP that is built.*lambda key: MLP"),
        (nnx.Linear, "a function of `rngs` alone; Linear needs in_features, out_features too"),
        (eqx.nn.Linear, "a function of `key` alone; Linear needs in_features, out_features too"),
        (Holding(jnp.ones(2)), "fields that can be compared; Holding"),
    ],
)
def test_what_would_go_wrong_is_refused_by_the_model(given, said):
    with pytest.raises(TypeError, match=said):
        Model(given, Normal(), Gaussian())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (LinenNet, "got the class LinenNet"),
        (MLP, "got the class MLP"),
        (3, "got 3. Accepted are also a Flax Linen module"),
        (None, "got None"),
        (lambda x: x, "got <function"),
        (Bare(), "must be a record.*Bare is not. Decorate"),
    ],
)
def test_what_is_no_network_is_refused_by_a_fit_with_what_is_accepted(given, said):
    with pytest.raises(TypeError, match=said):
        fit(KEY, Model(given, Normal(), Gaussian()), as_data(X, Y), MAP(steps=1))


@pytest.mark.parametrize(
    ("wrap", "given", "said"),
    [
        (from_linen, NNXNet, "Expected a Flax Linen module; got NNXNet"),
        (from_nnx, EquinoxNet, "Expected a function of `rngs`"),
        (from_equinox, plain_nnx, "Expected a function of `key`"),
        (from_nnx, 3, "Expected a function of `rngs` that returns a module; got 3"),
    ],
)
def test_wrappers_refuse_what_is_of_another_framework(wrap, given, said):
    with pytest.raises(TypeError, match=said):
        wrap(given)


def test_a_model_of_the_librarys_own_network_imports_no_framework():
    code = """
import sys
from posterium import MLP, Gaussian, Model, Normal, describe
import numpy as np
Model(MLP(), Normal(), Gaussian()); describe(MLP(), np.zeros((3, 2)))
print([name for name in ("flax", "equinox", "torch") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "[]", run.stderr


@pytest.mark.parametrize("name", ["linen", "nnx", "equinox"])
def test_a_framework_that_is_missing_is_named_with_its_extra(monkeypatch, name):
    extra = "equinox" if name == "equinox" else "flax"
    for module in [m for m in sys.modules if m.split(".")[0] == extra]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, extra, None)
    monkeypatch.delitem(sys.modules, f"posterium.model.adapters.{name}")
    import importlib

    with pytest.raises(ImportError, match=rf"posterium\[{extra}\]"):
        importlib.import_module(f"posterium.model.adapters.{name}")
