"""Start from: a method that begins where another ended."""

from typing import Any, ClassVar

import jax

from posterium._struct import struct
from posterium.driver.protocol import Info, Phase
from posterium.model import hyper
from posterium.model.data import Batch, Data
from posterium.model.model import Model
from posterium.numerics import trees
from posterium.posterior.fit import Fit


@struct
class StartFrom:
    """A method begun where another method, or a fit that is already there, ended.

    Samplers spread their chains over the members of an ensemble: under
    `StartFrom(NUTS(), Ensemble(MAP(), 4))` chain i begins at member i, and members come round
    again when there are fewer of them than chains. From any other posterior each chain takes a
    draw of its own, so all chains of `StartFrom(NUTS(), MAP())` begin at one point, which makes
    their agreement say less.

    Parameters
    ----------
    of
        The method.
    start
        A method that runs first, or a Fit of the same network.
    """

    of: Any
    start: Any

    @property
    def precision(self) -> str:
        """What the method computes in; the one before it does the same."""
        return self.of.precision

    def phases(self, model: Model, data: Data) -> tuple[Phase, ...]:
        if isinstance(self.start, Fit):
            first: tuple[Phase, ...] = (Given(self.start.posterior, self.start.model),)
        else:
            first = self.start.phases(model, data)
        return *first, *self.of.phases(model, data)


@struct
class Given(Phase):
    """Nothing to do: a posterior, and the hyper-parameters of its model, are there already.

    Parameters
    ----------
    posterior
        Where the next phase starts.
    fitted
        The model with hyper-parameters as learned.
    """

    posterior: Any
    fitted: Model

    steps: ClassVar[int] = 0
    batch_size: ClassVar[None] = None
    name: ClassVar[str] = "given"

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> tuple[()]:
        return ()

    def step(
        self, key: jax.Array, state: tuple[()], model: Model, batch: Batch
    ) -> tuple[tuple[()], Info]:
        return state, {}

    def end(self, state: tuple[()], kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        posterior, raws = trees.cast((self.posterior, hyper.free(self.fitted)), data.weight.dtype)
        return posterior, hyper.fill(model, raws) if raws else model
