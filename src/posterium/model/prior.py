"""Priors over weights, and over positive scales.

A prior over weights is a record with `terms(params)` (log density of each leaf, in nats),
`precision_of(params)` (its curvature, what Laplace adds) and `sample(key, like)`.
"""

import math
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from posterium._struct import replace, static, struct
from posterium.model.hyper import is_learned, value
from posterium.numerics import trees

LOG_2PI = math.log(2 * math.pi)
SCALINGS = ("fan_in", "fan_in_outputs_first", "none")

INPUTS: dict[str, Callable[[tuple[int, ...]], tuple[int, ...]]] = {
    "inputs first": lambda shape: shape[:-1],
    "outputs first": lambda shape: shape[1:],
    "inputs, outputs, window": lambda shape: (shape[0], *shape[2:]),
    "inputs, heads": lambda shape: shape[:1],
    "no sum": lambda shape: (),
}
"""The axes of an array that an output sums over, by where a network keeps them."""


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


def normal_term(values: jax.Array, precision: jax.Array) -> jax.Array:
    """Return the summed log density of independent N(0, 1 / precision); flat where that is 0."""
    proper = precision > 0
    norm = jnp.where(proper, 0.5 * (jnp.log(jnp.where(proper, precision, 1)) - LOG_2PI), 0)
    return jnp.sum(norm - 0.5 * precision * values**2)


def total(terms: Any) -> jax.Array:
    """Sum the terms of a log density."""
    return sum(jax.tree.leaves(terms), jnp.zeros(()))


@struct
class Flat:
    """The improper prior with log density 0: maximum likelihood."""

    def terms(self, params: Any) -> Any:
        return jax.tree.map(lambda _: jnp.zeros(()), params)

    def log_prob(self, params: Any) -> jax.Array:
        return total(self.terms(params))

    def precision_of(self, params: Any) -> Any:
        return jax.tree.map(jnp.zeros_like, params)

    def sample(self, key: jax.Array, like: Any) -> Any:
        raise ValueError(
            "A flat prior has no draws because it is not a distribution. "
            "Use Normal(precision=...) for prior draws."
        )


@struct
class Normal:
    """Independent Gaussian prior, w ~ N(0, 1 / precision).

    Parameters
    ----------
    precision
        One number, or a tree that is a prefix of the parameters (a number a layer, or an array a
        weight); in one over squared weight units. `learn(...)` marks it as free. An entry of 0 is
        flat (improper) and adds nothing to the log density.
    scaling
        ``"fan_in"`` multiplies the precision of every array with at least two axes by the number
        of its inputs, those that one output sums over, so that the variance of a layer's output
        does not grow with its width. Arrays are (..., inputs, outputs), or as `layout` says;
        ``"fan_in_outputs_first"`` takes all for (outputs, inputs, ...). ``"none"`` takes the
        precision as it stands.
    layout
        Where inputs are under ``"fan_in"``: pairs of a glob over paths and a key of `INPUTS`, of
        which the first match counts. A `Model` puts in place what its network says. A table of
        embeddings has one input, since a row of it is looked up and nothing summed.

    Notes
    -----
    A weight decay is not a precision; `precision_from_weight_decay` converts.
    """

    precision: Any = 1.0
    scaling: str = static(default="fan_in")
    layout: tuple[tuple[str, str], ...] = static(default=())

    def __post_init__(self) -> None:
        if self.scaling not in SCALINGS:
            raise ValueError(f"scaling must be one of {', '.join(SCALINGS)}; got {self.scaling!r}.")

    def precision_of(self, params: Any) -> Any:
        scales = jax.tree_util.tree_map_with_path(self._scale, params)
        return jax.tree.map(_spread, self.precision, params, scales, is_leaf=is_learned)

    def _scale(self, keys: Any, leaf: jax.Array) -> int:
        """Return what the precision of an array is multiplied by."""
        if self.scaling == "none" or leaf.ndim < 2:
            return 1
        kept, path = "outputs first", trees.path_of(keys)
        if self.scaling == "fan_in":
            told = (axes for glob, axes in self.layout if fnmatchcase(path, glob))
            kept = next(told, "inputs first")
        return math.prod(INPUTS[kept](leaf.shape))

    def terms(self, params: Any) -> Any:
        return jax.tree.map(normal_term, params, self.precision_of(params))

    def log_prob(self, params: Any) -> jax.Array:
        return total(self.terms(params))

    def sample(self, key: jax.Array, like: Any) -> Any:
        leaves, structure = jax.tree.flatten(like)
        keys = jax.tree.unflatten(structure, list(jax.random.split(key, len(leaves))))

        def draw(key: jax.Array, leaf: jax.Array, precision: jax.Array) -> jax.Array:
            return jax.random.normal(key, leaf.shape, leaf.dtype) / jnp.sqrt(precision)

        return jax.tree.map(draw, keys, like, self.precision_of(like))


def _spread(precision: Any, params: Any, scales: Any) -> Any:
    """Return one entry of a prefix of the parameters as arrays like those below it."""

    def one(leaf: jax.Array, scale: int) -> jax.Array:
        return jnp.broadcast_to(value(precision) * scale, leaf.shape).astype(leaf.dtype)

    return jax.tree.map(one, params, scales)


def laid_out(prior: Any, network: Any) -> Any:
    """Return a prior that counts inputs where this network keeps them, not the one before it."""
    layout = getattr(network, "layout", ())
    is_told = not isinstance(prior, Normal) or prior.layout == layout
    return prior if is_told else replace(prior, layout=layout)


@struct
class HalfNormal:
    """Half-normal density of a positive scale, with the sd of the untruncated normal."""

    scale: Any = 1.0

    def log_prob(self, value: jax.Array) -> jax.Array:
        """Return the log density in nats at a positive value."""
        return 0.5 * (math.log(2 / math.pi) - (value / self.scale) ** 2) - jnp.log(self.scale)


@struct
class HalfCauchy:
    """Half-Cauchy density of a positive scale; `scale` is its median."""

    scale: Any = 1.0

    def log_prob(self, value: jax.Array) -> jax.Array:
        """Return the log density in nats at a positive value."""
        return math.log(2 / math.pi) - jnp.log(self.scale) - jnp.log1p((value / self.scale) ** 2)


def precision_from_weight_decay(
    decay: float, rows: int, *, loss: str = "mean_nll", noise_sd: float | None = None
) -> float:
    """Return the prior precision that a weight decay stands for.

    Parameters
    ----------
    decay
        The factor in the training code.
    rows
        Number of training rows N.
    loss
        ``"mean_nll"``: mean negative log likelihood + decay * w^2 summed, precision 2 N decay.
        ``"mean_squared"``: mean squared error + decay * w^2 summed, precision N decay / noise_sd^2.
        ``"gradient"``: decay * w is added to the gradient of the mean negative log likelihood,
        precision N decay. Decoupled decay (AdamW) is the mode of no prior.
    noise_sd
        Standard deviation of the noise, for ``"mean_squared"``.
    """
    if loss == "mean_nll":
        return 2 * rows * decay
    if loss == "gradient":
        return rows * decay
    if loss == "mean_squared" and noise_sd is not None:
        return rows * decay / noise_sd**2
    raise ValueError(
        "`loss` must be 'mean_nll', 'gradient', or 'mean_squared' together with `noise_sd`; "
        f"got {loss!r} and noise_sd={noise_sd}."
    )
