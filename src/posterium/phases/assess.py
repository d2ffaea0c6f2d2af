r"""Assess: what many draws say of a variational fit.

The bound and its two terms with their Monte Carlo errors, and whether importance weights
:math:`p(y, w) / q(w)` could correct the fit: Pareto k-hat (Yao, Vehtari, Simpson and Gelman 2018).
"""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from posterium._struct import replace, static, struct
from posterium.driver.protocol import Info, Phase
from posterium.evaluate.psis import pareto_k
from posterium.model import hyper
from posterium.model.data import Batch, Data, Stream
from posterium.model.model import Model
from posterium.phases.checks import check_counts
from posterium.posterior.family import FamilyPosterior
from posterium.posterior.fit import Verdict

TILE = 1024
"""Rows of a step, of data in memory."""
AT_ONCE = 4096
"""Rows times draws that go through the network at a time."""
MOST_DRAWS, LEAST_DRAWS = 1000, 16
"""Draws of an assessment, when not told."""
EFFORT = 0.1
"""What these may cost, in passes through the network, as a share of what the steps take."""
K_OK = 0.7
GAP_OK = 3.0
"""Nats that importance weights may find between the bound and the log evidence."""
CLOSER = (
    "Score predictions on rows held out; try a richer family, more steps, or a sampler such as "
    "NUTS."
)
"""What to try after a fit that is far from the posterior."""


@struct
class AssessState:
    """What the rows so far say of the draws.

    Parameters
    ----------
    fitted
        What is assessed.
    key
        Of the draws: the same ones at every step.
    log_likelihood
        Of each draw, its log likelihood of the rows seen, scaled to all rows, (s,).
    rows
        Rows seen.
    """

    fitted: FamilyPosterior
    key: jax.Array
    log_likelihood: jax.Array
    rows: jax.Array


@struct
class Assess(Phase):
    """Estimate the bound of a variational fit from many draws, in one pass over the rows.

    Every step records, of the rows seen by then and scaled to all: `elbo`, `log_likelihood` and
    `kl` in nats, their Monte Carlo standard errors `elbo_se`, `log_likelihood_se` and `kl_se`,
    `importance` (the log of the mean importance weight: on average between the bound and the log
    evidence) and `k_hat`. Free hyper-parameters and weights with a point estimate are held at
    their values.

    Parameters
    ----------
    draws
        Number of draws s.
    steps
        Batches in one pass.
    batch_size
        Rows of each; None for all.
    """

    draws: int = static()
    steps: int = static(default=1)
    batch_size: int | None = static(default=None)

    name: ClassVar[str] = "assess"

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> AssessState:
        dtype = data.weight.dtype
        empty = jnp.zeros(self.draws, dtype), jnp.zeros((), dtype)
        return AssessState(start, key, *empty)

    def step(
        self, key: jax.Array, state: AssessState, model: Model, batch: Batch
    ) -> tuple[AssessState, Info]:
        here = jnp.sum(batch.part.weight > 0)
        rows = state.rows + here
        new, kl = self._draws(state, model, batch.part)
        log_likelihood = state.log_likelihood + here / rows * (new - state.log_likelihood)
        log_weight = log_likelihood - kl + hyper.log_prior(model)
        terms = {"elbo": log_weight, "log_likelihood": log_likelihood, "kl": kl}
        info = {name: jnp.mean(values) for name, values in terms.items()}
        info |= {f"{name}_se": _standard_error(values) for name, values in terms.items()}
        info["importance"] = logsumexp(log_weight) - math.log(self.draws)
        info["k_hat"] = pareto_k(log_weight)
        return replace(state, log_likelihood=log_likelihood, rows=rows), info

    def _draws(self, state: AssessState, model: Model, part: Data) -> tuple[jax.Array, jax.Array]:
        """Return the scaled log likelihood of each draw, (s,), and its log q - log p."""

        def one(index: jax.Array) -> tuple[jax.Array, jax.Array]:
            weights, log_q = state.fitted.scored_draw(state.key, index)
            f, _ = model.network.apply(weights, part.x)
            kl = log_q - model.prior.log_prob(weights.params)
            return model.log_likelihood(f, part), kl

        group = max(1, min(self.draws, AT_ONCE // len(part.weight)))
        groups = jnp.arange(-(-self.draws // group) * group).reshape(-1, group)
        found = jax.lax.map(jax.vmap(one), groups)
        return jax.tree.map(lambda leaf: leaf.reshape(-1)[: self.draws], found)

    def end(self, state: AssessState, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        return state.fitted.settled(), model

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        """Fail a fit whose bound is not finite; warn where k-hat is above 0.7.

        Of few weights k-hat is too rough to see a Gaussian stretched over two modes. Such a fit is
        warned of by its bound, more than 3 nats below the log evidence by importance weights.
        """
        elbo, k = info["elbo"][-1], info["k_hat"][-1]
        if not np.isfinite(elbo):
            reason = f"The bound is {elbo} over {self.draws} draws of the posterior."
            advice = "Lower the learning rate, standardise inputs and target, or cap the scale."
            return Verdict("failed", (reason,), (advice,))
        gap = info["importance"][-1] - elbo
        if k > K_OK:
            reason = (
                f"k-hat is {k:.2f}, above {K_OK}: the posterior has mass where the fitted "
                "distribution has little. With many weights that is nearly always so; predictions "
                "may still be good."
            )
        elif gap > GAP_OK:
            reason = (
                f"The bound is {gap:.1f} nats below the log evidence, by importance weights: the "
                "fitted distribution is not close to the posterior."
            )
        else:
            return Verdict()
        return Verdict("warned", (reason,), (CLOSER,))


def check_assess(draws: int | None) -> None:
    """Refuse a number of draws of which nothing could be said."""
    check_counts(0, assess=0 if draws is None else draws)
    if draws == 1:
        raise ValueError("assess must be 0, at least 2, or None; got 1.")


def assessment(draws: int, data: Data | Stream) -> Assess:
    """Return the phase for a number of draws and all rows of some data."""
    if isinstance(data, Stream):
        return Assess(draws, data.per_epoch, data.batch_size)
    rows = len(data.x)
    if rows <= TILE:
        return Assess(draws)
    return Assess(draws, math.ceil(rows / TILE), TILE)


def draws_worth(steps: int, samples: int, batch_size: int | None, data: Data | Stream) -> int:
    """Return how many draws assess a fit of so many steps at a tenth of their cost."""
    stream = isinstance(data, Stream)
    rows = data.rows if stream else len(data.x)
    batch = data.batch_size if stream else batch_size or rows
    passes = 3 * steps * samples * min(batch, rows) / rows
    return int(np.clip(EFFORT * passes, LEAST_DRAWS, MOST_DRAWS))


def _standard_error(values: jax.Array) -> jax.Array:
    return jnp.std(values, ddof=1) / math.sqrt(len(values))
