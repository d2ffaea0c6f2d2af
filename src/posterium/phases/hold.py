"""Hold: a phase run at fixed values of some free hyper-parameters, which stay free afterwards.

Shared by methods that look for weights at hyper-parameters that something else decides.
"""

from typing import Any

import jax

from posterium._struct import replace, static, struct
from posterium.driver.protocol import Around, Info, Phase
from posterium.model import hyper
from posterium.model.data import Batch, Data
from posterium.model.model import Model

ROLES = ("network", "prior", "likelihood")


def hold(phases: tuple[Phase, ...], model: Model, roles: tuple[str, ...]) -> tuple[Phase, ...]:
    """Return phases that leave the free hyper-parameters of these parts of a model alone."""
    free = tuple(role for role in roles if hyper.learned(getattr(model, role)))
    return tuple(Held(phase, free) for phase in phases) if free else phases


def fixed(model: Model, roles: tuple[str, ...]) -> Model:
    """Return a model with the free hyper-parameters of some parts fixed at their values."""
    return replace(model, **{role: hyper.fix(getattr(model, role)) for role in roles})


@struct
class Held(Around):
    """One phase that sees some free hyper-parameters as fixed.

    Parameters
    ----------
    of
        The phase.
    roles
        Parts of the model whose hyper-parameters are held.
    """

    of: Phase
    roles: tuple[str, ...] = static(default=("prior",))

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> Any:
        return self.of.init(key, fixed(model, self.roles), data, start)

    def step(self, key: jax.Array, state: Any, model: Model, batch: Batch) -> tuple[Any, Info]:
        return self.of.step(key, state, fixed(model, self.roles), batch)

    def end(self, state: Any, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        ended, learned = self.of.end(state, kept, fixed(model, self.roles), data)
        return ended, replace(learned, **{role: getattr(model, role) for role in self.roles})
