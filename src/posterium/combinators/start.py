"""Start from: a method that begins where another ended."""

from typing import Any, ClassVar

import jax
import numpy as np

from posterium._struct import replace, static, struct
from posterium.combinators.ensemble import Members
from posterium.driver.protocol import Info, Phase
from posterium.model import hyper
from posterium.model.data import Batch, Data
from posterium.model.model import Model
from posterium.numerics import trees
from posterium.posterior.fit import Fit
from posterium.posterior.posterior import Mixture


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
        A method that runs first, or a Fit of the same network. Its learned hyper-parameters are
        taken over; where it has any, they must be those that this model has free.
    """

    of: Any
    start: Any

    @property
    def precision(self) -> str:
        """What the method computes in; the one before it does the same."""
        return self.of.precision

    def phases(self, model: Model, data: Data) -> tuple[Phase, ...]:
        if isinstance(self.start, Fit):
            _refuse_other(self.start.model, model)
            first: tuple[Phase, ...] = (Given(self.start.posterior, self.start.model),)
        else:
            first = self.start.phases(model, data)
        return joined(first, self.of.phases(model, data))


def joined(before: tuple[Phase, ...], after: tuple[Phase, ...]) -> tuple[Phase, ...]:
    """Return phases one after another; where an ensemble follows an ensemble, member by member.

    Each member then keeps the hyper-parameters that it learned.
    """
    ends, begins = before[-1], after[0]
    count = getattr(ends, "members", None)
    if not isinstance(begins, Members) or count is None:
        return *before, *after
    if count != begins.members:
        raise ValueError(
            f"An ensemble that starts from an ensemble expects as many members; got "
            f"{begins.members} from {count}. Make them equal."
        )
    return *before[:-1], replace(ends, last=False), replace(begins, first=False), *after[1:]


def _refuse_other(fitted: Model, model: Model) -> None:
    """Refuse a fit whose free hyper-parameters are not those of the model."""
    for role in ("network", "prior", "likelihood"):
        came, here = (
            [np.shape(raw) for raw in hyper.free(getattr(of, role))] for of in (fitted, model)
        )
        if hyper.free(fitted) and came != here:
            raise ValueError(
                f"StartFrom expects a fit with the free hyper-parameters of this model; in the "
                f"{role} it has {len(came)} of shapes {came}, this model {len(here)} of {here}. "
                "Give both models the same, or pass its weights, fit(..., start=fit.posterior)."
            )


@struct
class Given(Phase):
    """Nothing to do: a posterior, and the hyper-parameters of its model, are there already.

    Parameters
    ----------
    posterior
        Where the next phase starts.
    fitted
        The model with hyper-parameters as learned.
    last
        False where an ensemble goes on member by member: it ends with its members.
    """

    posterior: Any
    fitted: Model
    last: bool = static(default=True)

    steps: ClassVar[int] = 0
    batch_size: ClassVar[None] = None
    name: ClassVar[str] = "given"

    @property
    def members(self) -> int | None:
        """The members of an ensemble; None for anything else."""
        return self.posterior.size() if isinstance(self.posterior, Mixture) else None

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> tuple[()]:
        return ()

    def step(
        self, key: jax.Array, state: tuple[()], model: Model, batch: Batch
    ) -> tuple[tuple[()], Info]:
        return state, {}

    def end(self, state: tuple[()], kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        posterior, fitted = trees.cast((self.posterior, self.fitted), data.weight.dtype)
        if not self.last:
            model = trees.stack(model, posterior.size())
            posterior, fitted = posterior.parts, posterior.models
        raws = hyper.free(fitted)
        return posterior, hyper.fill(model, raws) if raws else model
