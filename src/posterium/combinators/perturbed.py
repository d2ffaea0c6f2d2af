"""Perturbed: the phases of a method on a model or data that differ from the given ones.

What differs is drawn once, before the first phase, and stays the same in all of them. Under an
`Ensemble` each member draws its own.
"""

from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, static, struct
from posterium.driver.protocol import NO_BATCHES, Around, Info, Phase
from posterium.model.data import Batch, Data, Stream
from posterium.model.model import Model
from posterium.posterior.fit import Verdict


class Perturbation(Protocol):
    """What is drawn, and what it changes. All functions are traceable."""

    def draw(self, key: jax.Array, model: Model, data: Data) -> Any:
        """Draw it, given all rows."""
        ...

    def model(self, drawn: Any, model: Model) -> Model:
        """Return the model that the method sees."""
        ...

    def learned(self, drawn: Any, model: Model, learned: Model) -> Model:
        """Return the model as the method learned it, without the perturbation."""
        ...

    def data(self, drawn: Any, data: Data, rows: Any) -> Data:
        """Return rows as the method sees them; `rows` are their numbers, or a slice of all."""
        ...


def perturbed(
    combinator: Any, by: Perturbation, model: Model, data: Data | Stream
) -> tuple[Phase, ...]:
    """Return the phases of the method inside a combinator, under one perturbation.

    Raises
    ------
    ValueError
        For a stream, whose rows have no numbers, and for an ensemble, all of whose members would
        be perturbed alike.
    """
    name = type(combinator).__name__
    if isinstance(data, Stream):
        raise ValueError(
            f"{name} expects data in memory, since each row keeps what was drawn for it; got a "
            "stream. Use as_data(x, y)."
        )
    inner = combinator.of.phases(model, data)
    if any(getattr(phase, "members", None) is not None for phase in inner):
        raise ValueError(
            f"{name} expects a method for one member, and goes inside of an ensemble; got "
            f"{combinator.of!r}. Use Ensemble({name}(MAP()), 20)."
        )
    last = len(inner) - 1
    return tuple(Perturbed(phase, by, i == 0, i == last) for i, phase in enumerate(inner))


@struct
class Carried:
    """What a phase before the last ends with.

    Parameters
    ----------
    ended
        What the phase itself ends with.
    drawn
        What was drawn.
    """

    ended: Any
    drawn: Any


@struct
class PerturbedState:
    """Where a perturbed phase stands.

    Parameters
    ----------
    of
        The state of the phase.
    drawn
        What was drawn.
    """

    of: Any
    drawn: Any


@struct
class Perturbed(Around):
    """One phase under a perturbation.

    Parameters
    ----------
    of
        The phase.
    by
        The perturbation.
    first, last
        Whether it is the first and the last phase of its method: the first draws; those before
        the last hand on what was drawn.
    """

    of: Phase
    by: Any
    first: bool = static(default=True)
    last: bool = static(default=True)

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> PerturbedState:
        if self.first:
            key, own = jax.random.split(key)
            drawn = self.by.draw(own, model, data)
        else:
            start, drawn = start.ended, start.drawn
        seen = self.by.model(drawn, model), self.by.data(drawn, data, slice(None))
        return PerturbedState(self.of.init(key, *seen, start), drawn)

    def step(
        self, key: jax.Array, state: PerturbedState, model: Model, batch: Batch
    ) -> tuple[PerturbedState, Info]:
        if self.batch_size != NO_BATCHES:
            batch = self._batch(state.drawn, batch)
        new, info = self.of.step(key, state.of, self.by.model(state.drawn, model), batch)
        return replace(state, of=new), info

    def _batch(self, drawn: Any, batch: Batch) -> Batch:
        whole = self.by.data(drawn, batch.whole, slice(None))
        if batch.rows is None:
            return replace(batch, part=whole, whole=whole)
        rows = jnp.where(batch.rows < 0, -1 - batch.rows, batch.rows)
        return replace(batch, part=self.by.data(drawn, batch.part, rows), whole=whole)

    def done(self, state: PerturbedState) -> jax.Array:
        return self.of.done(state.of)

    def keep(self, state: PerturbedState) -> Any:
        return self.of.keep(state.of)

    def end(self, state: PerturbedState, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        ended, learned = self._seen(self.of.end, state, kept, model, data)
        return (ended if self.last else Carried(ended, state.drawn)), learned

    def present(
        self, state: PerturbedState, kept: Any, model: Model, data: Data
    ) -> tuple[Any, Model]:
        return self._seen(self.of.present, state, kept, model, data)

    def _seen(
        self, end: Any, state: PerturbedState, kept: Any, model: Model, data: Data
    ) -> tuple[Any, Model]:
        """Return what a function of the phase inside returns of what it sees."""
        seen = self.by.model(state.drawn, model), self.by.data(state.drawn, data, slice(None))
        ended, learned = end(state.of, kept, *seen)
        return ended, self.by.learned(state.drawn, model, learned)

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        return self.of.judge(info, ended if self.last else ended.ended)
