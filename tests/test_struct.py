"""Records: how they print."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterium import MAP, MLP, Ensemble, Gaussian, Model, Normal, Weights, learn, struct
from posterium._struct import brief, fields, static, transient
from posterium.combinators.tuning import FixedPoint, Newton


@struct
class Named:
    """A record that prints as it likes."""

    name: str

    def __repr__(self):
        return f"<{self.name}>"


@struct
class Holder:
    """A record with a transient field."""

    kept: Any
    passing: Any = transient(default=None)


@struct
class Near:
    """A record with a leaf and a static field."""

    size: Any
    count: int = static()


@struct
class Far:
    """Another with the same fields."""

    size: Any
    count: int = static()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1 / 3, "0.33333"),
        (123456, "123456"),
        (True, "True"),
        ("relu", "'relu'"),
        (np.float32(0.1), "0.1"),
        (np.int64(1234567), "1234567"),
        (jnp.ones(()), "1"),
        (np.zeros((3, 0)), "float64[3,0]"),
        (np.bool_(True), "bool[]"),
        (jax.random.key(0), "key<fry>[]"),
        ((1.5,), "(1.5,)"),
        ([1, (2, None)], "[1, (2, None)]"),
        ({"a": np.ones(2)}, "{'a': float64[2]}"),
        (np.tanh, "tanh"),
        (MAP, "MAP"),
    ],
)
def test_a_value_is_told_in_few_characters(value, text):
    assert brief(value) == text


def test_records_print_what_is_not_as_by_default():
    assert repr(Ensemble(MAP(steps=5), 3)) == "Ensemble(of=MAP(steps=5), members=3)"
    assert repr(MAP()) == "MAP()"
    assert repr(
        Model(MLP(hidden=(2,)), Normal(np.float32(1)), Gaussian(learn(0.25, floor=0.05)))
    ) == (
        "Model(network=MLP(hidden=(2,)), prior=Normal(), "
        "likelihood=Gaussian(scale=learn(0.25, floor=0.05)))"
    )


def test_arrays_are_not_dumped():
    weights = Weights({"kernel": np.zeros((300, 200))}, {"mean": jnp.ones(3)})
    assert (
        repr(weights) == "Weights(params={'kernel': float64[300,200]}, state={'mean': float32[3]})"
    )


def test_a_record_may_print_as_it_likes_and_transient_fields_are_shown_when_there():
    assert repr(Holder([Named("a")])) == "Holder(kept=[<a>])"
    assert repr(Holder(1, passing=2)) == "Holder(kept=1, passing=2)"


def test_records_print_under_a_trace():
    seen = []
    jax.jit(lambda model: seen.append(repr(model)))(Gaussian(learn(2.0)))
    assert seen == ["Gaussian(scale=learn(float32[], floor=float32[]))"]


def test_records_of_equal_fields_differ_in_structure_or_a_program_of_one_would_run_for_the_other():
    for one, other in (Newton(), FixedPoint()), (Near(1.0, 2), Far(1.0, 2)):
        assert jax.tree.structure(one) != jax.tree.structure(other)
        assert jax.tree.structure(one) == jax.tree.structure(type(one)(**fields(one)))


def test_paths_name_fields():
    ((path, leaf),) = jax.tree.leaves_with_path(Near(1.0, 2))
    assert (jax.tree_util.keystr(path), leaf) == (".size", 1.0)
