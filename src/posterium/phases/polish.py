"""Polish: the phase that ends at a mode to machine accuracy, by damped Newton or L-BFGS."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.linalg import cho_factor, cho_solve

from posterium._struct import replace, static, struct
from posterium.driver.protocol import Info, Phase
from posterium.model import hyper
from posterium.model.data import Batch, Data
from posterium.model.model import Model
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.phases.descent import as_weights
from posterium.posterior.fit import Verdict
from posterium.posterior.posterior import Point

SOLVERS = ("newton", "lbfgs")


@struct
class PolishState:
    """Where a polish stands.

    Parameters
    ----------
    weights
        Weights so far.
    raws
        Unconstrained coordinates of the free hyper-parameters.
    memory
        The damping of Newton's method, or what L-BFGS remembers.
    gain
        What the last step promised to gain, in nats: Newton's decrement, or the drop seen.
    """

    weights: Weights
    raws: Any
    memory: Any
    gain: Any


@struct
class Polish(Phase):
    """Climb the log joint of all rows to where no step gains any more.

    Parameters
    ----------
    solver
        ``"newton"`` (dense Hessian, for up to a few thousand weights) or ``"lbfgs"``.
    steps
        Steps at most.
    use_prior
        False leaves the prior out.
    """

    solver: str = static(default="newton")
    steps: int = static(default=500)
    use_prior: bool = static(default=True)

    batch_size: ClassVar[None] = None
    name: ClassVar[str] = "polish"

    def __post_init__(self) -> None:
        if self.solver not in SOLVERS:
            raise ValueError(f"polish must be 'newton', 'lbfgs' or None; got {self.solver!r}.")

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> PolishState:
        weights = as_weights(start)
        raws = hyper.free(model)
        vector = trees.vector((weights.params, raws))
        if self.solver == "lbfgs":
            memory = optax.lbfgs().init(vector)
        else:
            memory = jnp.asarray(_small(vector) ** 0.5, vector.dtype)
        return PolishState(weights, raws, memory, jnp.asarray(jnp.inf, vector.dtype))

    def step(
        self, key: jax.Array, state: PolishState, model: Model, batch: Batch
    ) -> tuple[PolishState, Info]:
        vector, unravel = trees.ravel((state.weights.params, state.raws))

        def loss(vector: jax.Array) -> jax.Array:
            params, raws = unravel(vector)
            weights = replace(state.weights, params=params)
            log_prior, log_likelihood, _ = hyper.fill(model, raws).log_joint(weights, batch.part)
            return -log_likelihood - (log_prior if self.use_prior else 0)

        take = newton_step if self.solver == "newton" else lbfgs_step
        vector, value, slope, memory, gain = take(loss, vector, state.memory)
        params, raws = unravel(vector)
        weights = replace(state.weights, params=params)
        info = {"objective": -value, "gradient_norm": jnp.linalg.norm(slope), "gain": gain}
        return PolishState(weights, raws, memory, gain), info

    def done(self, state: PolishState) -> jax.Array:
        return state.gain <= _small(state.gain)

    def end(self, state: PolishState, kept: Any, model: Model, data: Data) -> tuple[Point, Model]:
        return Point(state.weights), hyper.fill(model, state.raws)

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        finite = super().judge(info, ended)
        gain = info["gain"]
        if finite.status != "ok" or len(gain) < self.steps or gain[-1] <= _small(gain):
            return finite
        reason = f"The polish was still gaining {info['gain'][-1]:.2g} nats a step when it ended."
        return Verdict("warned", (reason,), ("Give it more steps, or float64 precision.",))


def _small(like: jax.Array | np.ndarray) -> float:
    """Return the gain in nats below which a mode is reached: the square of nothing, nearly."""
    return float(np.finfo(like.dtype).eps) ** 1.5


def derivatives(loss: Any, vector: jax.Array) -> tuple[jax.Array, ...]:
    """Return value, gradient (p,) and Hessian (p, p) of a loss."""
    value, slope = jax.value_and_grad(loss)(vector)
    return value, slope, jax.hessian(loss)(vector)


def newton_step(
    loss: Any, vector: jax.Array, damping: jax.Array, differentiate: Any = derivatives
) -> tuple[jax.Array, ...]:
    """Take one Levenberg-damped Newton step; a step that does not descend is not taken.

    The damping is relative to the largest curvature; it falls to zero as steps succeed.
    """
    value, slope, curvature = differentiate(loss, vector)
    scale = jnp.max(jnp.abs(jnp.diagonal(curvature))) + jnp.finfo(vector.dtype).tiny
    shifted = curvature + damping * scale * jnp.eye(vector.size, dtype=vector.dtype)
    move = cho_solve(cho_factor(shifted), slope)
    decrement = 0.5 * slope @ move
    tried = vector - move
    slack = 8 * jnp.finfo(vector.dtype).eps * jnp.abs(value)
    good = jnp.isfinite(decrement) & (loss(tried) <= value + slack)
    smaller = jnp.where(damping < 1e-8, 0, damping / 10)
    damping = jnp.where(good, smaller, jnp.maximum(10 * damping, 1e-8))
    return (
        jnp.where(good, tried, vector),
        value,
        slope,
        damping,
        jnp.where(good, decrement, jnp.inf),
    )


def lbfgs_step(loss: Any, vector: jax.Array, memory: Any) -> tuple[Any, ...]:
    """Take one L-BFGS step with a zoom line search."""
    solver = optax.lbfgs()
    slope: Any
    updates: Any
    value, slope = optax.value_and_grad_from_state(loss)(vector, state=memory)
    updates, memory = solver.update(slope, memory, vector, value=value, grad=slope, value_fn=loss)
    moved: Any = optax.apply_updates(vector, updates)
    gain = 0.5 * jnp.abs(jnp.sum(jnp.asarray(slope) * (moved - vector)))
    return moved, value, slope, memory, gain
