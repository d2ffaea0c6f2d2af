"""Refresh: running statistics that belong to the weights they are used with.

Statistics that moved along with a descent are those of its iterates. An average of them, or a draw
around it, needs its own: they are taken anew from the rows, a set for each draw, and the draws
are kept with them.
"""

from typing import Any, ClassVar

import jax

from posterium._struct import replace, static, struct
from posterium.driver.protocol import Info, Phase
from posterium.model.data import Batch, Data
from posterium.model.model import Model
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.posterior.posterior import Draw, Point, Samples


@struct
class Refresh(Phase):
    """Pass batches through the network, in training, at fixed weights.

    Parameters
    ----------
    draws
        Draws of the posterior before that get statistics of their own; None for its mode alone.
    steps
        Batches: several times the memory of the network's moving averages.
    batch_size
        Rows of each; None for all.
    """

    draws: int | None = static(default=None)
    steps: int = static(default=500)
    batch_size: int | None = static(default=None)

    name: ClassVar[str] = "statistics"

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> Weights:
        if self.draws is None:
            return trees.stack(start.mode(), 1)
        return start.sample(key, self.draws).weights

    def step(
        self, key: jax.Array, state: Weights, model: Model, batch: Batch
    ) -> tuple[Weights, Info]:
        def moved(weights: Weights) -> Any:
            return model.network.apply(weights, batch.part.x, train=True)[1]

        return replace(state, state=jax.vmap(moved)(state)), {}

    def end(self, state: Weights, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        if self.draws is None:
            return Point(trees.index(state, 0)), model
        return Samples(Draw(trees.stack(state, 1))), model
