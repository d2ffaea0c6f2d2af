"""Pytrees of arrays: paths, casts, flat vectors and selections."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

PyTree = Any


def path_of(keys: tuple[Any, ...]) -> str:
    """Write a tree path as names joined by slashes, such as ``layers/2/kernel``."""
    return jax.tree_util.keystr(keys, simple=True, separator="/")


def flatten(tree: PyTree) -> dict[str, Any]:
    """Return the leaves of a tree by path, in tree order."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {path_of(keys): leaf for keys, leaf in leaves}


def overlay(tree: PyTree, leaves: dict[str, Any]) -> PyTree:
    """Return a tree whose leaves at the given paths are replaced."""
    return jax.tree_util.tree_map_with_path(lambda k, leaf: leaves.get(path_of(k), leaf), tree)


def ravel(tree: PyTree) -> tuple[jax.Array, Callable[[jax.Array], PyTree]]:
    """Return the leaves as one vector (p,), and the function that undoes it."""
    return ravel_pytree(tree)


def vector(tree: PyTree) -> jax.Array:
    """Return the leaves as one vector (p,)."""
    return ravel_pytree(tree)[0]


def is_key(leaf: Any) -> bool:
    """Say whether a leaf is an array of typed random keys."""
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def cast(tree: PyTree, dtype: Any) -> PyTree:
    """Convert every floating-point leaf, Python floats included; leave integers and keys."""

    def convert(leaf: Any) -> Any:
        if is_key(leaf) or not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            return leaf
        return jnp.asarray(leaf, dtype)

    return jax.tree.map(convert, tree)


def to_numpy(tree: PyTree) -> PyTree:
    """Copy every array to host memory; typed keys stay as they are."""
    return jax.tree.map(lambda leaf: leaf if is_key(leaf) else np.asarray(leaf), tree)


def where(mask: jax.Array, yes: PyTree, no: PyTree) -> PyTree:
    """Select between two trees leaf by leaf with one scalar condition."""

    def pick(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(mask, a, b)

    return jax.tree.map(pick, yes, no)


def stack(tree: PyTree, copies: int) -> PyTree:
    """Repeat every leaf along a new leading axis."""
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (copies, *jnp.shape(leaf))), tree)


def index(tree: PyTree, position: Any) -> PyTree:
    """Take one entry, or a slice, of the leading axis of every leaf."""
    return jax.tree.map(lambda leaf: leaf[position], tree)


def leading_size(tree: PyTree) -> int:
    """Return the length of the leading axis that all leaves share."""
    return jax.tree.leaves(tree)[0].shape[0]


def count(tree: PyTree) -> int:
    """Return the number of entries of all leaves together."""
    return sum(int(np.prod(leaf.shape, dtype=np.int64)) for leaf in jax.tree.leaves(tree))


def nbytes(tree: PyTree) -> int:
    """Return the bytes that all array leaves take together."""
    return sum(
        int(np.prod(leaf.shape, dtype=np.int64)) * np.dtype(leaf.dtype).itemsize
        for leaf in jax.tree.leaves(tree)
        if not is_key(leaf)
    )
