r"""Gaussians with a Kronecker covariance for every matrix of weights.

.. math:: W = M + A Z B^\top, \qquad Z_{ij} \sim N(0, 1)

so that the rows of W are correlated by :math:`A A^\top` and its columns by :math:`B B^\top`
(Louizos and Welling 2016, who keep A and B diagonal; here they are lower triangular).
"""

import math
from fnmatch import fnmatchcase
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import static, struct
from posterium.numerics.covariances.base import Covariance
from posterium.numerics.covariances.blocks import BlockDiagonal, KroneckerProduct
from posterium.numerics.covariances.dense import Diagonal
from posterium.numerics.divergence import gaussian_log_prob
from posterium.numerics.families.base import (
    Shapes,
    floored,
    log_positive,
    positive,
    raw_of,
    triangular,
    triangular_log_det,
    triangular_solve,
)
from posterium.numerics.families.gaussian import Whitened

NO_MATRIX = "no sum"
"""Where a network says so, weights are added or looked up: they multiply nothing."""
STACKED = "stacked, "
"""What a network says first where arrays of several networks are stacked: more rows."""


@struct
class MatrixNormal(Whitened):
    """A Kronecker covariance for every matrix of weights; all other weights are independent.

    An array of more than two axes is a matrix of its last axis (the outputs) against all others,
    so that a convolution's kernel is (window * inputs, outputs). A draw and a density of a matrix
    (a, b) take about a b (a + b) multiplications each; its factors are a^2 + b^2 numbers.

    Parameters
    ----------
    layout
        For networks that keep outputs elsewhere, pairs of a glob over paths and a word, as a
        network's own `layout`. The first match counts: under ``"inputs first"`` the last axis is
        split off, under ``"no sum"`` (biases, tables of embeddings) weights are independent, and
        under any other word the first axis is split off. Networks ``"stacked, "`` in front of
        that are rows too.
    """

    layout: tuple[tuple[str, str], ...] = static(default=())

    def start(self, mean: jax.Array, sd: jax.Array, shapes: Shapes) -> dict[str, Any]:
        """Return coordinates: factors of every matrix, scales of every other array."""
        parts = (self._start(path, shape, sd) for path, shape in shapes)
        return {"mean": mean, "parts": tuple(parts)}

    def _start(self, path: str, shape: tuple[int, ...], sd: jax.Array) -> dict[str, jax.Array]:
        split = self._split(path, shape)
        if split is None:
            return {"scale": jnp.full(math.prod(shape), raw_of(sd))}
        sizes = {"rows": math.prod(shape[:split]), "columns": math.prod(shape[split:])}
        half = raw_of(jnp.sqrt(sd))
        return {name: half * jnp.eye(size, dtype=sd.dtype) for name, size in sizes.items()}

    def _split(self, path: str, shape: tuple[int, ...]) -> int | None:
        """Return how many axes are rows of the matrix, or None where there is no matrix."""
        told = (word for glob, word in self.layout if fnmatchcase(path, glob))
        said = next(told, "inputs first")
        word = said.removeprefix(STACKED)
        if len(shape) < 2 or word == NO_MATRIX:
            return None
        return len(shape) - 1 if word == "inputs first" else 1 + (word != said)

    def covariance(self, raw: Any) -> BlockDiagonal:
        return BlockDiagonal(tuple(map(_covariance, raw["parts"])))

    def log_det(self, raw: Any) -> jax.Array:
        return 2 * jnp.sum(jnp.stack([_log_det(part) for part in raw["parts"]]))

    def log_prob(self, raw: Any, w: jax.Array) -> jax.Array:
        ends = np.cumsum([_size(part) for part in raw["parts"]])[:-1].tolist()
        offsets = jnp.split(w - raw["mean"], ends)
        z = [_whiten(part, own) for part, own in zip(raw["parts"], offsets, strict=True)]
        return gaussian_log_prob(jnp.concatenate(z), self.log_det(raw))


def _covariance(part: dict[str, jax.Array]) -> Covariance:
    if "scale" in part:
        return Diagonal(positive(part["scale"]))
    return KroneckerProduct(triangular(part["rows"]), triangular(part["columns"]))


def _log_det(part: dict[str, jax.Array]) -> jax.Array:
    """Return the log determinant of the square root of a part's covariance."""
    if "scale" in part:
        return jnp.sum(log_positive(part["scale"]))
    rows, columns = part["rows"], part["columns"]
    return len(columns) * triangular_log_det(rows) + len(rows) * triangular_log_det(columns)


def _size(part: dict[str, jax.Array]) -> int:
    """Return the number of weights of a part."""
    return len(part["scale"]) if "scale" in part else len(part["rows"]) * len(part["columns"])


def _whiten(part: dict[str, jax.Array], offset: jax.Array) -> jax.Array:
    """Return the unit normals that a part's offset from the mean is made of."""
    if "scale" in part:
        return offset / floored(log_positive(part["scale"]))
    matrix = offset.reshape(len(part["rows"]), len(part["columns"]))
    inner = triangular_solve(part["rows"], matrix)
    return triangular_solve(part["columns"], inner.T).T.ravel()
