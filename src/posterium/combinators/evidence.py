"""Evidence: put the free hyper-parameters where the data are most probable (type-II likelihood).

The method's phases and a tuning phase alternate, each round from where the last one ended; the
method has the last word (MacKay 1992).
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, static, struct
from posterium.driver.protocol import NO_BATCHES, Info, Phase
from posterium.model import hyper
from posterium.model.data import Batch, Data, Stream
from posterium.model.model import Model
from posterium.numerics import trees
from posterium.phases.polish import newton_step
from posterium.posterior.fit import Verdict
from posterium.posterior.posterior import GaussianPosterior

REACH = 14.0
"""A round moves a hyper-parameter by at most this in its logarithm: a factor of a million."""


@struct
class Evidence:
    """A method at the hyper-parameters of maximum evidence.

    Parameters
    ----------
    of
        A method with an evidence: `Exact()` or `Laplace()`. The model marks what is free by
        `learn(...)`.
    rounds
        How often the method and the tuning alternate. A closed form needs one.
    steps
        Newton steps of a tuning at most.
    """

    of: Any
    rounds: int = static(default=3)
    steps: int = static(default=100)

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.steps < 1:
            raise ValueError(
                f"rounds and steps must be at least 1; got {self.rounds} and {self.steps}."
            )

    @property
    def precision(self) -> str:
        """What the method inside computes in."""
        return self.of.precision

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        if not hyper.learned(model):
            raise ValueError(
                "Evidence expects a model with free hyper-parameters; this one has none. "
                "Mark them, for example Normal(precision=learn(1.0))."
            )
        if hasattr(self.of, "of"):
            name = type(self.of).__name__
            raise ValueError(
                f"Evidence expects a method itself, Exact() or Laplace(), whose search for weights "
                f"it can hold; got {name}. Put it inside, as in {name}(Evidence(...))."
            )
        inner = _settled(self.of).phases(model, data)
        rounds = 1 if getattr(self.of, "closed_form", False) else self.rounds
        return (*inner, Tune(self.steps)) * rounds + inner


FLAT = 1e-6
"""Gradient norm in nats at which the evidence has no slope left."""

STILL = 1e-9
"""A hyper-parameter whose logarithm moves by less than this has arrived, or is at its bound."""

STEP = 1e-4
"""Step of the differences of gradients, in the logarithm of a hyper-parameter."""


def differences(loss: Any, raws: jax.Array) -> tuple[jax.Array, ...]:
    """Return value, gradient (h,) and Hessian (h, h) of a loss; the last by central differences.

    The second derivative of a matrix factorisation takes XLA seconds to compile; differences of
    exact gradients need one program, and Newton's method ends at the same point.
    """
    moves = STEP * jnp.eye(raws.size, dtype=raws.dtype)
    points = jnp.concatenate([raws[None], raws[None] + moves, raws[None] - moves])
    values, slopes = jax.lax.map(jax.value_and_grad(loss), points)
    ahead, behind = jnp.split(slopes[1:], 2)
    curvature = (ahead - behind) / (2 * STEP)
    return values[0], slopes[0], 0.5 * (curvature + curvature.T)


def _settled(method: Any) -> Any:
    """Return the method with all free hyper-parameters held while it looks for weights."""
    return replace(method, held="all") if hasattr(method, "held") else method


@struct
class TuneState:
    """Where a tuning stands.

    Parameters
    ----------
    posterior
        What the method found, with its curvature.
    raws
        Unconstrained coordinates of the free hyper-parameters, as one vector.
    origin
        Where they started.
    damping
        Of Newton's method, relative to the largest curvature.
    gain
        What the last step promised, in nats.
    """

    posterior: GaussianPosterior
    raws: Any
    origin: Any
    damping: Any
    gain: Any


@struct
class Tune(Phase):
    """Climb the log evidence in the logarithms of the free hyper-parameters, by damped Newton.

    Parameters
    ----------
    steps
        Steps at most.
    """

    steps: int = static(default=100)

    batch_size: ClassVar[int] = NO_BATCHES
    name: ClassVar[str] = "tune"

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> TuneState:
        if getattr(start, "curvature", None) is None:
            raise ValueError(
                f"Evidence expects a method with an evidence, such as Exact() or Laplace(); "
                f"this one ends with {type(start).__name__}."
            )
        raws = trees.vector(hyper.free(model))
        damping = jnp.asarray(1e-3, raws.dtype)
        return TuneState(start, raws, raws, damping, jnp.asarray(jnp.inf, raws.dtype))

    def step(
        self, key: jax.Array, state: TuneState, model: Model, batch: Batch
    ) -> tuple[TuneState, Info]:
        _, unravel = trees.ravel(hyper.free(model))

        def loss(raws: jax.Array) -> jax.Array:
            return -state.posterior.log_evidence(hyper.fill(model, unravel(raws)))

        raws, value, slope, damping, gain = newton_step(
            loss, state.raws, state.damping, differences
        )
        raws = jnp.clip(raws, state.origin - REACH, state.origin + REACH)
        still = jnp.max(jnp.abs(raws - state.raws)) < STILL
        gain = jnp.where(jnp.isfinite(gain) & still, 0, gain)
        info = {"objective": -value, "gradient_norm": jnp.linalg.norm(slope), "raws": raws}
        info["moved"] = jnp.max(jnp.abs(raws - state.origin))
        return TuneState(state.posterior, raws, state.origin, damping, gain), info

    def done(self, state: TuneState) -> jax.Array:
        return state.gain <= jnp.finfo(state.raws.dtype).eps

    def end(self, state: TuneState, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        _, unravel = trees.ravel(hyper.free(model))
        return state.posterior.mode(), hyper.fill(model, unravel(state.raws))

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        finite = super().judge(info, ended)
        if finite.status != "ok":
            return finite
        if info["moved"][-1] >= REACH - 3:
            reason = "A hyper-parameter ran to the bound of its tuning, a factor of a million."
            advice = (
                "The data do not bound it (no noise, or no signal): fix it, or give it a prior."
            )
            return Verdict("warned", (reason,), (advice,))
        if len(info["gradient_norm"]) < self.steps or info["gradient_norm"][-1] < FLAT:
            return Verdict()
        reason = f"The evidence still had a gradient of {info['gradient_norm'][-1]:.2g} at the end."
        return Verdict("warned", (reason,), ("Give Evidence more steps.",))
