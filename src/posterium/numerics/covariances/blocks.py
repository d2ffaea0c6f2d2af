"""Covariances put together: a Kronecker product, and blocks one behind another."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import block_diag

from posterium._struct import struct
from posterium.numerics.covariances.base import Covariance
from posterium.numerics.covariances.dense import Diagonal
from posterium.numerics.covariances.kronecker import KroneckerBlock, KroneckerCovariance


@struct
class KroneckerProduct(Covariance):
    r"""The covariance of a matrix W = left Z right^T with unit normals Z, row by row.

    So :math:`S = L L^T \otimes R R^T`: rows are correlated by the one, columns by the other.

    Parameters
    ----------
    left, right
        Factors (a, a) and (b, b) for W of shape (a, b).
    """

    left: jax.Array
    right: jax.Array

    title: ClassVar[str] = "Kronecker"

    def sqrt(self, z: jax.Array) -> jax.Array:
        return (self.left @ z.reshape(self._shape()) @ self.right.T).ravel()

    def variance(self) -> jax.Array:
        rows, columns = (jnp.sum(factor**2, axis=1) for factor in (self.left, self.right))
        return jnp.outer(rows, columns).ravel()

    def quadratic(self, jacobian: jax.Array) -> jax.Array:
        slopes = self.left.T @ jacobian.reshape(-1, *self._shape()) @ self.right
        slopes = slopes.reshape(jacobian.shape)
        return slopes @ slopes.T

    def log_det(self) -> jax.Array:
        rows, columns = self._shape()
        turns = columns * jnp.linalg.slogdet(self.left)[1]
        return 2 * (turns + rows * jnp.linalg.slogdet(self.right)[1])

    def dense(self) -> jax.Array:
        return jnp.kron(self.left @ self.left.T, self.right @ self.right.T)

    def _shape(self) -> tuple[int, int]:
        return len(self.left), len(self.right)


@struct
class BlockDiagonal(Covariance):
    """Independent groups of weights, one behind another.

    Parameters
    ----------
    parts
        The covariance of each group.
    """

    parts: tuple[Covariance, ...]

    title: ClassVar[str] = "block-diagonal"

    def sqrt(self, z: jax.Array) -> jax.Array:
        own = jnp.split(z, self._ends())
        return jnp.concatenate([p.sqrt(z) for p, z in zip(self.parts, own, strict=True)])

    def variance(self) -> jax.Array:
        return jnp.concatenate([part.variance() for part in self.parts])

    def quadratic(self, jacobian: jax.Array) -> jax.Array:
        own = jnp.split(jacobian, self._ends(), axis=1)
        zero = jnp.zeros((len(jacobian),) * 2, jacobian.dtype)
        return sum((p.quadratic(j) for p, j in zip(self.parts, own, strict=True)), zero)

    def log_det(self) -> jax.Array:
        return jnp.sum(jnp.stack([part.log_det() for part in self.parts]))

    def dense(self) -> jax.Array:
        return block_diag(*(part.dense() for part in self.parts))

    def sizes(self) -> tuple[int, ...]:
        """Return the number of weights of each part."""
        return tuple(jax.eval_shape(part.variance).size for part in self.parts)

    def _ends(self) -> list[int]:
        """Return where each part but the last one ends."""
        return np.cumsum(self.sizes())[:-1].tolist()


def by_place(covariance: BlockDiagonal) -> KroneckerCovariance | None:
    """Return blocks one behind another as blocks that know their places, with arrays on the host.

    None where a part is neither a Kronecker product nor diagonal.
    """
    sizes = covariance.sizes()
    places = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    dtype = np.result_type(*jax.tree.leaves(covariance))
    blocks, sds, rest = [], [np.zeros(0, dtype)], [np.zeros(0, int)]
    for part, at in zip(covariance.parts, places, strict=True):
        if isinstance(part, KroneckerProduct):
            blocks.append(_block(part, at))
        elif isinstance(part, Diagonal):
            sds.append(np.asarray(part.sd))
            rest.append(at)
        else:
            return None
    sd: Any = np.concatenate(sds)
    where: Any = np.concatenate(rest)
    return KroneckerCovariance(tuple(blocks), sd, where)


def _block(product: KroneckerProduct, places: np.ndarray) -> KroneckerBlock:
    left: Any = np.asarray(product.left)
    right: Any = np.asarray(product.right)
    entries: Any = places.reshape(len(left), len(right))
    return KroneckerBlock(left, right, np.ones_like(left, shape=entries.shape), entries)
