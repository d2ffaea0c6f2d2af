"""Ensemble: independent fits of one method, as members along a leading axis.

Every phase of the method is vmapped over the members; a member that is done keeps its state
until all are (Lakshminarayanan, Pritzel and Blundell 2017, without adversarial training).
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import static, struct
from posterium.driver.protocol import Around, Info, Phase
from posterium.model.data import Batch, Data, Stream
from posterium.model.model import Model
from posterium.numerics import trees
from posterium.posterior.fit import Verdict
from posterium.posterior.posterior import Mixture


@struct
class Ensemble:
    """Several independent fits of a method; predictions are their equally weighted mixture.

    Members differ in their starting weights, in their own held-out rows where the method stops
    early, and in all further randomness. They share the order of minibatches.

    Parameters
    ----------
    of
        The method, for example `MAP()`.
    members
        How many.
    """

    of: Any
    members: int = static(default=5)

    def __post_init__(self) -> None:
        if self.members < 1:
            raise ValueError(f"members must be at least 1; got {self.members}.")

    @property
    def precision(self) -> str:
        """What the method inside computes in."""
        return self.of.precision

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        inner = self.of.phases(model, data)
        last = len(inner) - 1
        return tuple(Members(p, self.members, i == 0, i == last) for i, p in enumerate(inner))


@struct
class Members(Around):
    """One phase run by all members at once.

    Parameters
    ----------
    of
        The phase.
    members
        How many run it.
    first, last
        Whether it is the first and the last phase of its method: the first spreads one start
        and one model over the members; the last ends with a mixture.
    """

    of: Phase
    members: int = static()
    first: bool = static(default=True)
    last: bool = static(default=True)

    spreadable: ClassVar[None] = None

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> Any:
        if self.first and start is None and getattr(model.network, "pretrained", False):
            raise ValueError(
                "Ensemble expects a network that draws its weights; got a pretrained one, which "
                "would make all members alike. Leave pretrained out, or fit one network."
            )
        per_member = None if start is None else 0
        if self.first and isinstance(start, Mixture):
            start = start.parts
        elif self.first:
            per_member = None
        run = jax.vmap(self.of.init, in_axes=(0, self._model_axis, None, per_member))
        return run(self._keys(key), model, data, start)

    def step(self, key: jax.Array, state: Any, model: Model, batch: Batch) -> tuple[Any, Info]:
        def one(key: jax.Array, state: Any, model: Model) -> tuple[Any, Info]:
            new, info = self.of.step(key, state, model, batch)
            return trees.where(self.of.done(state), state, new), info

        run = jax.vmap(one, in_axes=(0, 0, self._model_axis))
        return run(self._keys(key), state, model)

    def done(self, state: Any) -> jax.Array:
        return jax.vmap(self.of.done)(state)

    def keep(self, state: Any) -> Any:
        return jax.vmap(self.of.keep)(state)

    def end(self, state: Any, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        if self.last:
            return self._mixture(self.of.end, state, kept, model, data)
        return self._each(self.of.end, state, kept, model, data)

    def present(self, state: Any, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        return self._mixture(self.of.present, state, kept, model, data)

    def _each(self, end: Any, state: Any, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        """Return what members end with, and their models, with a leading member axis."""
        run = jax.vmap(end, in_axes=(0, 1, self._model_axis, None))
        return run(state, kept, model, data)

    def _mixture(
        self, end: Any, state: Any, kept: Any, model: Model, data: Data
    ) -> tuple[Mixture, Model]:
        ended, models = self._each(end, state, kept, model, data)
        return Mixture(ended, models), trees.index(models, 0)

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        parts = ended.parts if self.last else ended

        def one(i: int) -> Verdict:
            return self.of.judge({k: v[:, i] for k, v in info.items()}, trees.index(parts, i))

        return grouped([one(i) for i in range(self.members)])

    @property
    def _model_axis(self) -> int | None:
        return None if self.first else 0

    def _keys(self, key: jax.Array) -> jax.Array:
        return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(self.members))


def grouped(verdicts: list[Verdict]) -> Verdict:
    """Merge the verdicts of members, each piece of advice once, with the number concerned."""
    merged = Verdict.merge(verdicts)
    first: dict[str, str] = {}
    for reason, advice in zip(merged.reasons, merged.advice, strict=True):
        first.setdefault(advice, reason)
    counts = [merged.advice.count(advice) for advice in first]
    reasons = tuple(
        f"{count} of {len(verdicts)} members: {reason}"
        for count, reason in zip(counts, first.values(), strict=True)
    )
    return Verdict(merged.status, reasons, tuple(first))
