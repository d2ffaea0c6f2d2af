"""Iterates: a descent of which an iterate is taken every so many steps."""

import abc
from typing import Any

import jax
import jax.numpy as jnp

from posterium._struct import struct
from posterium.driver.protocol import Around, Info
from posterium.model.data import Batch, Data
from posterium.model.model import Model
from posterium.numerics.together import together
from posterium.phases.descent import Descent, DescentState


@struct
class IteratesState:
    """Where a descent stands, and what is kept of its iterates.

    Parameters
    ----------
    of
        The state of the descent.
    held
        What is kept of the iterates taken so far.
    taken
        Steps done.
    """

    of: DescentState
    held: Any
    taken: Any


class Iterates(Around, abc.ABC):
    """A descent one of whose iterates is taken every so many steps, `every`."""

    of: Descent
    every: int

    @abc.abstractmethod
    def begin(self, first: DescentState, model: Model, data: Data) -> Any:
        """Return what is kept before any iterate is taken."""

    @abc.abstractmethod
    def take(self, held: Any, iterate: DescentState, number: jax.Array, model: Model) -> Any:
        """Return what is kept with iterate number `number`, from 0, taken too."""

    def told(self, held: Any) -> Info:
        """Return what to record of it at every step."""
        return {}

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> IteratesState:
        first = self.of.init(key, model, data, start)
        return IteratesState(first, self.begin(first, model, data), jnp.zeros((), jnp.int32))

    def step(
        self, key: jax.Array, state: IteratesState, model: Model, batch: Batch
    ) -> tuple[IteratesState, Info]:
        new, info = self.of.step(key, state.of, model, batch)
        taken = state.taken + 1

        def take(held: Any) -> Any:
            return self.take(held, new, taken // self.every - 1, model)

        due = together(taken % self.every == 0)
        held = jax.lax.cond(due, take, lambda held: held, state.held)
        return IteratesState(new, held, taken), info | self.told(held)

    def done(self, state: IteratesState) -> jax.Array:
        return self.of.done(state.of)

    def keep(self, state: IteratesState) -> Any:
        return self.of.keep(state.of)
