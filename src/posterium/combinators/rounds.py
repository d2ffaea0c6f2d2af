"""Rounds: phases that come again until a tuning between them moves nothing.

The driver runs all phases that a method names; those of rounds that are over take no step, so that
they hand on the weights as they came. All rounds are the same phases and share their programs.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, static, struct
from posterium.driver.protocol import NO_BATCHES, Around, Info, Phase
from posterium.model import hyper
from posterium.model.data import Batch, Data
from posterium.model.model import Model
from posterium.numerics import trees
from posterium.posterior.fit import Verdict

MOVED = 1e-3
"""A tuning that moves the logarithm of no hyper-parameter by more than this is the last one."""

UNSETTLED = 0.7
"""Where the last of all rounds still moved a logarithm by this, a factor of two, it is said so."""


@struct
class Progress:
    """How far the rounds are.

    Parameters
    ----------
    origin
        Coordinates of the free hyper-parameters before the first tuning, as one vector.
    moved
        What the last tuning moved one of them by, at most; infinite where it did not end.
    taken
        Tunings that were made.
    left
        Tunings that the method still names.
    """

    origin: Any
    moved: Any
    taken: Any
    left: Any

    @classmethod
    def of(cls, model: Model, rounds: Any) -> "Progress":
        """Return that of a model before anything is tuned."""
        raws = trees.vector(hyper.free(model))
        moved, none = jnp.asarray(jnp.inf, raws.dtype), jnp.zeros((), jnp.int32)
        return cls(raws, moved, none, none + rounds)

    @property
    def over(self) -> jax.Array:
        """Whether no more steps are needed; after the last tuning the method has its word."""
        return (self.moved < MOVED) & (self.left > 0)

    def after(self, moved: jax.Array) -> "Progress":
        """Return that after a tuning, which moved a logarithm by so much unless all was over."""
        new = replace(self, moved=moved, taken=self.taken + 1)
        return replace(trees.where(self.over, self, new), left=self.left - 1)


@struct
class Going:
    """What a phase of a round ends with.

    Parameters
    ----------
    ended
        What the phase itself ends with.
    progress
        How far the rounds are.
    """

    ended: Any
    progress: Progress


@struct
class RoundState:
    """Where a phase of a round stands.

    Parameters
    ----------
    of
        The state of the phase.
    progress
        How far the rounds are.
    """

    of: Any
    progress: Progress


@struct
class Round(Around):
    """One phase of a round: it takes no step when the rounds are over.

    Parameters
    ----------
    of
        The phase.
    rounds
        Rounds at most.
    blind
        True keeps the validation rows from it, by which something else is chosen.
    """

    of: Phase
    rounds: Any = 1
    blind: bool = static(default=False)

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> RoundState:
        if not isinstance(start, Going):
            start = Going(start, Progress.of(model, self.rounds))
        data = blinded(data) if self.blind else data
        return RoundState(self.of.init(key, model, data, start.ended), start.progress)

    def step(
        self, key: jax.Array, state: RoundState, model: Model, batch: Batch
    ) -> tuple[RoundState, Info]:
        if self.blind:
            batch = replace(batch, part=blinded(batch.part), whole=blinded(batch.whole))
        new, info = self.of.step(key, state.of, model, batch)
        return replace(state, of=new), info

    def done(self, state: RoundState) -> jax.Array:
        return state.progress.over | self.of.done(state.of)

    def keep(self, state: RoundState) -> Any:
        return self.of.keep(state.of)

    def end(self, state: RoundState, kept: Any, model: Model, data: Data) -> tuple[Going, Model]:
        data = blinded(data) if self.blind else data
        ended, model = self.of.end(state.of, kept, model, data)
        return Going(ended, state.progress), model

    def present(self, state: RoundState, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        return self.of.present(state.of, kept, model, blinded(data) if self.blind else data)

    def judge(self, info: dict[str, np.ndarray], ended: Going) -> Verdict:
        return Verdict() if idle(info) else self.of.judge(info, ended.ended)


def blinded(data: Data) -> Data:
    """Return data without their validation rows."""
    return replace(data, validation=None)


def idle(info: dict[str, np.ndarray]) -> bool:
    """Say whether a phase that records something took no step."""
    return bool(info) and not any(map(len, info.values()))


@struct
class Conclude(Phase):
    """Nothing to do: the rounds end with what the method ended with.

    Parameters
    ----------
    rounds
        Rounds at most.
    """

    rounds: int = static(default=1)

    steps: ClassVar[int] = 1
    batch_size: ClassVar[int] = NO_BATCHES
    name: ClassVar[str] = "rounds"

    def init(self, key: jax.Array, model: Model, data: Data, start: Going) -> Going:
        return start

    def step(self, key: jax.Array, state: Going, model: Model, batch: Batch) -> tuple[Going, Info]:
        return state, {"taken": state.progress.taken, "moved": state.progress.moved}

    def end(self, state: Going, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        return state.ended, model

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        moved = float(info["moved"][-1])
        if self.rounds == 1 or not UNSETTLED < moved < np.inf:
            return Verdict()
        reason = (
            f"The last of {self.rounds} rounds still moved a hyper-parameter by a factor of "
            f"{np.exp(moved):.2g}."
        )
        return Verdict("warned", (reason,), ("Give Evidence more rounds.",))
