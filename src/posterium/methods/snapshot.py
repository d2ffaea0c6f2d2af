r"""Snapshot ensembles: one descent whose learning rate starts again, a member at each low point.

.. math:: \epsilon_t = \frac{\epsilon_0}{2}
    \left(1 + \cos\frac{\pi\,(t \bmod T)}{T}\right)

A cosine takes the rate to 0 over the T steps of a cycle, at whose end the weights are near a mode;
the next cycle begins at the full rate and leaves it (Huang et al. 2017).
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from posterium._struct import static, struct
from posterium.driver.protocol import Phase
from posterium.model import hyper
from posterium.model.data import Data, Stream
from posterium.model.model import Model
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.phases.checks import check_counts
from posterium.phases.descent import Descent, DescentState, Optimiser, check_settings
from posterium.phases.iterates import Iterates, IteratesState
from posterium.phases.unbounded import refuse_unbounded
from posterium.posterior.posterior import Draw, Samples


@struct
class Snapshot:
    """Several networks from one training: the weights at the end of each cycle, equally weighted.

    It costs what one training of as many steps costs. Members are less diverse than those of an
    `Ensemble`, since each begins where the one before ended. A learned noise scale is that of each
    member.

    Parameters
    ----------
    cycles
        Members.
    steps
        Steps of a cycle.
    learning_rate
        The rate at which each cycle begins, on the objective per row. It must be high enough to
        leave a mode.
    optimiser
        ``"adam"``, ``"sgd"``, ``"momentum"`` or ``"rmsprop"``.
    batch_size
        Rows a step; None for all.
    clip
        Largest norm of a gradient; None for no limit.
    """

    cycles: int = static(default=5)
    steps: int = static(default=1000)
    learning_rate: Any = 3e-2
    optimiser: str = static(default="adam")
    batch_size: int | None = static(default=32)
    clip: Any = None

    precision: ClassVar[str] = "float32"

    def __post_init__(self) -> None:
        check_settings(self.steps, self.batch_size)
        check_counts(1, cycles=self.cycles)

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        refuse_unbounded(model, "Snapshot")
        optimiser = Optimiser(
            self.optimiser, self.learning_rate, "cosine", self.clip, cycles=self.cycles
        ).checked()
        descent = Descent(optimiser, self.cycles * self.steps, self.batch_size, patience=None)
        return (Cycles(descent, self.steps),)


@struct
class Cycles(Iterates):
    """A descent in cycles that keeps the weights at the end of each.

    Ended before its time, it gives where the descent stands for each cycle that is not over.

    Parameters
    ----------
    of
        The descent.
    every
        Steps of a cycle.
    """

    of: Descent
    every: int = static()

    def begin(self, first: DescentState, model: Model, data: Data) -> Draw:
        return trees.stack(drawn(first), self.steps // self.every)

    def take(self, held: Draw, iterate: DescentState, number: jax.Array, model: Model) -> Draw:
        return jax.tree.map(lambda all_, one: all_.at[number].set(one), held, drawn(iterate))

    def end(
        self, state: IteratesState, kept: Any, model: Model, data: Data
    ) -> tuple[Samples, Model]:
        here = drawn(state.of)
        over = jnp.arange(self.steps // self.every) < state.taken // self.every
        members = jax.vmap(lambda over, held: trees.where(over, held, here))(over, state.held)
        return Samples(trees.stack(members, 1)), hyper.fill(model, state.of.raws)


def drawn(at: DescentState) -> Draw:
    """Return the weights of a descent, with its hyper-parameters, as a draw."""
    return Draw(Weights(at.params, at.state), at.raws)
