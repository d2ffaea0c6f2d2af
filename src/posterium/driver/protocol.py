"""What a method is: phases, each a set of pure functions over a state.

The driver compiles one program a phase and runs every fit of the library through it. A phase is
a record, so its numbers (step sizes, patience) are leaves: changing them compiles nothing new.
"""

import abc
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from posterium.model.data import Batch, Data, Stream
from posterium.model.model import Model
from posterium.posterior.fit import Verdict

NO_BATCHES = 0
"""The batch size of a phase that does not look at the data in its steps."""

State = Any
Info = dict[str, jax.Array]


class Phase(abc.ABC):
    """One stage of a method.

    Subclasses are records with a `name`, `steps` (at most, at least 1) and `batch_size` (rows a
    step; None for all, `NO_BATCHES` for none); the last two select a program and are static.
    All functions are pure and traceable; they may be vmapped over members.
    """

    members: ClassVar[Any] = None
    """Independent members along the leading axis of the state, to be spread over devices."""
    spreadable: ClassVar[Any] = None
    """Chains along the leading axis of parts of the state, which go over devices by `mcmc.each`."""
    warmup: ClassVar[Any] = 0
    """Steps at the beginning that only tune, and of which nothing is kept in the end."""

    if TYPE_CHECKING:

        @property
        def name(self) -> str: ...
        @property
        def steps(self) -> int: ...
        @property
        def batch_size(self) -> int | None: ...

    @abc.abstractmethod
    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> State:
        """Return the first state. `start` is what the phase before ended with, or None.

        For a stream, `data` holds the rows of its first batch and the size of the whole.
        """

    @abc.abstractmethod
    def step(self, key: jax.Array, state: State, model: Model, batch: Batch) -> tuple[State, Info]:
        """Return the next state and what to record: scalars by name, the same at every step."""

    @abc.abstractmethod
    def end(self, state: State, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        """Return the posterior, or the start of the next phase, and the model as learned.

        `kept` holds what `keep` returned, stacked over the steps, or None.
        """

    def present(self, state: State, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        """Return the posterior as it stands, or None, and the model: for those who watch.

        By default what the phase would end with if no further step were taken.
        """
        return self.end(state, kept, model, data)

    def done(self, state: State) -> jax.Array:
        """Say whether to stop before `steps` are over; one boolean a member."""
        return jnp.zeros((), bool)

    def keep(self, state: State) -> Any:
        """Return what to store of this step, a draw say, or None."""
        return None

    def broken(self, info: Info) -> jax.Array:
        """Say whether to stop at once after a step that recorded this: no objective is finite."""
        if "objective" not in info:
            return jnp.zeros((), bool)
        return ~jnp.isfinite(info["objective"]).any()

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        """Judge the finished phase by its records and what it ended with (both on the host).

        For phases under an ensemble it is called once a member.
        """
        return judge_finite(info)


class Around(Phase):
    """A phase around another one, `of`: it is that one in all that it does not say itself.

    Where its state is not that of the phase inside, it must say when it is done and what it keeps.
    """

    if TYPE_CHECKING:
        of: Phase

    @property
    def name(self) -> str:
        """The name of the phase inside."""
        return self.of.name

    @property
    def steps(self) -> int:
        """The steps of the phase inside."""
        return self.of.steps

    @property
    def batch_size(self) -> int | None:
        """The rows a step of the phase inside."""
        return self.of.batch_size

    @property
    def spreadable(self) -> int | None:
        """The chains of the phase inside."""
        return self.of.spreadable

    @property
    def warmup(self) -> int:
        """The steps of the phase inside that only tune."""
        return self.of.warmup

    def done(self, state: State) -> jax.Array:
        return self.of.done(state)

    def keep(self, state: State) -> Any:
        return self.of.keep(state)

    def broken(self, info: Info) -> jax.Array:
        return self.of.broken(info)

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        return self.of.judge(info, ended)


def judge_finite(info: dict[str, np.ndarray]) -> Verdict:
    """Fail a phase whose objective stopped being finite; say where."""
    objective = info.get("objective", np.zeros(0))
    bad = np.flatnonzero(~np.isfinite(objective))
    if not len(bad):
        return Verdict()
    last = f"{objective[bad[0] - 1]:.4g}" if bad[0] else "none"
    reason = f"The objective was not finite at step {bad[0]} (last finite value: {last})."
    advice = (
        "Likely causes: too high a learning rate, inputs or a target far from unit size, noise "
        "near 0. Lower the learning rate, standardise both, or raise the floor of the noise."
    )
    return Verdict("failed", (reason,), (advice,))


@runtime_checkable
class Method(Protocol):
    """How we reason: a record that knows its phases.

    `precision` is what the method computes in unless the user says otherwise.
    """

    @property
    def precision(self) -> str:
        """Return ``"float32"`` or ``"float64"``."""
        ...

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        """Return the phases for a model and data (which may be checked here, not computed with)."""
        ...
