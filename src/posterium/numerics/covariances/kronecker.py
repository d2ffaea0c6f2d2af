"""Covariances that are a Kronecker product for every matrix of weights."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import struct
from posterium.numerics.covariances.base import (
    ROWS_BYTES,
    Covariance,
    Function,
    pulled,
    rows_at_once,
)
from posterium.numerics.taps import Tapped, tap


@struct
class KroneckerBlock:
    """The covariance of a weight matrix W (in, out): W = left Z right^T with Z independent.

    Parameters
    ----------
    left, right
        Matrices (in, in) and (out, out).
    sd
        Standard deviations of Z, (in, out).
    entries
        Where the entries of W stand in the vector of all weights, (in, out).
    """

    left: jax.Array
    right: jax.Array
    sd: jax.Array
    entries: jax.Array

    def outputs(self, inputs: jax.Array, gradients: jax.Array) -> jax.Array:
        """Return J S J^T, (k, k), for J = sum over positions t of outer products.

        `inputs` are (t, in), `gradients` of the outputs (k, t, out).
        """
        inputs, gradients = inputs @ self.left, gradients @ self.right
        if len(inputs) == 1:
            gradients = gradients[:, 0]
            return (gradients * (inputs[0] ** 2 @ self.sd**2)[None]) @ gradients.T
        slopes = jnp.einsum("ti,kto->kio", inputs, gradients) * self.sd[None]
        return jnp.einsum("kio,lio->kl", slopes, slopes)

    def marginals(self, inputs: jax.Array, gradients: jax.Array) -> jax.Array:
        """Return the diagonal of `outputs`, (k,)."""
        inputs, gradients = inputs @ self.left, gradients @ self.right
        if len(inputs) == 1:
            return gradients[:, 0] ** 2 @ (inputs[0] ** 2 @ self.sd**2)
        slopes = jnp.einsum("ti,kto->kio", inputs, gradients) * self.sd[None]
        return jnp.sum(slopes**2, axis=(1, 2))

    def rows(self, inputs: jax.Array, gradients: jax.Array) -> jax.Array:
        """Return the covariance of each output over rows, (k, n, n), a few inputs at a time.

        `inputs` are (n, t, in), `gradients` (n, k, t, out).
        """
        inputs, gradients = inputs @ self.left, jnp.moveaxis(gradients @ self.right, 1, 0)
        n, (size, width) = len(inputs), self.sd.shape
        most = max(1, min(size, ROWS_BYTES // (n * width * self.sd.dtype.itemsize)))
        short = -size % most
        inputs = jnp.pad(inputs, [(0, 0), (0, 0), (0, short)])
        parts = jnp.moveaxis(inputs.reshape(*inputs.shape[:2], -1, most), 2, 0)
        sd = jnp.pad(self.sd, [(0, short), (0, 0)]).reshape(-1, most, width)

        def add(total: jax.Array, part: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            inputs, sd = part

            def output(gradients: jax.Array) -> jax.Array:
                slopes = jnp.einsum("nti,nto->nio", inputs, gradients) * sd[None]
                return slopes.reshape(n, -1) @ slopes.reshape(n, -1).T

            return total + jax.lax.map(output, gradients), None

        start = jnp.zeros((len(gradients), n, n), self.sd.dtype)
        return jax.lax.scan(add, start, (parts, sd))[0]


@struct
class KroneckerCovariance(Covariance):
    """Independent Kronecker blocks, and independent weights besides.

    Parameters
    ----------
    blocks
        One a product of a weight matrix, in the order in which a function's products are met.
    sd
        Standard deviations of all other weights, (q,).
    places
        Where those stand in the vector of all weights, (q,).
    """

    blocks: tuple[KroneckerBlock, ...]
    sd: jax.Array
    places: jax.Array

    title: ClassVar[str] = "Kronecker"

    def sqrt(self, z: jax.Array) -> jax.Array:
        # Normals are taken in the order of the blocks: then one move puts all weights in place.
        own, *others = jnp.split(z, np.cumsum([self.sd.size, *self._sizes()])[:-1])
        parts, places = [self.sd * own], [self.places]
        for block, normals in zip(self.blocks, others, strict=True):
            inner = block.sd * normals.reshape(block.sd.shape)
            parts.append((block.left @ inner @ block.right.T).ravel())
            places.append(block.entries.ravel())
        held = jnp.concatenate(places)
        order = jnp.zeros_like(held).at[held].set(jnp.arange(held.size, dtype=held.dtype))
        return jnp.concatenate(parts)[order]

    def variance(self) -> jax.Array:
        found = jnp.zeros_like(self.sd, shape=self.size()).at[self.places].set(self.sd**2)
        for block in self.blocks:
            own = block.left**2 @ block.sd**2 @ (block.right**2).T
            found = found.at[block.entries].set(own)
        return found

    def quadratic(self, jacobian: jax.Array) -> jax.Array:
        rest = jacobian[:, self.places] * self.sd[None]
        total = rest @ rest.T
        for block in self.blocks:
            slopes = block.left.T @ jacobian[:, block.entries] @ block.right * block.sd[None]
            total += jnp.einsum("kio,lio->kl", slopes, slopes)
        return total

    def outputs(self, f: Function, params: Any, x: Any) -> tuple[jax.Array, jax.Array]:
        """Return f (n, k) and J S J^T (n, k, k); no Jacobian of a weight matrix is formed."""
        tapped = tap(f, params, x)

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            out, inputs, gradients, rest = self._row(tapped, x)
            parts = zip(self.blocks, inputs, gradients, strict=True)
            return out, sum((block.outputs(a, g) for block, a, g in parts), rest @ rest.T)

        return jax.lax.map(one, x, batch_size=_at_once(tapped, f, params, x))

    def marginals(self, f: Function, params: Any, x: Any) -> tuple[jax.Array, jax.Array]:
        tapped = tap(f, params, x)

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            out, inputs, gradients, rest = self._row(tapped, x)
            parts = zip(self.blocks, inputs, gradients, strict=True)
            total = jnp.sum(rest**2, axis=1)
            return out, sum((block.marginals(a, g) for block, a, g in parts), total)

        return jax.lax.map(one, x, batch_size=_at_once(tapped, f, params, x))

    def rows(self, f: Function, params: Any, x: Any) -> tuple[jax.Array, jax.Array]:
        """Return f (n, k) and the covariance of each output over rows; as `outputs`."""
        tapped = tap(f, params, x)

        def one(x: Any) -> Any:
            *told, rest = self._row(tapped, x)
            # A column more: lax.map takes no empty arrays.
            return *told, jnp.pad(rest, ((0, 0), (0, 1)))

        most = _at_once(tapped, f, params, x)
        out, inputs, gradients, rest = jax.lax.map(one, x, batch_size=most)
        total = jnp.einsum("nkq,mkq->knm", rest, rest)
        for block, a, g in zip(self.blocks, inputs, gradients, strict=True):
            total += block.rows(a, g)
        return out, total

    def row_width(self, f: Function, params: Any, x: Any) -> int:
        found = tap(f, params, x).products
        pairs = zip(self.blocks, found, strict=True)
        return self.sd.size + sum(p.positions * sum(block.sd.shape) for block, p in pairs)

    def _row(self, tapped: Tapped, x: Any) -> tuple[jax.Array, Any, Any, jax.Array]:
        """Return what `pulled` does, the rest times its standard deviations.

        Weights that are nowhere come last among the rest, and have no gradients.
        """
        out, inputs, gradients, rest = pulled(tapped, x)
        return out, inputs, gradients, rest * self.sd[None, : rest.shape[1]]

    def log_det(self) -> jax.Array:
        total = 2 * jnp.sum(jnp.log(self.sd))
        for block in self.blocks:
            rows, columns = block.sd.shape
            turns = columns * jnp.linalg.slogdet(block.left)[1]
            turns += rows * jnp.linalg.slogdet(block.right)[1]
            total += 2 * (jnp.sum(jnp.log(block.sd)) + turns)
        return total

    def dense(self) -> jax.Array:
        return self.quadratic(jnp.diag(jnp.ones_like(self.sd, shape=self.size())))

    def size(self) -> int:
        """Return the number of weights p."""
        return self.places.size + sum(self._sizes())

    def _sizes(self) -> list[int]:
        return [block.entries.size for block in self.blocks]


def _at_once(tapped: Tapped, f: Function, params: Any, x: Any) -> int:
    """Return how many rows go through at a time: inputs and gradients of each product count.

    Where positions share a matrix, so does the Jacobian in it, which only then is formed.
    """
    out = jax.eval_shape(f, params, x)
    outputs = out.size // out.shape[0]
    numbers = outputs * (1 + sum(tapped.leaves[i].size for i in tapped.rest))
    for p in tapped.products:
        numbers += p.positions * (len(p.entries) + outputs * p.outputs)
        numbers += outputs * p.entries.size if p.positions > 1 else 0
    return rows_at_once(numbers, out.dtype)
