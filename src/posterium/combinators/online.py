"""Evidence while training: hyper-parameters that move along with the weights of one descent.

Every so many steps the curvature is taken at the weights as they are, and each free hyper-parameter
makes a bounded step towards the fixed point of the evidence there (Immer et al. 2021, who follow
its gradient by Adam).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, static, struct
from posterium.combinators.evidence import check, settled
from posterium.combinators.fixed_point import balance
from posterium.combinators.rounds import blinded
from posterium.combinators.tuning import REACH
from posterium.driver.protocol import Around, Info, Phase
from posterium.model import hyper
from posterium.model.data import Batch, Data, Stream
from posterium.model.model import Model
from posterium.numerics import trees
from posterium.numerics.together import together
from posterium.phases.descent import Descent
from posterium.posterior.fit import Verdict

RUN = 1.0
"""A logarithm that still moves by this over the last quarter of its updates is running away."""


@struct
class OnlineEvidence:
    """A Laplace approximation whose descent tunes prior and noise on the way.

    One descent finds weights and hyper-parameters, where `Evidence` needs a descent a round; the
    weights are never fitted under a prior that is far off. The optimiser keeps its state, and the
    curvature is that of `of`, over all rows. What was reached is in `info`, step by step: the log
    evidence as last taken, and `raws`, the logarithms of the hyper-parameters (above their
    floors).

    Parameters
    ----------
    of
        `Laplace()` with a descent, ``at=MAP(...)``. Its steps should be enough for twenty or more
        updates.
    every
        Steps of the descent between two updates.
    burn_in
        Share of the steps before the first.
    bound
        Most that an update moves a logarithm by.
    """

    of: Any
    every: int = static(default=50)
    burn_in: float = static(default=0.1)
    bound: Any = 0.5

    def __post_init__(self) -> None:
        if self.every < 1 or not 0 <= self.burn_in < 1:
            raise ValueError(
                "every must be at least 1 and burn_in a share from 0 to below 1; got "
                f"{self.every} and {self.burn_in}."
            )

    @property
    def precision(self) -> str:
        """What the method inside computes in."""
        return self.of.precision

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        check(model, self.of, "OnlineEvidence")
        if isinstance(data, Stream):
            raise ValueError(
                "OnlineEvidence expects data in memory, since an update goes over all rows; got a "
                "stream. Use as_data(x, y), or Evidence(Laplace())."
            )
        descent, *rest = settled(self.of).phases(model, data)
        found = getattr(descent, "of", descent)
        if not rest or not isinstance(found, Descent) or found.validation:
            raise ValueError(
                "OnlineEvidence expects a Laplace that begins with a descent on all rows, as in "
                f"Laplace(at=MAP(validation=0)); got {self.of!r}."
            )
        begin = int(self.burn_in * descent.steps)
        return Training(descent, rest[-1], self.every, begin, self.bound), *rest


@struct
class Hypers:
    """The hyper-parameters so far.

    Parameters
    ----------
    raws
        Their unconstrained coordinates, as one vector.
    log_evidence
        As last taken, in nats, before the hyper-parameters moved; NaN before the first time.
    """

    raws: Any
    log_evidence: Any


@struct
class TrainingState:
    """Where the training stands.

    Parameters
    ----------
    of
        The state of the descent.
    tuned
        The hyper-parameters so far.
    origin
        Where they started.
    taken
        Steps done.
    """

    of: Any
    tuned: Hypers
    origin: Any
    taken: Any


@struct
class Training(Around):
    """A descent with updates of the hyper-parameters in between.

    Parameters
    ----------
    of
        The descent.
    curvature
        The phase that takes the curvature.
    every
        Steps between two updates.
    begin
        Steps before the first.
    bound
        Most that an update moves a logarithm by.
    """

    of: Phase
    curvature: Any
    every: int = static(default=50)
    begin: int = static(default=0)
    bound: Any = 0.5

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> TrainingState:
        raws = trees.vector(hyper.free(model))
        tuned = Hypers(raws, jnp.asarray(jnp.nan, raws.dtype))
        inner = self.of.init(key, model, blinded(data), start)
        return TrainingState(inner, tuned, raws, jnp.zeros((), jnp.int32))

    def step(
        self, key: jax.Array, state: TrainingState, model: Model, batch: Batch
    ) -> tuple[TrainingState, Info]:
        batch = replace(batch, part=blinded(batch.part), whole=blinded(batch.whole))
        new, info = self.of.step(key, state.of, self._at(model, state.tuned.raws), batch)
        taken = state.taken + 1
        due = together((taken > self.begin) & (taken % self.every == 0))

        def update(tuned: Hypers) -> Hypers:
            return self._update(key, tuned, new, state.origin, model, batch.whole)

        tuned = jax.lax.cond(due, update, lambda tuned: tuned, state.tuned)
        info |= {"log_evidence": tuned.log_evidence, "raws": tuned.raws}
        return TrainingState(new, tuned, state.origin, taken), info

    def _update(
        self, key: jax.Array, tuned: Hypers, descent: Any, origin: Any, model: Model, data: Data
    ) -> Hypers:
        """Take the curvature at the weights as they are, and a step of the hyper-parameters."""
        here, phase = self._at(model, tuned.raws), self.curvature
        weights, _ = self.of.end(descent, None, here, data)
        state = phase.init(key, here, data, weights)
        state, _ = phase.step(key, state, here, Batch(data, None, data, True))
        posterior, _ = phase.end(state, None, here, data)
        value, _, move = balance(posterior, here, data)
        raws = tuned.raws + jnp.clip(move, -self.bound, self.bound)
        return Hypers(jnp.clip(raws, origin - REACH, origin + REACH), value)

    def _at(self, model: Model, raws: jax.Array) -> Model:
        return hyper.fill(model, trees.ravel(hyper.free(model))[1](raws))

    def done(self, state: TrainingState) -> jax.Array:
        return self.of.done(state.of)

    def end(self, state: TrainingState, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        return self.of.end(state.of, kept, self._at(model, state.tuned.raws), blinded(data))

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        verdict = self.of.judge(info, ended)
        if verdict.status != "ok":
            return verdict
        steps = np.arange(1, len(info["raws"]) + 1)
        updates = (steps > self.begin) & (steps % self.every == 0)
        return judge_trajectory(info["raws"][updates])


def judge_trajectory(raws: np.ndarray) -> Verdict:
    """Warn of hyper-parameters that had not settled when the updates (u, h) ended."""
    last = max(4, len(raws) // 4)
    if len(raws) <= last:
        return Verdict()
    gone = raws[-1] - raws[-last - 1]
    far = np.abs(raws[-1] - raws[0]) >= REACH - 3
    running = far | (np.abs(gone) > RUN)
    if not running.any():
        return Verdict()
    which = int(np.argmax(running))
    reason = (
        f"A hyper-parameter (number {which + 1} of {raws.shape[1]}) was running away: over the "
        f"last {last} updates it {'grew' if gone[which] > 0 else 'shrank'} by a factor of "
        f"{np.exp(abs(gone[which])):.2g}."
    )
    advice = (
        "Weights whose scale changes nothing, as those before a batch norm or a layer norm, leave "
        "their precision undecided: fix it, as in Normal({path: 1.0, ...}), or give it a prior. "
        "Otherwise give the descent more steps."
    )
    return Verdict("warned", (reason,), (advice,))
