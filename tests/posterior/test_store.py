"""Records to one file and back."""

import dataclasses
import os
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterium._struct import RECORDS, static, struct
from posterium.model.hyper import Learned, learn
from posterium.model.likelihoods.gaussian import Gaussian
from posterium.model.model import Model
from posterium.model.network import MLP, Functions
from posterium.model.priors.normal import Normal
from posterium.posterior import container
from posterium.posterior.decode import decode
from posterium.posterior.encode import encode
from posterium.posterior.store import ExternalError, FileError, load, save


@struct
class Pair:
    """A record of this test."""

    left: Any
    right: Any = None
    label: str = static(default="")


@struct
class Belief:
    """A record with the three parts of a model."""

    network: Any
    prior: Any
    likelihood: Any


@dataclasses.dataclass(frozen=True)
class OwnNetwork:
    """A user's class: no record, no pytree."""

    width: int = 3


@jax.tree_util.register_pytree_node_class
class OwnPrior:
    """A user's pytree with a number that can be learned."""

    def __init__(self, scale):
        self.scale = scale

    def tree_flatten(self):
        return (self.scale,), None

    @classmethod
    def tree_unflatten(cls, _, children):
        return cls(*children)


def same(a, b):
    """Say whether two values are equal in type, shape and bits."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and (a.dtype, a.shape, a.tobytes()) == (
            b.dtype,
            b.shape,
            b.tobytes(),
        )
    return type(a) is type(b) and repr(a) == repr(b)


VALUES = {
    "none": None,
    "bool": True,
    "int": -(2**70),
    "float": 0.1,
    "whole float": 2.0,
    "minus zero": -0.0,
    "nan": float("nan"),
    "infinities": [float("inf"), float("-inf")],
    "text": 'ü "quoted" \\ \n',
    "tuple in list": [(), (1,), [2, ("a", None)]],
    "dict of any keys": {"z": 1, "a": {}, 3: [], (1, "x"): None},
    "float64": np.linspace(0, 1, 5),
    "float32": np.ones((2, 0, 3), np.float32),
    "integers": np.arange(4),
    "mask": np.array([True, False]),
    "scalar": np.array(3.5),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_equal(name, tmp_path):
    save(VALUES[name], tmp_path / "file")
    assert same(VALUES[name], load(tmp_path / "file"))


def test_records_come_back_with_structure_and_leaves(tmp_path):
    value = {"fit": Pair(Pair(np.ones(3), 1.5, "inner"), [np.zeros(2)], "outer"), "columns": ["b"]}
    save(value, tmp_path / "file")
    back = load(tmp_path / "file")
    assert jax.tree.structure(back) == jax.tree.structure(value)
    jax.tree.map(np.testing.assert_array_equal, back, value)


def test_device_arrays_and_numpy_scalars_come_back_as_numpy_arrays(tmp_path):
    save([jnp.ones(2), np.float32(2), np.bool_(True)], tmp_path / "file")
    back = load(tmp_path / "file")
    assert [type(leaf) for leaf in back] == [np.ndarray] * 3
    assert [leaf.dtype.name for leaf in back] == ["float32", "float32", "bool"]


@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg"])
def test_random_keys_come_back_and_draw_the_same(implementation, tmp_path):
    keys = jax.random.split(jax.random.key(3, impl=implementation), 2)
    save(Pair(keys), tmp_path / "file")
    back = load(tmp_path / "file").left
    assert back.dtype == keys.dtype
    np.testing.assert_array_equal(jax.random.key_data(back), jax.random.key_data(keys))


def test_arrays_whose_paths_read_alike_are_kept_apart(tmp_path):
    value = {"a/b": np.zeros(1), "a": {"b": np.ones(1)}, 1: np.full(1, 2.0), "1": np.full(1, 3.0)}
    save(value, tmp_path / "file")
    back = load(tmp_path / "file")
    assert [back["a/b"][0], back["a"]["b"][0], back[1][0], back["1"][0]] == [0, 1, 2, 3]


def test_a_saved_model_is_saved_again_to_the_same_bytes(tmp_path):
    model = Belief(MLP(hidden=(4,)), Normal(learn(2.0)), Gaussian(learn(0.1, floor=1e-3)))
    save(model, tmp_path / "a")
    save(load(tmp_path / "a"), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    back = load(tmp_path / "a")
    assert back.network == MLP(hidden=(4,))
    assert isinstance(back.prior.precision, Learned)


def test_a_path_in_the_place_of_the_fit_is_refused():
    with pytest.raises(TypeError, match=r"Call save\(fit, path\)"):
        save("model.posterium", {"a": 1})


def test_a_file_is_not_overwritten_unless_asked(tmp_path):
    save(1, tmp_path / "file")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        save(2, tmp_path / "file")
    assert load(tmp_path / "file") == 1
    save(2, tmp_path / "file", overwrite=True)
    assert load(tmp_path / "file") == 2


def test_the_model_record_has_the_roles_that_may_be_external():
    assert {"network", "prior", "likelihood"} <= {f.name for f in dataclasses.fields(Model)}


def test_an_own_network_is_a_gap_that_load_fills(tmp_path):
    path = tmp_path / "model.posterium"
    network = Functions(lambda key, x: {}, lambda params, x: x)
    save({"model": Belief(network, Normal(2.0), OwnNetwork())}, path)
    with pytest.raises(
        ExternalError,
        match=r"with a likelihood and a network .*load\('.*model.posterium', "
        r"likelihood=OwnNetwork\(\.\.\.\), network=Functions\(\.\.\.\)\)",
    ):
        load(path, prior=3.0)
    back = load(path, network=network, likelihood=OwnNetwork())["model"]
    assert back.network is network
    assert back.prior == Normal(2.0)


def test_an_own_prior_gets_the_numbers_it_was_saved_with(tmp_path):
    save(Belief(MLP(), OwnPrior(np.array([1.0, 2.0])), None), tmp_path / "file")
    back = load(tmp_path / "file", prior=OwnPrior(np.zeros(2)))
    np.testing.assert_array_equal(back.prior.scale, [1.0, 2.0])
    with pytest.raises(ExternalError, match=r"'0': \(2,\).*got .*'0': \(3,\)"):
        load(tmp_path / "file", prior=OwnPrior(np.zeros(3)))


def test_a_gap_keeps_each_of_its_arrays_once():
    _, arrays = encode(Belief(MLP(), None, [np.ones(2), OwnNetwork()]))
    assert list(arrays) == ["likelihood/0"]


def test_an_own_record_in_a_model_is_a_gap_wherever_it_is_defined(tmp_path):
    save(Belief(Pair(np.arange(2.0)), Normal(Pair(3.0)), None), tmp_path / "file")
    with pytest.raises(ExternalError, match=r"network=Pair\(\.\.\.\), prior=Normal\(\.\.\.\)"):
        load(tmp_path / "file")
    back = load(tmp_path / "file", network=Pair(np.zeros(2)), prior=Normal(Pair(0.0)))
    np.testing.assert_array_equal(back.network.left, [0.0, 1.0])
    assert back.prior == Normal(Pair(3.0))


def test_an_own_record_outside_of_a_model_needs_its_module(tmp_path, monkeypatch):
    save(Pair(1), tmp_path / "file")
    assert load(tmp_path / "file") == Pair(1)
    monkeypatch.delitem(RECORDS, f"{__name__}.Pair")
    with pytest.raises(FileError, match=r"Pair', which is not registered\. Import the module"):
        load(tmp_path / "file")


def test_an_unknown_role_is_refused(tmp_path):
    save(1, tmp_path / "file")
    with pytest.raises(TypeError, match="Only network, prior, likelihood can be given; got net"):
        load(tmp_path / "file", net=1)


@pytest.mark.parametrize(
    "value", [OwnNetwork(), len, {1}, np.dtype("f4"), jax.ShapeDtypeStruct((), "f4")]
)
def test_what_cannot_be_stored_is_named_with_its_path(value, tmp_path):
    with pytest.raises(TypeError, match=rf"got a {type(value).__name__}\S* at left/0/x"):
        save(Pair([{"x": value}]), tmp_path / "file")
    assert os.listdir(tmp_path) == []


HOSTILE = {
    "unregistered class": {"record": "os.system", "fields": {"command": "mkdir canary"}},
    "base class": {"record": "object", "fields": {}},
    "other fields": {"record": "MLP", "fields": {"nope": 1}},
    "refused by the record": {
        "record": "MLP",
        "fields": {"activation": "eval", "hidden": {"tuple": []}},
    },
    "unknown tag": {"call": "print"},
    "empty tag": {},
    "array that is not there": {"array": "w"},
    "array by number": {"array": []},
    "bad key": {"key": "a", "impl": "none"},
    "bad float": {"float": "x"},
    "bad pairs": {"dict": [[1, 2, 3]]},
    "unhashable key": {"dict": [[[], 1]]},
    "external without a type": {"external": "network"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_contents_are_refused_as_a_bad_file(name, tmp_path):
    path = tmp_path / "file"
    container.write(path, {"a": np.zeros(3)}, {"kind": "model", "value": HOSTILE[name]})
    with pytest.raises(FileError, match="file"):
        load(path)
    assert os.listdir(tmp_path) == ["file"]


def test_a_checkpoint_is_no_model(tmp_path):
    container.write(tmp_path / "file", {}, {"kind": "checkpoint"})
    with pytest.raises(FileError, match="is it a checkpoint"):
        load(tmp_path / "file")


def test_encode_and_decode_are_inverse_without_a_file():
    node, arrays = encode(Pair((np.ones(2), 1)))
    assert node["fields"]["left"] == {"tuple": [{"array": "left/0"}, 1]}
    np.testing.assert_array_equal(decode(node, arrays).left[0], np.ones(2))


def test_a_fresh_process_with_another_hash_seed_writes_the_same_bytes(tmp_path):
    code = """
import sys, numpy as np
from posterium.model.network import MLP
from posterium.posterior.store import save
save({"b": MLP(), "a": [np.arange(3.0), {"y": 1, "x": (2,)}]}, sys.argv[1])
"""
    written = []
    for seed in ("1", "2"):
        path = tmp_path / seed
        environment = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code, str(path)], env=environment, check=True)
        written.append(path.read_bytes())
    assert written[0] == written[1]
    assert str(tmp_path).encode() not in written[0]
