"""The normal prior with independent weights, and none at all."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import static, struct
from posterium.model.hyper import is_learned, value
from posterium.model.priors.base import INFINITY, LOG_2PI, Layout, Scaled, spread, total
from posterium.numerics import random, trees


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
class Normal(Scaled):
    """Independent Gaussian prior, w ~ N(0, 1 / precision).

    Parameters
    ----------
    precision
        One number, or a tree that is a prefix of the parameters (a number a layer, or an array a
        weight); in one over squared weight units. `learn(...)` marks it as free, and with a prior
        of its own, such as `Gamma`, as hierarchical. An entry of 0 is flat (improper) and adds
        nothing to the log density.
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
    layout: Layout = static(default=())

    narrows: ClassVar[dict[str, str]] = {"precision": INFINITY}

    def precision_of(self, params: Any) -> Any:
        each = spread(self.precision, params)
        return jax.tree.map(jnp.multiply, each, self.inputs(params))

    def terms(self, params: Any) -> Any:
        return jax.tree.map(normal_term, params, self.precision_of(params))

    def log_prob(self, params: Any) -> jax.Array:
        return total(self.terms(params))

    def sample(self, key: jax.Array, like: Any) -> Any:
        # One call for all arrays: compiling a generator for each takes longer than anything else.
        zeros, unravel = trees.ravel(like)
        normals = unravel(random.normal(key, zeros.shape, zeros.dtype))
        return jax.tree.map(lambda z, p: z / jnp.sqrt(p), normals, self.precision_of(like))


def is_proper(prior: Any) -> bool:
    """Say whether a prior has draws: neither it nor a part of it is flat."""

    def may_be_flat(node: Any) -> bool:
        return isinstance(node, Flat | Normal)

    parts = filter(may_be_flat, jax.tree.leaves(prior, is_leaf=may_be_flat))
    found = [getattr(part, "precision", 0.0) for part in parts]
    return all(np.all(np.asarray(value(p)) > 0) for p in jax.tree.leaves(found, is_leaf=is_learned))


def normal_term(values: jax.Array, precision: jax.Array) -> jax.Array:
    """Return the summed log density of independent N(0, 1 / precision); flat where that is 0."""
    proper = precision > 0
    norm = jnp.where(proper, 0.5 * (jnp.log(jnp.where(proper, precision, 1)) - LOG_2PI), 0)
    return jnp.sum(norm - 0.5 * precision * values**2)


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
