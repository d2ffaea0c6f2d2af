"""Descriptions: the weights of a network by path, shape and count, without computing any."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import jax
import numpy as np

from posterium.model.adapters.recognise import as_network
from posterium.model.weights import Weights
from posterium.numerics import trees


@dataclass(frozen=True)
class Leaf:
    """One array of weights.

    Parameters
    ----------
    path
        Its name, such as ``layers/2/kernel``: what `Subset` and globs match.
    shape
        Its axes.
    dtype
        Its type, such as ``float32``.
    count
        How many numbers it holds.
    """

    path: str
    shape: tuple[int, ...]
    dtype: str
    count: int


@dataclass(frozen=True)
class Description:
    """What a network is made of; printed, a table.

    Parameters
    ----------
    name
        The class of the network.
    inputs, outputs
        Shapes of x and of f for it, rows first.
    params
        The weights, which have a prior.
    state
        Fixed numbers without a prior: running statistics, random frequencies.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    params: tuple[Leaf, ...]
    state: tuple[Leaf, ...] = ()

    @property
    def count(self) -> int:
        """Number of weights p, the state apart."""
        return sum(leaf.count for leaf in self.params)

    def matching(self, pattern: str) -> tuple[Leaf, ...]:
        """Return the weights whose path matches a glob, as in `Subset(paths=...)`."""
        return tuple(leaf for leaf in self.params if fnmatchcase(leaf.path, pattern))

    def __str__(self) -> str:
        groups = [("weights", self.params)] + [("state", self.state)] * bool(self.state)
        rows = [("path", "shape", "type", "count")]
        for title, leaves in groups:
            rows += [(e.path, str(e.shape), e.dtype, f"{e.count:,}") for e in leaves]
            rows.append((f"all {title}", "", "", f"{sum(e.count for e in leaves):,}"))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = [
            "  ".join([*(text.ljust(w) for text, w in zip(row, widths, strict=True))][:3])
            + "  " + row[3].rjust(widths[3])
            for row in rows
        ]  # fmt: skip
        return "\n".join([f"{self.name}: x {self.inputs} to f {self.outputs}", *lines])

    __repr__ = __str__


def describe(network: Any, x: Any) -> Description:
    """Return the paths, shapes, types and counts of a network's weights.

    Nothing is computed: shapes are derived. Use it to find the paths that `Subset` selects by.

    Parameters
    ----------
    network
        Any network, of any framework.
    x
        Inputs, (n, ...), or `jax.ShapeDtypeStruct` of their shape and type.

    Returns
    -------
    Description
        Print it, or read `params`, `state`, `outputs` and `count`.

    Raises
    ------
    ValueError
        When the network does not take such inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from posterium import MLP, describe
    >>> describe(MLP(hidden=(8,)), np.zeros((100, 3)))
    MLP: x (100, 3) to f (100, 1)
    path             shape   type     count
    layers/0/bias    (8,)    float32      8
    layers/0/kernel  (3, 8)  float32     24
    layers/1/bias    (1,)    float32      1
    layers/1/kernel  (8, 1)  float32      8
    all weights                          41
    """
    network = as_network(network)
    x = x if isinstance(x, jax.ShapeDtypeStruct) else np.asarray(x)
    if len(x.shape) < 2:
        raise ValueError(f"x must have shape (n, d); got {x.shape}. Use x[:, None] for one input.")

    def run(key: jax.Array, x: jax.Array) -> tuple[Weights, Any]:
        weights = network.init(key, x)
        return weights, network.apply(weights, x)[0]

    try:
        weights, outputs = jax.eval_shape(run, jax.random.key(0), x)
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise ValueError(
            f"{type(network).__name__} does not take x of shape {x.shape} and type {x.dtype}: "
            f"{str(error).partition(chr(10))[0]}"
        ) from error
    return Description(
        type(network).__name__, x.shape, outputs.shape, _leaves(weights.params),
        _leaves(weights.state),
    )  # fmt: skip


def _leaves(tree: Any) -> tuple[Leaf, ...]:
    return tuple(
        Leaf(path, leaf.shape, str(leaf.dtype), int(np.prod(leaf.shape, dtype=np.int64)))
        for path, leaf in trees.flatten(tree).items()
    )
