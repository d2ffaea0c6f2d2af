"""The compiled programs of a phase: start, a chunk of steps, end.

They are jitted once in a process, with the phase and the model as arguments: a second fit of equal
shapes finds them compiled.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from posterium.driver.batches import Plan
from posterium.driver.protocol import Phase
from posterium.model.data import Batch, Data
from posterium.model.model import Model
from posterium.numerics import trees
from posterium.posterior.posterior import GaussianPosterior, Mixture

LONGEST_CHUNK = 4096
CHUNK_BYTES = 2**26
LONG_WORK = 2e11
"""Steps times rows times numbers in the state, from which a phase is compiled to run fast.

On a CPU, XLA's older emitters compile in half the time and run up to a third slower: two seconds
gained are lost again over about so much work.
"""
QUICK = {"xla_cpu_use_fusion_emitters": False}
NOT_OPTIMISED = {"xla_backend_optimization_level": 0}
"""For what runs once."""


def init(phase: Phase, key: jax.Array, model: Model, data: Data, start: Any) -> Any:
    """Return the first state of a phase."""
    return phase.init(key, model, data, start)


def end(phase: Phase, state: Any, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
    """Return what a phase ends with, and the model as learned."""
    return phase.end(state, kept, model, data)


def present(phase: Phase, state: Any, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
    """Return the posterior as it stands, and the model, for draws so far."""
    return phase.present(state, kept, model, data)


@functools.partial(jax.jit, inline=True)
def _step(phase: Phase, key: jax.Array, state: Any, model: Model, batch: Batch) -> tuple[Any, Any]:
    """Take one step; jitted so that the programs and shapes below trace it once together."""
    state, info = phase.step(key, state, model, batch)
    return state, (info, phase.keep(state))


def _advance(
    phase: Phase,
    state: Any,
    key: jax.Array,
    model: Model,
    plan: Plan,
    first: jax.Array,
    count: jax.Array,
) -> tuple[jax.Array, Any, Any, jax.Array]:
    capacity = len(plan.epoch_end)

    def one(i: jax.Array, state: Any) -> tuple[Any, Any]:
        return _step(phase, jax.random.fold_in(key, first + i), state, model, plan.batch(i))

    def body(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, state, record, _ = carry
        state, new = one(i, state)
        record = jax.tree.map(lambda all_, x: all_.at[i].set(x), record, new)
        return i + 1, state, record, phase.broken(new[0])

    def going(carry: tuple[Any, ...]) -> jax.Array:
        i, state, _, broken = carry
        return (i < count) & ~broken & ~jnp.all(phase.done(state))

    shapes = jax.eval_shape(one, first, state)[1]
    record = jax.tree.map(lambda s: jnp.zeros((capacity, *s.shape), s.dtype), shapes)
    carry = jnp.zeros_like(count), state, record, jnp.zeros((), bool)
    return jax.lax.while_loop(going, body, carry)


class Programs(NamedTuple):
    """The functions above, jitted."""

    init: Callable[..., Any]
    end: Callable[..., Any]
    present: Callable[..., Any]
    short: Callable[..., Any]
    """`_advance`, compiled in little time."""
    long: Callable[..., Any]
    """`_advance`, compiled to run fast."""


@functools.cache
def programs() -> Programs:
    """Return the compiled programs, each compiled when it is first called with new shapes."""
    once = functools.partial(jax.jit, compiler_options=_known(QUICK | NOT_OPTIMISED))
    return Programs(
        init=once(init),
        end=once(end),
        present=once(present),
        short=jax.jit(_advance, compiler_options=_known(QUICK)),
        long=jax.jit(_advance),
    )


@functools.cache
def _knows(option: str, value: Any) -> bool:
    """Say whether this version of XLA has an option of its compiler."""
    with contextlib.suppress(jax.errors.JaxRuntimeError):
        jax.jit(lambda: 0, compiler_options={option: value}).lower().compile()
        return True
    return False


def _known(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if _knows(name, value)}


def is_long(phase: Phase, state: Any, plan: Plan) -> bool:
    """Say whether a phase is so much work that it is worth a longer compilation."""
    rows = len(plan.whole.x) if plan.rows is None else plan.rows.shape[1]
    return phase.steps * rows * trees.count(state) > LONG_WORK


def advance(
    phase: Phase, state: Any, key: jax.Array, model: Model, plan: Plan, first: int, count: int
) -> tuple[int, bool, Any, Any]:
    """Run at most `count` steps.

    Returns
    -------
    ran
        Steps that were run.
    over
        Whether the phase is done, or broken.
    state
        The state after them.
    record
        (info, kept), stacked over the steps that were run, in host memory.
    """
    run = programs().long if is_long(phase, state, plan) else programs().short
    ran, state, record, broken = run(
        phase, state, key, model, plan, jnp.int32(first), jnp.int32(count)
    )
    ran = int(ran)
    over = ran < count or bool(broken)
    # Copies: a slice would keep the whole chunk's length in memory.
    return ran, over, state, jax.tree.map(lambda part: np.asarray(part)[:ran].copy(), record)


def record_shape(phase: Phase, state: Any, model: Model, batch: Batch) -> Any:
    """Return the shapes of what one step records: (info, kept)."""
    return jax.eval_shape(_step, phase, jax.random.key(0), state, model, batch)[1]


def capacity(phase: Phase, bytes_a_step: int) -> int:
    """Return the longest chunk of a phase: the memory of its records and batches decides."""
    return max(1, min(LONGEST_CHUNK, phase.steps, CHUNK_BYTES // max(bytes_a_step, 1)))


@jax.jit
def _log_evidence(posterior: GaussianPosterior, model: Model) -> jax.Array:
    return posterior.log_evidence(model)


def evidence(posterior: Any, model: Model) -> dict[str, np.ndarray]:
    """Return the log evidence of a fit in nats as a record, one a member; {} where it has none."""
    if isinstance(posterior, Mixture):
        members = [evidence(*posterior.member(i)) for i in range(posterior.size())]
        found = [m["log_evidence"] for m in members if m]
        return {"log_evidence": np.stack(found)} if found else {}
    if not isinstance(posterior, GaussianPosterior) or posterior.curvature is None:
        return {}
    return {"log_evidence": np.asarray(_log_evidence(posterior, model))}
