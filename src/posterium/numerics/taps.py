"""What goes into the products of a function's weights, and what comes back to them.

For a product z = x w of one row, a tap reads the input x, as a matrix (positions, in), and adds a
zero to z, as a matrix (positions, out): the derivative in that zero is the gradient g at z. The
gradient of the weights is the sum over positions of the outer products of the two. A bias that is
added to z belongs to the product: its input is 1.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium.numerics import products
from posterium.numerics.interpret import (
    NOT_REAL,
    Coverage,
    Plain,
    Program,
    Site,
    Tracked,
    Use,
    trace,
)
from posterium.numerics.products import Axes


@dataclass
class Product:
    """A product of a weight, with the bias that is added to it.

    Parameters
    ----------
    weight, bias
        Numbers of the leaves; None without a bias.
    entries
        Which entry of the leaf, counted flat, stands where in the matrix (in, out).
    bias_entries
        The same for the bias, (out,).
    positions
        Positions of one row that share the weight.
    matrix
        Maps the leaf to the matrix; linear.
    """

    weight: int
    entries: np.ndarray
    positions: int
    matrix: Callable[[Any], Any]
    bias: int | None = None
    bias_entries: np.ndarray | None = None

    @property
    def outputs(self) -> int:
        """Columns of the weight's matrix."""
        return self.entries.shape[1]

    @property
    def size(self) -> int:
        """Entries of its result for one row."""
        return self.positions * self.outputs


@dataclass(frozen=True)
class Tapped:
    """A function of one row whose products are tapped.

    Parameters
    ----------
    program, leaves
        The function, and its parameters as leaves.
    products
        Its products, in the order in which they are met.
    rest
        Numbers of the leaves that are differentiated as they stand: in no product.
    coverage
        Which weight is in a product, and why another is not.
    """

    program: Program
    leaves: tuple[Any, ...]
    products: tuple[Product, ...]
    rest: tuple[int, ...]
    coverage: Coverage

    def pull(self, x: Any) -> tuple[jax.Array, list[jax.Array], Callable[..., Any]]:
        """Evaluate at one row.

        Returns
        -------
        out
            The output.
        inputs
            Of each product (positions, in); with a column of ones for a bias.
        back
            Maps a cotangent of the output to the gradients at the products' outputs, each
            (positions, out), and the gradients of the rest.
        """
        dtype = jnp.result_type(*(self.leaves[p.weight] for p in self.products), jnp.float32)
        zeros = [jnp.zeros((p.positions, p.outputs), dtype) for p in self.products]
        rest = [self.leaves[i] for i in self.rest]

        def run(zeros: list[jax.Array], rest: list[Any]) -> tuple[jax.Array, list[jax.Array]]:
            leaves = list(self.leaves)
            for i, leaf in zip(self.rest, rest, strict=True):
                leaves[i] = leaf
            use = _Taps(self.program.paths, leaves, zeros)
            (out,) = self.program.run(use, jax.tree.leaves(x))
            return out, use.inputs()

        out, back, inputs = jax.vjp(run, zeros, rest, has_aux=True)
        return out, inputs, back

    def gradients(
        self, inputs: list[jax.Array], gradients: list[jax.Array], rest: list[jax.Array]
    ) -> list[jax.Array]:
        """Return the gradients of all leaves at one row, from what `pull` and its `back` gave."""
        leaves = [jnp.zeros_like(leaf) for leaf in self.leaves]
        for i, leaf in zip(self.rest, rest, strict=True):
            leaves[i] = leaf
        for product, a, g in zip(self.products, inputs, gradients, strict=True):
            outer = (a.T @ g).astype(leaves[product.weight].dtype)
            to_leaf = jax.linear_transpose(product.matrix, leaves[product.weight])
            if product.bias is not None:
                like, outer, row = leaves[product.bias], outer[:-1], outer[-1]
                flat = jnp.zeros(like.size, like.dtype).at[product.bias_entries].set(row)
                leaves[product.bias] = flat.reshape(like.shape)
            (leaves[product.weight],) = to_leaf(outer)
        return leaves


def tap(f: Callable[[Any, Any], Any], params: Any, x: Any) -> Tapped:
    """Find the products of a function's weights. `f` and `x` are as `interpret.trace` takes them.

    Raises
    ------
    ValueError
        Where f returns several arrays.
    """
    program = trace(f, params, x)
    if program.structure.num_leaves != 1:
        raise ValueError(
            f"The function must return one array; it returned {program.structure.num_leaves}. "
            "Select or concatenate them."
        )
    leaves = tuple(map(jnp.asarray, jax.tree.leaves(params)))
    use = _Taps(program.paths, leaves)
    jax.eval_shape(lambda row: program.run(use, jax.tree.leaves(row)), program.row)
    rest = tuple(i for i in sorted(use.log) if use.log[i][0] == "plain")
    return Tapped(program, leaves, tuple(use.products), rest, program.coverage(use.log))


class _Taps(Use):
    """The walk of one row; without zeros, it finds the products."""

    def __init__(
        self,
        paths: Sequence[str],
        leaves: Sequence[Any],
        zeros: Sequence[jax.Array] | None = None,
    ) -> None:
        self.paths, self.leaves, self.zeros = paths, leaves, zeros
        self.products: list[Product] = []
        self.read: list[jax.Array] = []
        self.log: dict[int, tuple[str, str]] = {}

    def settle(self, tracked: Tracked, reason: str) -> Any:
        if not tracked.is_weight:
            return tracked.value
        self.log[tracked.source] = ("fixed" if reason == NOT_REAL else "plain", reason)
        return tracked.view(self.leaves[tracked.source])

    def inputs(self) -> list[jax.Array]:
        """Return the products' inputs, with ones for a bias."""
        pairs = zip(self.products, self.read, strict=True)
        return [a if p.bias is None else _with_ones(a) for p, a in pairs]

    def numbers(self, view: Callable[[Any], Any], shape: tuple[int, ...]) -> np.ndarray:
        """Return which entry of an array of some shape stands where in a view of it."""
        with jax.ensure_compile_time_eval():
            numbers = jnp.arange(np.prod(shape, dtype=np.int64)).reshape(shape)
            return np.asarray(view(numbers))

    def product(self, site: Site) -> Any:
        """Tap a product with one weight.

        Not one with a batch of matrices, or with groups of channels: its gradient is no single
        outer product, and neither is its curvature.
        """
        found = products.axes(site)
        if isinstance(found, Plain):
            return found
        tracked, x = site.ins[found.weight], site.ins[found.other]
        x = x.value if isinstance(x, Tracked) else x
        weight = self.leaves[tracked.source]
        if found.batch_w or site.params.get("feature_group_count", 1) != 1:
            return Plain("is several products at once")
        if not jnp.issubdtype(x.dtype, jnp.floating):
            return Plain("its product is not one of real numbers")
        positions = found.positions(site)

        def matrix(leaf: Any) -> Any:
            return _kernel(site, found, tracked.view(leaf))

        entries = self.numbers(matrix, weight.shape)
        product = Product(tracked.source, entries, positions, matrix)
        w = tracked.view(weight)
        out = site.bind(*((w, x) if found.weight == 0 else (x, w)))[0]

        def placed(matrix: jax.Array) -> jax.Array:
            return _placed(site, found, matrix)

        if self.zeros is not None:
            out = out + placed(self.zeros[len(self.products)]).astype(out.dtype)
        self.log[tracked.source] = ("product", f"{positions} positions share it")
        self.products.append(product)
        self.read.append(_inputs(site, found, x).reshape(positions, -1))
        return Tracked(product, placed, False, out)

    def bias(self, site: Site) -> Any:
        """Take what is added to a product as its bias, if it has an entry for each column.

        Not if it differs between positions (an embedding of them), or repeats along columns.
        """
        sides = [value for value in site.ins if isinstance(value, Tracked)]
        if len(sides) != 2 or sides[0].is_weight == sides[1].is_weight:
            return Plain(f"enters {site.name}")
        tapped, tracked = sorted(sides, key=lambda side: side.is_weight)
        product, leaf = tapped.source, self.leaves[tracked.source]
        cells = self.numbers(tapped.view, (product.positions, product.outputs))
        if tapped.spread or cells.shape != site.shape or cells.size != product.size:
            return Plain("is added to a part of a product")
        added = np.broadcast_to(self.numbers(tracked.view, leaf.shape), site.shape)
        entries = np.empty(product.size, int)
        entries[cells.ravel()] = added.ravel()
        entries = entries.reshape(product.positions, product.outputs)
        if np.any(entries != entries[:1]) or np.unique(entries[0]).size != product.outputs:
            return Plain("is no entry a column of a product")
        product.bias, product.bias_entries = tracked.source, entries[0]
        self.log[tracked.source] = ("bias", f"of {self.paths[product.weight]}")
        pair = [v.value if v is tapped else v.view(leaf) for v in site.ins]
        return site.bind(*pair)[0]

    rules: ClassVar = {
        **dict.fromkeys(products.PRODUCTS, product),
        **dict.fromkeys(("add", "add_any"), bias),
    }


def _kernel(site: Site, axes: Axes, weight: jax.Array) -> jax.Array:
    """Return a weight as a matrix (in, out), rows in the order of `_inputs`."""
    window = axes.window_w if site.name == "conv_general_dilated" else ()
    outputs = math.prod(weight.shape[i] for i in axes.free_w)
    return jnp.transpose(weight, (*axes.sum_w, *window, *axes.free_w)).reshape(-1, outputs)


def _inputs(site: Site, axes: Axes, x: jax.Array) -> jax.Array:
    """Return what a product reads at each position, axes (positions..., in...).

    Of a convolution: patches, with the channel before the window.
    """
    if site.name == "dot_general":
        return jnp.transpose(x, (*axes.free_x, *axes.sum_x))
    names = ("padding", "lhs_dilation", "rhs_dilation", "dimension_numbers", "precision")
    window = [site.shapes[axes.weight][i] for i in axes.window_w]
    strides, options = site.params["window_strides"], {n: site.params[n] for n in names}
    patches = jax.lax.conv_general_dilated_patches(x, window, strides, **options)
    return jnp.transpose(patches, (*axes.x_out, *axes.w_out))


def _placed(site: Site, axes: Axes, matrix: jax.Array) -> jax.Array:
    """Return a matrix (positions, out) with the axes of the product's output."""
    order = (*axes.x_out, *axes.w_out)
    inverse = tuple(order.index(i) for i in range(len(order)))
    return jnp.transpose(matrix.reshape([site.shape[i] for i in order]), inverse)


def _with_ones(inputs: jax.Array) -> jax.Array:
    return jnp.concatenate([inputs, jnp.ones_like(inputs[:, :1])], axis=1)
