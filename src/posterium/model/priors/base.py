"""What a prior over weights is, and what those under which weights are independent share.

A prior is a record with `terms(params)` (log density of each array, in nats), `log_prob(params)`,
`precision_of(params)` (its curvature, what Laplace adds) and `sample(key, like)`.
"""

import abc
import math
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import fields, replace
from posterium.model.hyper import Learned, is_learned, learned, value
from posterium.numerics import trees

LOG_2PI = math.log(2 * math.pi)
ZERO, INFINITY = "0", "infinity"
"""The two ends that a positive number may run off to."""
SCALINGS = ("fan_in", "fan_in_outputs_first", "none")

INPUTS: dict[str, Callable[[tuple[int, ...]], tuple[int, ...]]] = {
    "inputs first": lambda shape: shape[:-1],
    "outputs first": lambda shape: shape[1:],
    "inputs, outputs, window": lambda shape: (shape[0], *shape[2:]),
    "inputs, heads": lambda shape: shape[:1],
    "no sum": lambda shape: (),
}
"""The axes of an array that an output sums over, by where a network keeps them."""

STACKED = "stacked, "
"""What stands before one of `INPUTS` where arrays of several networks are stacked in front."""

Layout = tuple[tuple[str, str], ...]
"""Pairs of a glob over paths and where inputs are there, of which the first match counts."""


class Prior(Protocol):
    """A density over the parameters of a network."""

    def terms(self, params: Any) -> Any:
        """Return the log density of every leaf in nats, a scalar each, in the tree of `params`."""
        ...

    def log_prob(self, params: Any) -> jax.Array:
        """Return the log density in nats, summed over all weights."""
        ...

    def precision_of(self, params: Any) -> Any:
        """Return minus the diagonal second derivative of the log density, like `params`."""
        ...

    def sample(self, key: jax.Array, like: Any) -> Any:
        """Draw parameters of the shapes of `like`."""
        ...


class Scaled:
    """A prior that may be scaled by the inputs of a layer.

    Records of this kind have the fields `scaling` and `layout` of `Normal`, or neither: then they
    are taken as they stand.
    """

    scaling: str = "none"
    layout: Layout = ()

    def __post_init__(self) -> None:
        if self.scaling not in SCALINGS:
            raise ValueError(f"scaling must be one of {', '.join(SCALINGS)}; got {self.scaling!r}.")

    def laid_out(self, layout: Layout) -> Any:
        """Return this prior with inputs counted where a network keeps them."""
        same = "layout" not in fields(self) or self.layout == layout
        return self if same else replace(self, layout=layout)

    def inputs(self, params: Any) -> Any:
        """Return the number of inputs of each array, 1 where none are counted, like `params`."""
        return jax.tree_util.tree_map_with_path(self._inputs, params)

    def _inputs(self, keys: Any, leaf: jax.Array) -> int:
        shape, kept = leaf.shape, "outputs first"
        if self.scaling == "fan_in":
            path = trees.path_of(keys)
            told = (axes for glob, axes in self.layout if fnmatchcase(path, glob))
            kept = next(told, "inputs first")
            shape = shape[kept.startswith(STACKED) :]
        if self.scaling == "none" or len(shape) < 2:
            return 1
        return math.prod(INPUTS[kept.removeprefix(STACKED)](shape))


class Independent(Scaled, abc.ABC):
    """A prior under which weights are independent: by the density of one, all else follows.

    A record of one's own gives two functions: `log_density(w)`, the log density of weights by
    entries in nats, and `draw(key, shape, dtype)`. With the fields `scaling` and `layout` of
    `Normal` it is scaled by fan-in as that is: the weights of a layer with m inputs are the ones
    given here, divided by the root of m.
    """

    smooth: bool | None = True
    """False where the density has a kink or a pole, and so no curvature for a Gaussian to take."""

    @abc.abstractmethod
    def log_density(self, w: jax.Array) -> jax.Array:
        """Return the log density of each weight in nats, of the shape of w."""

    @abc.abstractmethod
    def draw(self, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        """Draw weights."""

    def terms(self, params: Any) -> Any:
        def one(w: jax.Array, inputs: int) -> jax.Array:
            return jnp.sum(self.log_density(w * inputs**0.5) + 0.5 * math.log(inputs))

        return jax.tree.map(one, params, self.inputs(params))

    def log_prob(self, params: Any) -> jax.Array:
        return total(self.terms(params))

    def precision_of(self, params: Any) -> Any:
        if not self.smooth:
            raise ValueError(
                f"Expected a prior with a curvature for a Gaussian approximation to take; the "
                f"density of {type(self).__name__} has none. Use MAP, VI or NUTS, or a smooth "
                "prior such as StudentTPrior or SpikeAndSlab."
            )
        slope = jax.grad(lambda w: jnp.sum(self.log_density(w)))
        curvature = jax.grad(lambda w: jnp.sum(slope(w)))

        def one(w: jax.Array, inputs: int) -> jax.Array:
            return -inputs * curvature(w * inputs**0.5)

        return jax.tree.map(one, params, self.inputs(params))

    def sample(self, key: jax.Array, like: Any) -> Any:
        def one(key: jax.Array, leaf: jax.Array, inputs: int) -> jax.Array:
            return self.draw(key, leaf.shape, leaf.dtype) / inputs**0.5

        return jax.tree.map(one, split(key, like), like, self.inputs(like))


def total(terms: Any) -> jax.Array:
    """Sum the terms of a log density."""
    return sum(jax.tree.leaves(terms), jnp.zeros(()))


def split(key: jax.Array, like: Any) -> Any:
    """Return a key for each array of a tree."""
    leaves, structure = jax.tree.flatten(like)
    return jax.tree.unflatten(structure, list(jax.random.split(key, len(leaves))))


def spread(prefix: Any, like: Any) -> Any:
    """Return numbers on a prefix of a tree, free ones too, as arrays for each of its leaves."""

    def below(number: Any, part: Any) -> Any:
        def one(leaf: jax.Array) -> jax.Array:
            return jnp.broadcast_to(value(number), leaf.shape).astype(leaf.dtype)

        return jax.tree.map(one, part)

    return jax.tree.map(below, prefix, like, is_leaf=is_learned)


def refuse_others(prior: Any, mine: Any, params: Any) -> None:
    """Refuse weights of other paths or shapes than those that a prior is over."""
    ours, theirs = (
        {path: leaf.shape for path, leaf in trees.flatten(tree).items()} for tree in (mine, params)
    )
    if ours != theirs:
        raise ValueError(
            f"A {type(prior).__name__} expects a network with the weights that it is over, {ours}; "
            f"got {theirs}. Fit the same network again."
        )


def narrowed(prior: Any) -> list[Any]:
    """Return a prior, or its parts, as far as they have numbers that narrow them to a point."""
    parts = jax.tree.leaves(prior, is_leaf=lambda node: hasattr(node, "narrows"))
    return [part for part in parts if hasattr(part, "narrows")]


def narrowing(prior: Any) -> Iterator[tuple[Any, str, str, Learned]]:
    """Yield each free number that narrows a prior or a part of it to a point, and at which end.

    As a part, a name, an end and the number. A prior says so by `narrows`, a dict of names and
    ends; those with a floor never come to 0.
    """
    for part in narrowed(prior):
        for name, end in part.narrows.items():
            for free in learned(getattr(part, name)):
                if end != ZERO or not np.all(np.asarray(free.floor) > 0):
                    yield part, name, end, free


def laid_out(prior: Any, layout: Layout) -> Any:
    """Return a prior that counts inputs where a network keeps them."""
    place = getattr(prior, "laid_out", None)
    return prior if place is None else place(layout)
