r"""Outputs under uncertain weights, with noise of lower variance where that is sound.

A draw of f(w, x) for independent Gaussian weights may take one w for all rows of a batch, or
another for each row, without ever forming the latter:

- local reparameterisation (Kingma et al. 2015) draws the product x w, a Gaussian, instead of w;
- flipout (Wen et al. 2018) gives each row :math:`w = m + s \circ \epsilon \circ r q^\top`, one
  :math:`\epsilon` for all and random signs r, q of its own;
- biases and scales are drawn anew for each row: no more numbers than what they are added to.

Every row has exactly the law of f(w, x) under the Gaussian, all its outputs and positions
together. Rows are independent under local reparameterisation. Under flipout their perturbations
are uncorrelated, but share their magnitudes: outputs that are not linear in them may correlate.
Under the shared draw rows have the joint law of one function.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from posterium.numerics import products, random
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
from posterium.numerics.trees import flatten

MODES = ("local", "flipout", "shared")
SUMS = ("add", "add_any", "sub")
ELEMENTWISE = (*SUMS, "mul", "div")
AS_ASKED = ("shared", "as asked for")
FIXED = ("fixed", NOT_REAL)

Function = Callable[[Any, Any], Any]


def draw(
    f: Function, mean: Any, sd: Any, x: Any, key: jax.Array, *, mode: str = "local"
) -> tuple[Any, Coverage]:
    """Draw the outputs of a function, each row under Gaussian weights.

    Costs two products where `f` has one, and normals for outputs in the place of weights.

    Parameters
    ----------
    f
        `f(params, x)`, batch in, outputs with leading axis n out. It must treat rows alone
        (`interpret.rows_are_alone`), unless the mode is ``"shared"``.
    mean, sd
        Means and standard deviations of the weights: pytrees alike.
    x
        The batch: an array (n, ...), or a pytree of arrays with leading axis n.
    key
        A random key.
    mode
        ``"local"`` takes local reparameterisation where it is exact and flipout where only that
        is; ``"flipout"`` takes flipout for all products; ``"shared"`` one draw for all rows.
        Where none of the first two is exact, a weight has one draw for all rows.

    Returns
    -------
    outputs
        What f returns.
    coverage
        Which weight got which treatment, and why.
    """
    _check(mode)
    normal_key, sign_key, unit_key = jax.random.split(key, 3)
    leaves, structure = jax.tree.flatten(mean)
    spread = structure.flatten_up_to(sd)
    dtype = jnp.result_type(*[leaf for leaf in leaves if _is_float(leaf)], jnp.float32)
    if mode == "shared":
        units = _units(unit_key, leaves, range(len(leaves)), dtype)
        pairs = zip(leaves, spread, units, strict=True)
        drawn = [m if unit is None else m + s * unit for m, s, unit in pairs]
        return f(structure.unflatten(drawn), x), _all_shared(mean)
    program = trace(f, mean, x)
    plan = _plan(program, mode, leaves)
    units = _units(unit_key, leaves, plan.units, dtype)
    n = jax.tree.leaves(x)[0].shape[0]
    normals = random.normal(normal_key, (n, plan.normals), dtype)
    words = random.bits(sign_key, (n, -(-plan.signs // random.WORD)))

    def row(x: Any, normals: jax.Array, words: jax.Array) -> list[jax.Array]:
        return _run(program, _Noise(mode, leaves, spread, units, normals, random.signs(words)), x)

    outs = jax.vmap(row)(x, normals, words)
    return jax.tree.unflatten(program.structure, outs), plan.coverage


def coverage(f: Function, params: Any, x: Any, *, mode: str = "local") -> Coverage:
    """Return which weight gets which treatment in `draw`, and why; nothing is computed."""
    _check(mode)
    if mode == "shared":
        return _all_shared(params)
    return _plan(trace(f, params, x), mode, jax.tree.leaves(params)).coverage


class Value(NamedTuple):
    """An array of one row, and whether it differs between rows."""

    array: jax.Array
    row: bool


class Plan(NamedTuple):
    """What random numbers a walk takes: of each row, and for the leaves drawn once for all."""

    normals: int
    signs: int
    units: frozenset[int]
    coverage: Coverage


class _Noise(Use):
    """The walk of one row; with no random numbers given, it counts those that it takes.

    Besides weights it tracks products whose noise, independent over their entries, is not drawn
    yet: `source` is its variance. A bias that is added adds its own, and takes no number more.
    """

    def __init__(
        self,
        mode: str,
        mean: Sequence[jax.Array],
        sd: Sequence[jax.Array],
        units: Sequence[jax.Array | None] | None = None,
        normals: jax.Array | None = None,
        signs: jax.Array | None = None,
    ) -> None:
        self.mode, self.mean, self.sd, self.units = mode, mean, sd, units
        self.pool = {"normals": normals, "signs": signs}
        self.taken = {"normals": 0, "signs": 0}
        self.shared: set[int] = set()
        self.log: dict[int, tuple[str, str]] = {}

    def constant(self, value: Any) -> Value:
        return Value(value, False)

    def evaluate(self, site: Site) -> list[Value]:
        row = any(value.row for value in site.ins)
        return [Value(out, row) for out in site.bind(*(value.array for value in site.ins))]

    def settle(self, tracked: Tracked, reason: str) -> Value:
        """Return one draw for all rows, exact whatever follows; of a product, the row's draw."""
        if not tracked.is_weight:
            variance = tracked.source
            deviation = _root(variance) * self.take("normals", variance.shape, variance.dtype)
            return Value(tracked.value + tracked.view(deviation), True)
        leaf = tracked.source
        if not _is_float(self.mean[leaf]):
            self.log[leaf] = FIXED
            return Value(tracked.view(self.mean[leaf]), False)
        self.log[leaf] = ("shared", reason)
        return Value(tracked.view(self.mean[leaf] + self.deviation(leaf)), False)

    def call(self, site: Site, run: Callable[..., Sequence[Any]]) -> Sequence[Any]:
        """Walk through a call; a part that is recomputed in the backward pass remains one."""
        if "prevent_cse" not in site.params:
            return run(*site.ins)
        kinds: list[Any] = []

        def arrays(*given: Any) -> list[Any]:
            pairs = zip(site.ins, given, strict=True)
            ins = [v if isinstance(v, Tracked) else Value(a, v.row) for v, a in pairs]
            kinds[:] = [self._drawn(value) for value in run(*ins)]
            return [None if isinstance(v, Tracked) else v.array for v in kinds]

        options = {name: site.params[name] for name in ("prevent_cse", "policy")}
        given = [None if isinstance(value, Tracked) else value.array for value in site.ins]
        outs = jax.checkpoint(arrays, **options)(*given)
        pairs = zip(kinds, outs, strict=True)
        return [kind if a is None else Value(a, kind.row) for kind, a in pairs]

    def take(self, kind: str, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        """Return the next random numbers of this row."""
        start, pool = self.taken[kind], self.pool[kind]
        self.taken[kind] = stop = start + int(np.prod(shape, dtype=np.int64))
        if pool is None:
            return jnp.zeros(shape, dtype)
        return pool[start:stop].reshape(shape).astype(dtype)

    def deviation(self, leaf: int) -> jax.Array:
        """Return sd times unit normals that all rows share."""
        self.shared.add(leaf)
        unit = None if self.units is None else self.units[leaf]
        return self.sd[leaf] * (jnp.zeros_like(self.mean[leaf]) if unit is None else unit)

    def product(self, site: Site) -> Any:
        """Draw y = x w.

        Local reparameterisation, where each weight enters one output of the row: outputs are then
        independent Gaussians given x. It is not exact with positions that share the weight
        (patches of a convolution, time steps): their outputs are correlated, and flipout is
        taken, which is exact as the signs of a row belong to the weight's rows and columns.
        Neither is, where x is the same for all rows of the batch, worth a product a row.
        """
        found = products.axes(site)
        if isinstance(found, Plain):
            return found
        tracked, x = site.ins[found.weight], self._drawn(site.ins[found.other])
        if not x.row:
            return Plain("meets what is the same in every row")
        if not _is_float(x.array):
            return Plain("its product is not one of real numbers")

        def apply(w: jax.Array, x: jax.Array) -> jax.Array:
            return site.bind(*((w, x) if found.weight == 0 else (x, w)))[0]

        out = apply(tracked.view(self.mean[tracked.source]), x.array)
        positions = found.positions(site)
        if self.mode == "local" and positions == 1:
            self.log[tracked.source] = ("local", "each weight enters one output")
            return Tracked(apply(tracked.view(self.sd[tracked.source]) ** 2, x.array**2), value=out)
        why = "as asked for" if self.mode == "flipout" else f"{positions} positions share it"
        self.log[tracked.source] = ("flipout", why)
        delta = tracked.view(self.deviation(tracked.source))
        shape = _kept(site.shapes[found.other], (*found.sum_x, *found.batch_x))
        flipped = x.array * self.take("signs", shape, x.array.dtype)
        flips = self.take("signs", _kept(site.shape, found.w_out), out.dtype)
        return Value(out + apply(delta, flipped) * flips, True)

    def elementwise(self, site: Site) -> Any:
        """Draw a weight that is added or multiplied entry by entry anew for each row.

        Exact whatever follows, repeated along positions or not, since the row has one draw and
        the weight is used nowhere else. Not done where the other operand is the same in every
        row: the draw would make a computation of every row out of one.
        """
        weights = site.weights()
        if len(weights) != 1:
            return Plain("meets another weight")
        tracked, other = site.ins[weights[0]], site.ins[1 - weights[0]]
        if isinstance(other, Value) and not other.row:
            return Plain("meets what is the same in every row")
        mean, sd = self.mean[tracked.source], self.sd[tracked.source]
        self.log[tracked.source] = ("per row", f"enters {site.name}")

        def apply(w: jax.Array, x: jax.Array) -> jax.Array:
            return site.bind(*((w, x) if weights == [0] else (x, w)))[0]

        if site.name in SUMS and isinstance(other, Tracked) and _entry_by_entry(site):
            variance = other.view(other.source) + tracked.view(sd) ** 2
            return Tracked(variance, value=apply(tracked.view(mean), other.value))
        drawn = mean + sd * self.take("normals", mean.shape, mean.dtype)
        return Value(apply(tracked.view(drawn), self._drawn(other).array), True)

    def gather(self, site: Site) -> Plain:
        """Look up entries of one draw for all rows, so that a token is the same wherever it is.

        A draw a look-up would be inexact for a token that stands twice in a row.
        """
        looked_up = site.weights() == [0] and site.ins[1].row
        return Plain("a table of embeddings: one draw a token" if looked_up else "enters gather")

    def _drawn(self, value: Any) -> Any:
        """Return a value whose noise is drawn; weights stay as they are."""
        noisy = isinstance(value, Tracked) and not value.is_weight
        return self.settle(value, "") if noisy else value

    rules: ClassVar = {
        **dict.fromkeys(products.PRODUCTS, product),
        **dict.fromkeys(ELEMENTWISE, elementwise),
        "gather": gather,
    }


def _check(mode: str) -> None:
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}; got {mode!r}.")


def _all_shared(params: Any) -> Coverage:
    leaves = flatten(params).items()
    lines = [(path, AS_ASKED if _is_float(leaf) else FIXED) for path, leaf in leaves]
    return Coverage(tuple((path, *line) for path, line in lines))


def _run(program: Program, use: _Noise, x: Any) -> list[jax.Array]:
    return [value.array for value in program.run(use, [Value(a, True) for a in jax.tree.leaves(x)])]


def _plan(program: Program, mode: str, leaves: Sequence[Any]) -> Plan:
    use = _Noise(mode, leaves, leaves)
    jax.eval_shape(lambda row: _run(program, use, row), program.row)
    numbers = use.taken["normals"], use.taken["signs"]
    return Plan(*numbers, frozenset(use.shared), program.coverage(use.log))


def _units(key: jax.Array, leaves: Sequence[Any], wanted: Any, dtype: Any) -> list[Any]:
    """Return unit normals shaped like the wanted floating-point leaves, None for the others."""
    wanted = [i for i in wanted if _is_float(leaves[i])]
    sizes = [int(np.prod(jnp.shape(leaves[i]), dtype=np.int64)) for i in sorted(wanted)]
    flat = random.normal(key, (sum(sizes),), dtype)
    parts = iter(jnp.split(flat, np.cumsum(sizes)[:-1]) if sizes else ())
    units: list[Any] = [None] * len(leaves)
    for i in sorted(wanted):
        units[i] = next(parts).reshape(jnp.shape(leaves[i])).astype(jnp.result_type(leaves[i]))
    return units


def _root(variance: jax.Array) -> jax.Array:
    """Return the square root with gradient 0 at 0, where all that a weight meets is 0."""
    positive = variance > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1)), 0)


def _entry_by_entry(site: Site) -> bool:
    """Say whether no entry of either tracked operand is in two places of the output."""
    return site.shapes[0] == site.shapes[1] and not any(value.spread for value in site.ins)


def _kept(shape: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    """Return a shape with length 1 on all axes but the given ones."""
    return tuple(size if i in axes else 1 for i, size in enumerate(shape))


def _is_float(array: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(array), jnp.floating)
