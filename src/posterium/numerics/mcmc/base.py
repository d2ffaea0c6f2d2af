"""What kernels and their adaptation have in common.

A kernel makes a transition of one chain: ``first_state(key, position, log_density)``, and
``step(key, state, log_density, pace)``, which returns the next state and what happened on the way.
Positions are vectors (p,): one array keeps the compiled programs small.
"""

import abc
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from posterium._struct import struct

LogDensity = Callable[[jax.Array], jax.Array]
Info = dict[str, jax.Array]

CHAINS = "chain"
"""Axis of a mesh of devices that chains are spread over."""


@struct
class Pace:
    """How a chain moves.

    Parameters
    ----------
    step_size
        Of the integrator.
    inverse_mass
        (p,), (p, p), or BlackJAX's record of a scale (p,), directions (p, r) and their values (r,).
    length
        Of a trajectory, or over which a microcanonical chain forgets its direction; None where the
        kernel decides.
    """

    step_size: Any
    inverse_mass: Any
    length: Any = None


class Adaptation(abc.ABC):
    """What chains learn in their warm-up of how to move.

    Every chain has a state. Functions are for one chain, but for `memory` and `pooled`, which see
    all of them: what is too large to be handed to and fro with every transition is held there.
    """

    @abc.abstractmethod
    def schedule(self, steps: int, *, known: bool) -> np.ndarray:
        """Return what steps are for: whether the mass learns, and whether it is set, (steps, 2)."""

    @abc.abstractmethod
    def init(self, size: int, steps: int, *, known: bool) -> Any:
        """Return the first state for positions of a size: unit mass, which may be known as such."""

    @abc.abstractmethod
    def in_force(self, state: Any) -> Pace:
        """Return how to move in the next transition."""

    @abc.abstractmethod
    def result(self, state: Any, traced: Any) -> Pace:
        """Return how to move when sampling, given what `trace` said of every position, (s, ...)."""

    def memory(self, chains: int, size: int, steps: int, *, known: bool) -> Any:
        """Return what is held of all chains beside their states, before any transition."""
        return None

    def update(self, state: Any, stage: Any, chain: Any, info: Info) -> Any:
        """Return the state after a transition; `stage` is a row of `schedule`."""
        return state

    def pooled(
        self, states: Any, memory: Any, stage: Any, chains: Any, info: Info
    ) -> tuple[Any, Any]:
        """Return all states (c, ...) and the memory after a transition and the updates of all."""
        return states, memory

    def trace(self, position: jax.Array) -> Any:
        """Return what `result` needs of every position (..., p)."""
        return None


def each(transition: Callable[..., Any], *of_chains: Any) -> Any:
    """Return what a transition of every chain gives; arguments and results have a leading axis.

    On a CPU one after another: no chain waits for another's longer trajectory, what it works on
    stays in the cache, and the program is half as long to compile. On accelerators side by side.
    Where the driver spreads chains over devices, each device takes its own.
    """

    def here(*parts: Any) -> Any:
        if jax.default_backend() == "cpu":
            return jax.lax.map(lambda part: transition(*part), parts)
        return jax.vmap(transition)(*parts)

    if CHAINS not in jax.sharding.get_abstract_mesh().axis_names:
        return here(*of_chains)
    split = PartitionSpec(CHAINS)
    return jax.shard_map(here, in_specs=split, out_specs=split, check_vma=False)(*of_chains)


def gathered(of_chains: Any) -> Any:
    """Return what chains have on every device, so that sums over them have the same bits on all."""
    if CHAINS not in jax.sharding.get_abstract_mesh().axis_names:
        return of_chains
    return jax.lax.with_sharding_constraint(of_chains, PartitionSpec())


def strong(tree: Any) -> Any:
    """Return arrays of definite types: a Python number would change the program that sees it."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), tree)
