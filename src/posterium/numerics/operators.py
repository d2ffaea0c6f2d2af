"""Covariance operators: what a Gaussian needs to know about its covariance, and no more.

Each is a record with `sqrt(z)` (a vector of unit normals to one with this covariance),
`variance()`, `quadratic(jacobian)`, `outputs(f, params, x)` and `log_det()`.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from posterium._struct import struct
from posterium.numerics import trees
from posterium.numerics.kronecker import layout
from posterium.numerics.taps import Tapped, tap

ROWS = 32
"""Rows that go through at a time, at most."""
ROWS_BYTES = 2**26
"""What their Jacobians may take, or what stands in their place."""


class Covariance(abc.ABC):
    """A covariance matrix over p weights, (p, p), by what can be done with it."""

    title: ClassVar[str]
    """What its kind is called, in words."""

    @abc.abstractmethod
    def sqrt(self, z: jax.Array) -> jax.Array:
        """Map unit normals (p,) to a draw (p,) with this covariance."""

    @abc.abstractmethod
    def variance(self) -> jax.Array:
        """Return the diagonal, (p,)."""

    @abc.abstractmethod
    def quadratic(self, jacobian: jax.Array) -> jax.Array:
        """Return J S J^T, (k, k), for J of shape (k, p)."""

    @abc.abstractmethod
    def log_det(self) -> jax.Array:
        """Return the log determinant."""

    @abc.abstractmethod
    def dense(self) -> jax.Array:
        """Return the matrix, (p, p)."""

    def outputs(
        self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Return f(params, x), (n, k), and J S J^T of each row, (n, k, k).

        `f` takes a batch and treats rows alone. The Jacobian is formed a few rows at a time.
        """

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            value, slopes = jacobian_row(f, params, x)
            return value, self.quadratic(slopes)

        return jax.lax.map(one, x, batch_size=_jacobians(f, params, x))

    def marginals(
        self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Return f(params, x) and the diagonal of J S J^T of each row, both (n, k)."""

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            value, slopes = jacobian_row(f, params, x)
            return value, jnp.diagonal(self.quadratic(slopes))

        return jax.lax.map(one, x, batch_size=_jacobians(f, params, x))

    def rows(
        self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Return f(params, x), (n, k), and the covariance of each output over rows, (k, n, n)."""

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            return jacobian_row(f, params, x)

        value, slopes = jax.lax.map(one, x, batch_size=_jacobians(f, params, x))
        return value, jax.lax.map(self.quadratic, jnp.moveaxis(slopes, 1, 0))

    def row_width(self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any) -> int:
        """Return how many numbers `rows` holds at most for a row and output besides its answer."""
        return trees.count(params)

    def ready(self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any) -> Any:
        """Return what answers `outputs` and `marginals` alike, for many batches such as x.

        Work that all rows share is done once there; where there is none it is the operator itself.
        """
        return self


def rows_at_once(numbers: int, dtype: Any) -> int:
    """Return how many rows go through at a time that hold so many numbers each.

    A power of two: it divides every tile of a prediction, so that no row meets another program.
    """
    fit = ROWS_BYTES // (numbers * jnp.dtype(dtype).itemsize)
    return 1 << max(0, min(fit, ROWS).bit_length() - 1)


def _jacobians(f: Callable[[Any, Any], jax.Array], params: Any, x: Any) -> int:
    """Return how many rows go through at a time where their Jacobians are formed."""
    out = jax.eval_shape(f, params, x)
    return rows_at_once(out.size // out.shape[0] * trees.count(params), out.dtype)


def jacobian_row(
    f: Callable[[Any, Any], jax.Array], params: Any, x: Any
) -> tuple[jax.Array, jax.Array]:
    """Return f at one row, (k,), and its Jacobian in the weights as one vector, (k, p)."""
    center, unravel = trees.ravel(params)

    def row(vector: jax.Array) -> jax.Array:
        return f(unravel(vector), jax.tree.map(lambda a: a[None], x))[0]

    return row(center), jax.jacrev(row)(center)


def pulled(tapped: Tapped, x: Any) -> tuple[jax.Array, list[jax.Array], list[jax.Array], jax.Array]:
    """Return what the Jacobian of a tapped function is made of at one row.

    Returns
    -------
    out
        The outputs, (k,).
    inputs, gradients
        Of each product (t, in), and (k, t, out) at what comes out of it.
    rest
        The Jacobian in the weights that are in none, (k, q).
    """
    out, inputs, back = tapped.pull(x)
    units = jnp.eye(out.size, dtype=out.dtype).reshape(-1, *out.shape)
    gradients, rest = jax.vmap(back)(units)
    slopes = [leaf.reshape(out.size, -1) for leaf in rest]
    empty = jnp.zeros((out.size, 0), out.dtype)
    return out.ravel(), inputs, gradients, jnp.concatenate([empty, *slopes], axis=1)


@struct
class Diagonal(Covariance):
    """A diagonal covariance, by its standard deviations (p,)."""

    sd: jax.Array

    title: ClassVar[str] = "diagonal"

    def sqrt(self, z: jax.Array) -> jax.Array:
        return self.sd * z

    def variance(self) -> jax.Array:
        return self.sd**2

    def quadratic(self, jacobian: jax.Array) -> jax.Array:
        scaled = jacobian * self.sd[None, :]
        return scaled @ scaled.T

    def log_det(self) -> jax.Array:
        return 2 * jnp.sum(jnp.log(self.sd))

    def dense(self) -> jax.Array:
        return jnp.diag(self.sd**2)


@struct
class Full(Covariance):
    """A dense covariance by any factor F (p, p) of it, S = F F^T.

    Of several outputs it sees the input of each product before the gradients at it: J F for one
    row then costs about p^2 multiplications, not k p^2.
    """

    factor: jax.Array

    title: ClassVar[str] = "full"

    def sqrt(self, z: jax.Array) -> jax.Array:
        return self.factor @ z

    def variance(self) -> jax.Array:
        return jnp.sum(self.factor**2, axis=1)

    def quadratic(self, jacobian: jax.Array) -> jax.Array:
        scaled = jacobian @ self.factor
        return scaled @ scaled.T

    def log_det(self) -> jax.Array:
        return 2 * jnp.linalg.slogdet(self.factor)[1]

    def dense(self) -> jax.Array:
        return self.factor @ self.factor.T

    def outputs(
        self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any
    ) -> tuple[jax.Array, jax.Array]:
        return self._map(lambda seen: seen @ seen.T, f, params, x)

    def marginals(
        self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any
    ) -> tuple[jax.Array, jax.Array]:
        return self._map(lambda seen: jnp.sum(seen**2, axis=1), f, params, x)

    def _map(
        self,
        told: Callable[[jax.Array], jax.Array],
        f: Callable[[Any, Any], jax.Array],
        params: Any,
        x: Any,
    ) -> tuple[jax.Array, jax.Array]:
        """Return f of each row, and something of J F, (k, p)."""
        tapped = tap(f, params, x)
        blocks, others = self._blocks(f, params, x)

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            out, inputs, gradients, rest = pulled(tapped, x)
            seen = rest @ others
            for block, a, g in zip(blocks, inputs, gradients, strict=True):
                seen += _through(block, a, g)
            return out, told(seen)

        width = max((p.outputs for p in tapped.products), default=1)
        rows = rows_at_once(width * len(self.factor), self.factor.dtype)
        return jax.lax.map(one, x, batch_size=rows)

    def _blocks(
        self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any
    ) -> tuple[list[jax.Array], jax.Array]:
        """Return the rows of F of each product (in, out, p), and of all other weights (q, p)."""
        found = layout(f, params, x)
        return [self.factor[at] for at in found.entries], self.factor[found.rest]

    def ready(self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any) -> Any:
        """Take the gradients of several outputs in, where they are alike for all rows.

        So they are in a last layer: the variance of an output is then a quadratic form in what
        enters it, and the covariance of that form is p / k wide.
        """
        tapped = tap(f, params, x)
        if any(p.positions > 1 for p in tapped.products):
            return self

        def slopes(x: Any) -> tuple[list[jax.Array], jax.Array]:
            return pulled(tapped, x)[2:]

        try:
            gradients, rest = jax.vmap(slopes, out_axes=None)(jax.tree.map(lambda a: a[:1], x))
        except ValueError:  # a gradient depends on the row
            return self
        if len(rest) == 1:
            return self
        blocks, others = self._blocks(f, params, x)

        def inner(slopes: tuple[list[jax.Array], jax.Array]) -> jax.Array:
            gradients, rest = slopes
            pairs = zip(blocks, gradients, strict=True)
            rows = [jnp.einsum("iop,o->ip", block, g[0]) for block, g in pairs]
            rows = jnp.concatenate([*rows, (rest @ others)[None]])
            return rows @ rows.T

        return FullHead(self, jax.lax.map(inner, (gradients, rest)))


def _through(block: jax.Array, inputs: jax.Array, gradients: jax.Array) -> jax.Array:
    """Return J F, (k, p), for J = sum over positions of outer products, F as (in, out, p)."""
    if len(inputs) == 1:
        return gradients[:, 0] @ jnp.einsum("i,iop->op", inputs[0], block)
    return jnp.einsum("ti,kto,iop->kp", inputs, gradients, block, optimize=[(0, 1), (0, 1)])


@struct
class FullHead:
    """What `Full` says of outputs whose gradients at all products are alike for all rows.

    Parameters
    ----------
    whole
        The covariance.
    inner
        Of each output, the covariance of its inputs' coefficients, (k, in, in): all products'
        inputs side by side, and 1 for what is in none.
    """

    whole: Full
    inner: jax.Array

    def outputs(
        self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any
    ) -> tuple[jax.Array, jax.Array]:
        return self.whole.outputs(f, params, x)

    def marginals(
        self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any
    ) -> tuple[jax.Array, jax.Array]:
        tapped = tap(f, params, x)

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            out, inputs, _ = tapped.pull(x)
            a = jnp.concatenate([*(a[0] for a in inputs), jnp.ones(1, out.dtype)])
            return out.ravel(), jnp.einsum("i,kij->kj", a, self.inner) @ a

        return jax.lax.map(one, x, batch_size=ROWS)


def from_precision(precision: jax.Array) -> Full:
    """Return the dense covariance whose inverse is a positive definite matrix (p, p).

    A matrix that is not positive definite gives NaN, which the caller must report.
    """
    lower = jnp.linalg.cholesky(precision)
    identity = jnp.eye(precision.shape[0], dtype=precision.dtype)
    return Full(solve_triangular(lower, identity, lower=True, trans="T"))


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
        draw = z.at[self.places].multiply(self.sd)
        for block in self.blocks:
            inner = block.sd * z[block.entries]
            draw = draw.at[block.entries].set(block.left @ inner @ block.right.T)
        return draw

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

    def outputs(
        self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Return f (n, k) and J S J^T (n, k, k); no Jacobian of a weight matrix is formed."""
        tapped = tap(f, params, x)

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            out, inputs, gradients, rest = self._row(tapped, x)
            parts = zip(self.blocks, inputs, gradients, strict=True)
            return out, sum((block.outputs(a, g) for block, a, g in parts), rest @ rest.T)

        return jax.lax.map(one, x, batch_size=ROWS)

    def marginals(
        self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any
    ) -> tuple[jax.Array, jax.Array]:
        tapped = tap(f, params, x)

        def one(x: Any) -> tuple[jax.Array, jax.Array]:
            out, inputs, gradients, rest = self._row(tapped, x)
            parts = zip(self.blocks, inputs, gradients, strict=True)
            total = jnp.sum(rest**2, axis=1)
            return out, sum((block.marginals(a, g) for block, a, g in parts), total)

        return jax.lax.map(one, x, batch_size=ROWS)

    def rows(
        self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Return f (n, k) and the covariance of each output over rows; as `outputs`."""
        tapped = tap(f, params, x)

        def one(x: Any) -> Any:
            *told, rest = self._row(tapped, x)
            # A column more: lax.map takes no empty arrays.
            return *told, jnp.pad(rest, ((0, 0), (0, 1)))

        out, inputs, gradients, rest = jax.lax.map(one, x, batch_size=ROWS)
        total = jnp.einsum("nkq,mkq->knm", rest, rest)
        for block, a, g in zip(self.blocks, inputs, gradients, strict=True):
            total += block.rows(a, g)
        return out, total

    def row_width(self, f: Callable[[Any, Any], jax.Array], params: Any, x: Any) -> int:
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
        return self.places.size + sum(block.entries.size for block in self.blocks)


@struct
class LowRankCovariance(Covariance):
    r"""The inverse of a diagonal precision plus one of low rank.

    With D the diagonal matrix of `scale`, :math:`S = D (I + B B^T)^{-1} D`.

    Parameters
    ----------
    scale
        Standard deviations without the second part, (p,).
    basis
        B (p, q), with orthogonal columns.
    values
        The squared norms of its columns, (q,).
    """

    scale: jax.Array
    basis: jax.Array
    values: jax.Array

    title: ClassVar[str] = "low-rank"

    def sqrt(self, z: jax.Array) -> jax.Array:
        shrunk = 1 / jnp.sqrt(1 + self.values)
        inner = shrunk**2 / (1 + shrunk) * (self.basis.T @ z)
        return self.scale * (z - self.basis @ inner)

    def variance(self) -> jax.Array:
        return self.scale**2 * (1 - self.basis**2 @ (1 / (1 + self.values)))

    def quadratic(self, jacobian: jax.Array) -> jax.Array:
        scaled = jacobian * self.scale[None]
        seen = scaled @ self.basis
        return scaled @ scaled.T - (seen / (1 + self.values)[None]) @ seen.T

    def log_det(self) -> jax.Array:
        return 2 * jnp.sum(jnp.log(self.scale)) - jnp.sum(jnp.log1p(self.values))

    def dense(self) -> jax.Array:
        return self.quadratic(jnp.diag(jnp.ones_like(self.scale)))
