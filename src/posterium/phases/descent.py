"""Descent: the phase of minibatch optimisation that several methods share.

It climbs the log joint per row, (log prior + log likelihood) / N, in the weights and in the free
hyper-parameters of the likelihood, with early stopping on held-out rows. The network trains: its
running statistics move, and its own noise (dropout) is on, afresh at every step.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from posterium._struct import replace, static, struct
from posterium.driver.protocol import Info, Phase
from posterium.model import hyper
from posterium.model.data import Batch, Data
from posterium.model.model import Model
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.phases.checks import check_counts, number
from posterium.posterior.fit import Verdict
from posterium.posterior.posterior import Mixture, Point

OPTIMISERS = ("adam", "sgd", "momentum", "rmsprop")
SCHEDULES = ("constant", "cosine", "linear")
AT_FLOOR = 0.5
"""A hyper-parameter of which less than this share is above its floor counts as standing at it."""


def check_settings(steps: int, batch_size: int | None, validation: float = 0.0) -> None:
    """Refuse settings of a descent that make no sense."""
    check_counts(1, steps=steps, batch_size=1 if batch_size is None else batch_size)
    if not 0 <= validation < 1:
        raise ValueError(f"validation must be a share from 0 to below 1; got {validation}.")


@struct
class Optimiser:
    """Which optimiser, at which learning rate, on which schedule.

    Parameters
    ----------
    name
        ``"adam"``, ``"sgd"``, ``"momentum"`` (0.9, Nesterov) or ``"rmsprop"``.
    learning_rate
        The highest rate, on the objective per row.
    schedule
        ``"constant"``, or ``"cosine"`` or ``"linear"`` decay to 0 over the steps.
    clip
        Gradients are scaled down to at most this global norm; None leaves them.
    betas
        Decay rates of Adam's two moments.
    warmup
        Share of the steps over which the rate rises from 0.
    cycles
        Times that the schedule begins anew, after as many steps each.
    """

    name: str = static(default="adam")
    learning_rate: Any = 1e-2
    schedule: str = static(default="constant")
    clip: Any = None
    betas: tuple[Any, Any] = (0.9, 0.999)
    warmup: float = static(default=0.0)
    cycles: int = static(default=1)

    def __post_init__(self) -> None:
        if self.name not in OPTIMISERS:
            raise ValueError(
                f"optimiser must be one of {', '.join(OPTIMISERS)}; got {self.name!r}."
            )
        if self.schedule not in SCHEDULES:
            raise ValueError(
                f"schedule must be one of {', '.join(SCHEDULES)}; got {self.schedule!r}."
            )

    def checked(self) -> "Optimiser":
        """Return this optimiser, or refuse numbers that cannot descend."""
        rate = number("learning_rate", self.learning_rate)
        clip = None if self.clip is None else number("clip", self.clip)
        if not (np.isfinite(rate) and rate >= 0) or (clip is not None and not clip > 0):
            raise ValueError(
                "learning_rate must be finite and not negative, and clip positive or None; "
                f"got {rate} and {clip}."
            )
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup must be a share from 0 to below 1; got {self.warmup}.")
        return self

    def build(self, steps: int) -> optax.GradientTransformation:
        """Return the optax transformation for a run of so many steps."""
        rate = self._rate(steps)
        made = {
            "adam": lambda: optax.adam(rate, b1=self.betas[0], b2=self.betas[1]),
            "sgd": lambda: optax.sgd(rate),
            "momentum": lambda: optax.sgd(rate, momentum=0.9, nesterov=True),
            "rmsprop": lambda: optax.rmsprop(rate),
        }[self.name]()
        if self.clip is None:
            return made
        return optax.chain(optax.clip_by_global_norm(self.clip), made)

    def _rate(self, steps: int) -> Any:
        if self.schedule == "constant" and self.warmup == 0:
            return self.learning_rate

        def rate(count: jax.Array) -> jax.Array:
            t, length = jnp.asarray(count, float), steps / self.cycles
            rise = jnp.minimum(1.0, (t + 1) / max(1.0, self.warmup * steps))
            t = t if self.cycles == 1 else t % length
            fall = {
                "constant": 1.0,
                "cosine": 0.5 * (1 + jnp.cos(jnp.pi * t / length)),
                "linear": 1 - t / length,
            }
            return self.learning_rate * rise * fall[self.schedule]

        return rate


@struct
class Watch:
    """Early stopping: the best held-out score so far and the weights that had it.

    Parameters
    ----------
    held
        Rows held out of the fit, (v,).
    mask
        1 for rows that are fitted, 0 for held-out ones, (n,).
    instead
        The rows themselves, and fitted ones in the places of those held out, (n,).
    best
        Weights, hyper-parameters and the network's state with the best held-out score.
    score
        That score: mean log likelihood of the held-out rows, in nats.
    latest
        The latest score.
    waited
        Checks since then.
    """

    held: Any
    mask: Any
    instead: Any
    best: Any
    score: Any
    latest: Any
    waited: Any


@struct
class DescentState:
    """Where a descent stands.

    Parameters
    ----------
    params
        The weights that move.
    raws
        Unconstrained coordinates of the free hyper-parameters.
    state
        The network's state.
    optimiser
        What optax remembers.
    watch
        Early stopping, or None without held-out rows.
    """

    params: Any
    raws: Any
    state: Any
    optimiser: Any
    watch: Watch | None


@struct
class Descent(Phase):
    """Climb the log joint by stochastic gradients.

    Parameters
    ----------
    optimiser
        How to step.
    steps
        Steps at most.
    batch_size
        Rows a step; None for all.
    use_prior
        False leaves the prior out: maximum likelihood.
    validation
        Share of the rows held out for early stopping; 0 for none. Data with a validation part
        of their own are watched on that.
    patience
        Checks (one an epoch) without improvement after which to stop; None never stops. The
        weights with the best score are kept either way.
    """

    optimiser: Optimiser = Optimiser()
    steps: int = static(default=1000)
    batch_size: int | None = static(default=None)
    use_prior: bool = static(default=True)
    validation: float = static(default=0.0)
    patience: Any = 50

    name: ClassVar[str] = "descent"

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> DescentState:
        weights = model.network.init(key, data.x) if start is None else as_weights(start)
        weights = trees.cast(weights, data.weight.dtype)
        moving = weights.params, hyper.free(model)
        watch = self._watch(jax.random.fold_in(key, 1), data, (*moving, weights.state))
        optimiser = self.optimiser.build(self.steps).init(trees.vector(moving))
        return DescentState(*moving, weights.state, optimiser, watch)

    def _watch(self, key: jax.Array, data: Data, best: Any) -> Watch | None:
        n = len(data.x)
        count = 0 if data.validation is not None else min(round(self.validation * n), n - 1)
        if data.validation is None and count == 0:
            return None
        # Rows that do not count, as those out of bag in a bootstrap, are the first to be held out.
        order = jnp.lexsort((jax.random.bits(key, (n,)), data.weight > 0))
        held, fitted = order[:count], order[count:]
        mask = jnp.ones(n, data.weight.dtype).at[held].set(0)
        instead = jnp.arange(n).at[held].set(jnp.resize(fitted, (count,)))
        low = jnp.full((), -jnp.inf, data.weight.dtype)
        return Watch(held, mask, instead, best, low, low, jnp.zeros((), jnp.int32))

    def step(
        self, key: jax.Array, state: DescentState, model: Model, batch: Batch
    ) -> tuple[DescentState, Info]:
        part = batch.part
        if state.watch is not None:
            part = fitted_part(state.watch, batch, seen_together=state.state is not None)

        vector, unravel = trees.ravel((state.params, state.raws))

        def loss(vector: jax.Array) -> tuple[jax.Array, Any]:
            params, raws = unravel(vector)
            here = hyper.fill(model, raws)
            log_prior, log_likelihood, new = here.log_joint(
                Weights(params, state.state, key), part, train=True
            )
            total = log_likelihood + (log_prior if self.use_prior else 0)
            return -total / part.size, (log_prior, log_likelihood, new)

        (value, (log_prior, log_likelihood, new)), slope = jax.value_and_grad(loss, has_aux=True)(
            vector
        )
        move, memory = self.optimiser.build(self.steps).update(slope, state.optimiser, vector)
        moved: Any = optax.apply_updates(vector, move)
        params, raws = unravel(moved)
        info = {"objective": -value, "log_prior": log_prior, "log_likelihood": log_likelihood}
        if raws:
            info["above_floor"] = above_floor(hyper.fill(model, raws))
        state = DescentState(params, raws, new, memory, state.watch)
        if state.watch is not None:
            watch = jax.lax.cond(
                batch.epoch_end, check, lambda watch, *_: watch, state.watch, state, model, batch
            )
            state = replace(state, watch=watch)
            info["held_out"] = watch.latest
        return state, info

    def done(self, state: DescentState) -> jax.Array:
        if state.watch is None or self.patience is None:
            return jnp.zeros((), bool)
        return state.watch.waited >= self.patience

    def end(self, state: DescentState, kept: Any, model: Model, data: Data) -> tuple[Point, Model]:
        latest = state.params, state.raws, state.state
        params, raws, kept = latest if state.watch is None else chosen(state.watch, latest)
        return Point(Weights(params, kept)), hyper.fill(model, raws)

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        finite = super().judge(info, ended)
        if finite.status != "ok" or "above_floor" not in info or info["above_floor"][-1] > AT_FLOOR:
            return finite
        reason = "A learned hyper-parameter, the noise sd most likely, stands at its floor."
        advice = "The data show no noise: fix it at what is known of it, or raise the floor."
        return Verdict("warned", (reason,), (advice,))


def above_floor(model: Model) -> jax.Array:
    """Return what share of a free hyper-parameter is above its floor, the least there is.

    Degrees of freedom are left out: near their floor they say that tails are heavy, no more.
    """
    tails = getattr(model.likelihood, "df", None)
    scales = [h for h in hyper.learned(model) if h is not tails]
    shares = [jnp.ravel((h.value - h.floor) / h.value) for h in scales]
    return jnp.min(jnp.concatenate([*shares, jnp.ones(1)]))


def as_weights(start: Any) -> Weights:
    """Return weights to start from: weights as they are, or the mode of a posterior.

    Raises
    ------
    TypeError
        For anything else, such as a whole Fit.
    ValueError
        For an ensemble.
    """
    if isinstance(start, Weights):
        return start
    if isinstance(start, Mixture):
        raise ValueError(
            f"Expected one set of weights to start from; got an ensemble of {start.size()}. "
            "Put this method into an Ensemble of as many, or start from one member."
        )
    if not hasattr(start, "mode"):
        raise TypeError(
            f"Expected Weights or a posterior to start from; got {type(start).__name__}. Pass "
            "start=fit.posterior, or Weights(params)."
        )
    return start.mode()


def chosen(watch: Watch, latest: Any) -> Any:
    """Return what had the best held-out score, or the latest when none was scored."""
    return trees.where(watch.score > -jnp.inf, watch.best, latest)


def fitted_part(watch: Watch, batch: Batch, *, seen_together: bool) -> Data:
    """Return a batch without its held-out rows, as a part of the rows that are fitted.

    Held-out rows stay in their places at weight 0. Where a network sees the rows of a batch
    together, as batch norm does, it sees fitted rows there.
    """
    if batch.whole.validation is not None:
        return batch.part
    here = (
        watch.mask if batch.rows is None else jnp.where(batch.rows >= 0, watch.mask[batch.rows], 0)
    )
    size = jnp.sum(watch.mask * batch.whole.weight)
    rows = jnp.sum(watch.mask * (batch.whole.weight > 0))
    part = replace(batch.part, weight=batch.part.weight * here, size=size, rows=rows)
    if not seen_together:
        return part
    at = watch.instead
    if batch.rows is not None:
        at = at[jnp.where(batch.rows < 0, -1 - batch.rows, batch.rows)]
    return replace(part, x=batch.whole.x[at])


def check(watch: Watch, state: DescentState, model: Model, batch: Batch) -> Watch:
    """Score the held-out rows, and keep the weights if they are the best so far."""
    held = batch.whole.validation
    if held is None:
        held = batch.whole.take(watch.held)
    weights = Weights(state.params, state.state)
    f, _ = model.network.apply(weights, held.x)
    row = hyper.fill(model, state.raws).likelihood.log_prob(f, held.y)
    weight = jnp.where(held.weight > 0, held.weight, 1)
    score = jnp.sum(weight * row) / jnp.sum(weight)
    better = score > watch.score
    best = trees.where(better, (state.params, state.raws, state.state), watch.best)
    waited = jnp.where(better, 0, watch.waited + 1)
    return replace(
        watch, best=best, score=jnp.maximum(score, watch.score), latest=score, waited=waited
    )
