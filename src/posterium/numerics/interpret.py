"""One walk over a function's jaxpr that sees where its weights enter.

Weights are followed through operations that only move their entries and through calls. Where one
meets anything else, the rules of a use (`noise`, `taps`, `layers`) say what becomes of it. What has
no rule, and a weight that is used more than once, gets the use's plain treatment.

The walk goes over the function of *one* row, and is mapped over rows by `vmap`: then rows are
independent by construction, a weight's axes are never mistaken for the axis of rows, and a product
of a batch with a weight is still compiled to one matrix product. What it asks of a function is
that it treats rows alone (`rows_are_alone`); batch statistics in training do not.

No other file touches JAX's extension API. Written for jax 0.10 to 0.12.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from posterium._struct import static, struct
from posterium.numerics.trees import flatten

MOVES = frozenset(
    "broadcast_in_dim convert_element_type copy copy_p expand_dims name reshape rev slice squeeze "
    "tile transpose".split()
)
"""Operations of one operand that move, repeat or leave out entries, and do nothing else."""

CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
    "remat": "jaxpr",
}
"""Calls that are entered. Functions with a derivative of their own are not: it would be lost."""

REASONS = {
    "scan": "used at every step of a scan",
    "while": "enters a loop",
    "cond": "enters a branch",
    "custom_jvp_call": "enters a function with its own derivative",
    "custom_vjp_call": "enters a function with its own derivative",
}
NOT_REAL = "not a floating-point array"
UNUSED = ("unused", "no output depends on it")
TWICE = "used more than once"


@struct
class Coverage:
    """Which weight got which treatment, and why.

    Parameters
    ----------
    entries
        (path, treatment, reason) of every weight, in tree order. Printed as a table.
    """

    entries: tuple[tuple[str, str, str], ...] = static(default=())

    def treatment(self, path: str) -> str:
        """Return the treatment of the weight at a path; KeyError names those there are."""
        found = {name: treatment for name, treatment, _ in self.entries}
        if path not in found:
            raise KeyError(f"Expected a path out of {', '.join(found)}; got {path!r}.")
        return found[path]

    def __repr__(self) -> str:
        widths = [max((len(entry[i]) for entry in self.entries), default=0) for i in (0, 1)]
        lines = (f"{p:<{widths[0]}}  {t:<{widths[1]}}  {why}" for p, t, why in self.entries)
        return "\n".join(line.rstrip() for line in lines)


@dataclass(frozen=True)
class Tracked:
    """A value whose every entry is known to be an entry of some source.

    Parameters
    ----------
    source
        Number of the leaf, for a weight; whatever a use puts there, for a value of its own.
    view
        Maps an array shaped like the source to one shaped like this value; it is linear. Given
        integers, the numbers of the entries, it only moves them.
    spread
        Whether an entry of the source may stand in several places.
    value
        What the value is, if it is not a weight.
    """

    source: Any
    view: Callable[[jax.Array], jax.Array] = lambda entries: entries
    spread: bool = False
    value: Any = None

    @property
    def is_weight(self) -> bool:
        """Whether the source is a leaf of the parameters."""
        return self.value is None

    def moved(self, site: "Site") -> "Tracked":
        """Return the value after an operation that only moves entries."""

        def view(entries: jax.Array) -> jax.Array:
            entries = self.view(entries)
            is_number = jnp.issubdtype(entries.dtype, jnp.integer)
            numbered = is_number and site.name == "convert_element_type"
            return entries if numbered else site.bind(entries)[0]

        size = np.prod(site.shape, dtype=np.int64)
        spread = self.spread or size > np.prod(site.shapes[0], dtype=np.int64)
        value = None if self.value is None else site.bind(self.value)[0]
        return Tracked(self.source, view, bool(spread), value)


@dataclass(frozen=True)
class Plain:
    """What a rule returns that does not apply, and why."""

    reason: str


@dataclass(frozen=True)
class Site:
    """One equation of the walk: what is done, to which values.

    Parameters
    ----------
    name, params
        The primitive's.
    ins
        Values of the use, or `Tracked` ones.
    shapes, shape
        Of the inputs, and of the first output.
    outputs
        How many there are.
    bind
        Evaluates the equation on arrays; returns the list of outputs.
    """

    name: str
    params: Mapping[str, Any]
    ins: tuple[Any, ...]
    shapes: tuple[tuple[int, ...], ...]
    shape: tuple[int, ...]
    outputs: int
    bind: Callable[..., list[Any]]

    def weights(self) -> list[int]:
        """Return the positions of the inputs that are weights."""
        return [i for i, v in enumerate(self.ins) if isinstance(v, Tracked) and v.is_weight]


class Use:
    """What a walk is made for: its values and its rules.

    `rules` maps a primitive's name to a function of (use, site), called where a tracked value
    meets that primitive; it returns the output or `Plain(reason)`.
    """

    rules: ClassVar[Mapping[str, Callable[[Any, Site], Any]]] = {}

    def constant(self, value: Any) -> Any:
        """Return an array that depends on neither weights nor row as a value of this use."""
        return value

    def settle(self, tracked: Tracked, reason: str) -> Any:
        """Return a tracked value as a value of this use, by the plain treatment."""
        raise NotImplementedError

    def evaluate(self, site: Site) -> Sequence[Any]:
        """Return the outputs of an equation none of whose inputs is tracked."""
        return site.bind(*site.ins)

    def call(self, site: Site, run: Callable[..., Sequence[Any]]) -> Sequence[Any]:
        """Return the outputs of a call, given what walks through it."""
        return run(*site.ins)


@dataclass(frozen=True)
class Program:
    """The jaxpr of a function of one row.

    Parameters
    ----------
    paths
        Names of the leaves of its parameters.
    row
        Shapes of one row of its inputs, a tree.
    closed, structure
        The jaxpr and the tree of its outputs.
    """

    paths: tuple[str, ...]
    row: Any
    closed: Any
    structure: Any

    def coverage(self, log: Mapping[int, tuple[str, str]]) -> Coverage:
        """Return the report of a walk that logged (treatment, reason) by leaf."""
        lines = [log.get(i, UNUSED) for i in range(len(self.paths))]
        pairs = zip(self.paths, lines, strict=True)
        return Coverage(tuple((path, *line) for path, line in pairs))

    def run(self, use: Use, row: Sequence[Any]) -> list[Any]:
        """Walk through the function at a row, given the values of its leaves."""
        avals = self.closed.in_avals[: len(self.paths)]
        weights: list[Any] = [Tracked(i) for i in range(len(avals))]
        for i, aval in enumerate(avals):
            if not jnp.issubdtype(aval.dtype, jnp.floating):
                weights[i] = use.settle(weights[i], NOT_REAL)
        consts = [use.constant(value) for value in self.closed.consts]
        return _settled(use, walk(use, self.closed.jaxpr, consts, [*weights, *row]))


def trace(f: Callable[[Any, Any], Any], params: Any, x: Any) -> Program:
    """Trace the function of one row.

    Parameters
    ----------
    f
        Maps parameters and a batch to outputs, each with the leading axis of rows.
    params
        A pytree of arrays.
    x
        A batch: an array, or a pytree of arrays, with leading axis n.
    """
    leaves, structure = jax.tree.flatten(params)
    batch = jax.eval_shape(lambda x: x, x)
    row = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), batch)

    def one(leaves: list[jax.Array], row: Any) -> Any:
        out = f(structure.unflatten(leaves), jax.tree.map(lambda a: jnp.expand_dims(a, 0), row))
        return jax.tree.map(_only_row, out)

    closed, shapes = jax.make_jaxpr(one, return_shape=True)(leaves, row)
    return Program(tuple(flatten(params)), row, closed, jax.tree.structure(shapes))


def _only_row(out: jax.Array) -> jax.Array:
    if jnp.ndim(out) == 0 or out.shape[0] != 1:
        raise ValueError(
            "The function must return an output a row, with rows first; for one row it returned "
            f"shape {jnp.shape(out)}. Do not drop or sum over the leading axis."
        )
    return jnp.squeeze(out, 0)


def walk(use: Use, jaxpr: Any, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    """Return the outputs of a jaxpr by the rules of a use; tracked ones stay tracked."""
    equations = _live(jaxpr)
    used = _uses(jaxpr, equations)
    env: dict[Any, Any] = {}

    def write(var: Any, value: Any) -> None:
        once = not isinstance(value, Tracked) or used[var] < 2
        env[var] = value if once else use.settle(value, TWICE)

    def read(atom: Any) -> Any:
        return use.constant(atom.val) if isinstance(atom, core.Literal) else env[atom]

    for var, value in zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True):
        write(var, value)
    for eqn in equations:
        outs = _outputs(use, _site(eqn, jaxpr, tuple(map(read, eqn.invars))))
        for var, value in zip(eqn.outvars, outs, strict=True):
            write(var, value)
    return list(map(read, jaxpr.outvars))


def _outputs(use: Use, site: Site) -> Sequence[Any]:
    """Return the outputs of one equation: enter a call, follow a move, ask a rule, or settle."""
    inner = site.params.get(CALLS.get(site.name, ""))
    if inner is not None:
        consts = [use.constant(value) for value in getattr(inner, "consts", ())]
        body = getattr(inner, "jaxpr", inner)
        return use.call(site, lambda *ins: walk(use, body, consts, ins))
    if not any(isinstance(value, Tracked) for value in site.ins):
        return use.evaluate(site)
    if site.name in MOVES and len(site.ins) == 1 and is_exact(site):
        return [site.ins[0].moved(site)]
    rule = use.rules.get(site.name)
    reason = REASONS.get(site.name, f"enters {site.name}")
    out = rule(use, site) if rule else Plain(reason)
    if not isinstance(out, Plain):
        return [out]
    ins = tuple(_settled(use, site.ins, out.reason))
    return use.evaluate(replace(site, ins=ins))


def is_exact(site: Site) -> bool:
    """Say whether an operation keeps real numbers real: a cast to integers rounds."""
    return jnp.issubdtype(site.params.get("new_dtype", jnp.float32), jnp.floating)


def _settled(use: Use, values: Sequence[Any], reason: str = "is an output") -> list[Any]:
    return [use.settle(v, reason) if isinstance(v, Tracked) else v for v in values]


def _site(eqn: Any, host: Any, ins: tuple[Any, ...]) -> Site:
    shapes = tuple(tuple(getattr(v.aval, "shape", ())) for v in eqn.invars)
    shape = tuple(getattr(eqn.outvars[0].aval, "shape", ())) if eqn.outvars else ()
    bind = partial(_bind, eqn, host)
    count = len(eqn.outvars)
    return Site(eqn.primitive.name, eqn.params, ins, shapes, shape, count, bind)


def _bind(eqn: Any, host: Any, *ins: Any) -> list[Any]:
    """Evaluate one equation as a jaxpr of its own, which keeps custom derivatives."""
    named = {v: a for v, a in zip(eqn.invars, ins, strict=True) if not isinstance(v, core.Literal)}
    outs = [v for v in eqn.outvars if not isinstance(v, core.DropVar)]
    jaxpr = host.replace(constvars=(), invars=list(named), outvars=outs, eqns=[eqn])
    found = iter(core.jaxpr_as_fun(core.ClosedJaxpr(jaxpr, ()))(*named.values()))
    return [next(found) if v in outs else None for v in eqn.outvars]


def _live(jaxpr: Any) -> list[Any]:
    """Return the equations that an output or an effect depends on, in order."""
    needed, live = set(_variables(jaxpr.outvars)), []
    for eqn in reversed(jaxpr.eqns):
        if eqn.effects or not needed.isdisjoint(eqn.outvars):
            live.append(eqn)
            needed.update(_variables(eqn.invars))
    return live[::-1]


def _uses(jaxpr: Any, equations: Sequence[Any]) -> Counter[Any]:
    """Count how often each variable is read."""
    reads = [atom for eqn in equations for atom in eqn.invars] + list(jaxpr.outvars)
    return Counter(_variables(reads))


def _variables(atoms: Sequence[Any]) -> list[Any]:
    return [atom for atom in atoms if not isinstance(atom, core.Literal)]


def rows_are_alone(f: Callable[[Any, Any], Any], params: Any, x: Any) -> bool:
    """Say whether the first two rows come out the same alone as together.

    A numerical check, for the host: false for batch statistics in training and whatever else
    mixes rows, where none of the walk's uses holds. True is no proof.
    """

    def rows(part: slice) -> Any:
        return f(params, jax.tree.map(lambda a: a[part], x))

    def close(both: Any, one: Any, two: Any) -> bool:
        alone = np.concatenate([one, two])
        tolerance = float(np.sqrt(np.finfo(alone.dtype).eps))
        return np.allclose(both, alone, rtol=tolerance, atol=tolerance)

    checked = jax.tree.map(close, rows(slice(0, 2)), rows(slice(0, 1)), rows(slice(1, 2)))
    return all(jax.tree.leaves(checked))
