r"""SWAG: a Gaussian with the moments of the iterates of stochastic gradient descent.

.. math:: q(w) = N\Bigl(\bar w,\; \tfrac12 \mathrm{diag}(s^2)
    + \tfrac{1}{2 (K - 1)} \sum_{k} d_k d_k^T\Bigr), \qquad d_k = w_k - \bar w_k

From a mode, descent goes on at a rate that does not fall. Of its iterates w_1, ..., w_T are kept
the mean, the variance s^2 of each weight, and the last K deviations d_k, each from the mean of
the iterates up to it (Maddox et al. 2019, algorithm 1). The mean alone is stochastic weight
averaging (Izmailov et al. 2018).
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import static, struct
from posterium.driver.protocol import Info, Phase
from posterium.evaluate import convergence
from posterium.evaluate.trend import drift
from posterium.model import hyper
from posterium.model.data import Data, Stream
from posterium.model.forward import moves_state
from posterium.model.model import Model
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.numerics.covariances.low_rank import DiagonalPlusLowRank
from posterium.phases.checks import check_counts
from posterium.phases.descent import Descent, DescentState, Optimiser, check_settings
from posterium.phases.iterates import Iterates, IteratesState
from posterium.phases.refresh import Refresh
from posterium.phases.search import Search
from posterium.phases.unbounded import refuse_unbounded
from posterium.posterior.fit import Verdict
from posterium.posterior.posterior import GaussianPosterior, Point

SCHEDULES = {"constant": "constant", "cyclical": "cosine"}
DRIFT = 1.5
"""A drift of predictions that is worth a warning, in spreads within a half of the run."""
LEAST_DRIFT, STILL = 0.05, 1e-3
"""Below so many noise sds, or nats of a log probability, a drift does no harm; a spread is none."""


@struct
class SWAG:
    """A Gaussian around the average of the iterates of a descent, as wide as they are spread.

    The spread is what minibatches and learning rate make of it: wider with either a higher rate or
    fewer rows a step, and without minibatches none. It sees one mode; `Ensemble(SWAG(), 8)` sees
    eight (multi-SWAG, Wilson and Izmailov 2020). Predictions are by draws of weights.

    Where the network has running statistics (batch norm), the posterior is a number of draws, each
    with statistics of its own, taken anew from the rows.

    Parameters
    ----------
    rank
        Deviations K that are kept, at least 2; 0 for independent weights with the whole variance
        each. None keeps the average alone; `SWA(...)` reads better.
    steps
        Steps of the descent whose iterates are taken.
    every
        Steps from one iterate to the next.
    learning_rate
        Its rate, on the objective per row.
    schedule
        ``"constant"``, or ``"cyclical"``: the rate falls to 0 between two iterates and begins
        anew, so that each is near a low point.
    optimiser
        ``"sgd"``, ``"momentum"``, ``"adam"`` or ``"rmsprop"``.
    batch_size
        Rows a step; None for all.
    clip
        Largest norm of a gradient; None for no limit.
    at
        The method that finds where to begin, such as ``MAP(batch_size=64)``. None: the weights
        given as `start`, or those that the network draws.
    draws
        Draws that are kept for a network with running statistics.
    """

    rank: int | None = static(default=20)
    steps: int = static(default=2000)
    every: int = static(default=20)
    learning_rate: Any = 1e-3
    schedule: str = static(default="constant")
    optimiser: str = static(default="sgd")
    batch_size: int | None = static(default=32)
    clip: Any = None
    at: Any = Search()
    draws: int = static(default=30)

    precision: ClassVar[str] = "float32"

    def __post_init__(self) -> None:
        check_settings(self.steps, self.batch_size)
        if self.schedule not in SCHEDULES:
            raise ValueError(
                f"schedule must be one of {', '.join(SCHEDULES)}; got {self.schedule!r}."
            )
        check_counts(1, every=self.every, draws=self.draws)
        check_counts(0, rank=0 if self.rank is None else self.rank)
        if self.steps % self.every:
            raise ValueError(
                f"steps must be a multiple of every; got steps={self.steps}, every={self.every}."
            )
        iterates = self.steps // self.every
        if self.rank is not None and not (self.rank == 0 or 2 <= self.rank <= iterates):
            raise ValueError(
                f"rank must be None, 0, or from 2 to the {iterates} iterates that are taken; got "
                f"{self.rank}. Take more steps, or an iterate more often."
            )

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        refuse_unbounded(model, "SWAG")
        cycles = self.steps // self.every if self.schedule == "cyclical" else 1
        optimiser = Optimiser(
            self.optimiser, self.learning_rate, SCHEDULES[self.schedule], self.clip, cycles=cycles
        ).checked()
        descent = Descent(optimiser, self.steps, self.batch_size, patience=None)
        before = () if self.at is None else self.at.phases(model, data)
        found = (*before, Averaging(descent, self.every, self.rank))
        x = next(iter(data.batches()))[0] if isinstance(data, Stream) else data.x
        if not moves_state(model.network, x):
            return found
        draws = None if self.rank is None else self.draws
        return (*found, Refresh(draws, batch_size=self.batch_size))


def SWA(**settings: Any) -> SWAG:
    """Return stochastic weight averaging: the average of the iterates, without a spread."""
    return SWAG(rank=None, **settings)


@struct
class Moments:
    """Moments of the iterates so far, as vectors of weights and free hyper-parameters (p + h,).

    Parameters
    ----------
    mean
        Their mean.
    squares
        Sum of their squared deviations from it.
    deviations
        The last K from the means of their time, (K, p + h); K is 0 where there is no rank.
    inputs
        Inputs at which iterates are compared.
    probe
        What the latest one predicts there, in units of its noise.
    """

    mean: Any
    squares: Any
    deviations: Any
    inputs: Any
    probe: Any


@struct
class Averaging(Iterates):
    """A descent whose iterates are averaged.

    Every step records `probe`, what the latest iterate predicts at up to 32 of the inputs.

    Parameters
    ----------
    of
        The descent.
    every
        Steps from one iterate to the next.
    rank
        As of `SWAG`.
    """

    of: Descent
    every: int = static()
    rank: int | None = static(default=20)

    name: ClassVar[str] = "averaging"

    def begin(self, first: DescentState, model: Model, data: Data) -> Moments:
        none = jnp.zeros_like(trees.vector((first.params, first.raws)))
        deviations = jnp.zeros((self.rank or 0, none.size), none.dtype)
        inputs = convergence.probes(data.x)
        return Moments(none, none, deviations, inputs, predicted(first, inputs, model))

    def take(
        self, held: Moments, iterate: DescentState, number: jax.Array, model: Model
    ) -> Moments:
        vector = trees.vector((iterate.params, iterate.raws))
        offset = vector - held.mean
        mean = held.mean + offset / (number + 1)
        deviation = vector - mean
        deviations = held.deviations
        if self.rank:
            deviations = deviations.at[number % self.rank].set(deviation)
        probe = predicted(iterate, held.inputs, model)
        return Moments(mean, held.squares + offset * deviation, deviations, held.inputs, probe)

    def told(self, held: Moments) -> Info:
        return {"probe": held.probe}

    def end(
        self, state: IteratesState, kept: Any, model: Model, data: Data
    ) -> tuple[Point | GaussianPosterior, Model]:
        latest, moments = state.of, state.held
        here, unravel = trees.ravel((latest.params, latest.raws))
        taken = state.taken // self.every
        params, raws = unravel(jnp.where(taken > 0, moments.mean, here))
        mean, count = Weights(params, latest.state), trees.count(params)
        model = hyper.fill(model, raws)
        if self.rank is None:
            return Point(mean), model
        variance = moments.squares[:count] / jnp.maximum(taken, 1)
        deviations = moments.deviations[:, :count]
        if self.rank:
            # Ended before its time, it holds fewer deviations than rows for them; those are 0.
            held = jnp.clip(taken, 2, self.rank)
            deviations *= jnp.sqrt((self.rank - 1) / (held - 1))
        return GaussianPosterior(mean, covariance(variance, deviations)), model

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        verdict = super().judge(info, ended)
        if verdict.status != "ok":
            return verdict
        iterates = info["probe"][self.every - 1 :: self.every]
        return judge_drift(iterates, spread=self.rank is not None)


def covariance(variance: jax.Array, deviations: jax.Array) -> DiagonalPlusLowRank:
    """Return the covariance of weights with variances (p,) and deviations (K, p).

    Half of it is the diagonal and half that of the deviations; without any, all is the diagonal.
    """
    count = len(deviations)
    if count == 0:
        return DiagonalPlusLowRank(jnp.sqrt(variance), jnp.zeros((variance.size, 1)))
    scale = jnp.sqrt(variance / 2)
    columns = deviations.T / jnp.sqrt(2.0 * (count - 1))
    factor = columns / jnp.where(scale > 0, scale, 1)[:, None]
    return DiagonalPlusLowRank(scale, factor.astype(scale.dtype))


def predicted(at: DescentState, x: jax.Array, model: Model) -> jax.Array:
    """Return what an iterate predicts at rows x, (q, m), in units of its noise.

    For numbers means over noise sds, and log noise variances; for classes log probabilities.
    """
    here = hyper.fill(model, at.raws)
    values = convergence.function_values(here, Weights(at.params, at.state), x)
    if here.likelihood.task == "classification":
        return values
    mean, log_variance = jnp.split(values, 2, axis=1)
    return jnp.concatenate([mean * jnp.exp(-log_variance / 2), log_variance], axis=1)


def judge_drift(values: np.ndarray, *, spread: bool) -> Verdict:
    """Warn of iterates whose predictions (t, q, m) drift, or where a spread is asked have none."""
    moved, within = drift(values)
    if spread and max(moved, within) < STILL:
        return Verdict(
            "warned",
            ("The iterates do not move, so that the posterior has no spread.",),
            ("Raise learning_rate, or give a batch_size below the number of rows.",),
        )
    if moved <= max(DRIFT * within, LEAST_DRIFT):
        return Verdict()
    reason = (
        f"The iterates drift: predictions moved by {moved:.2g} noise sds, or nats, between the "
        f"halves of the run, where they spread by {within:.2g} within a half."
    )
    advice = "Begin nearer to a mode (at=MAP(steps=...)), or take more steps at a lower rate."
    return Verdict("warned", (reason,), (advice,))
