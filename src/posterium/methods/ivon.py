r"""IVON: independent Gaussian weights by natural gradients, at the cost of Adam.

.. math:: \hat h = \nabla\bar\ell(w) \, (w - m) / \sigma^2, \quad
   h \leftarrow \beta_2 h + (1 - \beta_2) \hat h
   + \tfrac12 (1 - \beta_2)^2 (h - \hat h)^2 / (h + \delta), \\
   m \leftarrow m - \alpha_t (\bar g + \delta m) / (h + \delta), \quad
   \sigma^2 = 1 / (N (h + \delta))

with w = m + sigma z a draw, l the mean loss of a row, g the running mean of its gradient with decay
beta_1 and debiased, N the number of rows and N delta the prior precision (Shen et al. 2024,
algorithm 1). What is kept here is P = N (h + delta), the precision of the posterior, by which the
second line reads P <- P (1 + x + x^2 / 2), x = (1 - beta_2) (N (h_hat + delta) / P - 1): positive
whatever the draws, also under a prior precision that moves.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from posterium._struct import replace, static, struct
from posterium.driver.protocol import Info, Phase
from posterium.model import hyper
from posterium.model.data import Batch, Data, Stream
from posterium.model.model import Model
from posterium.model.priors.gaussian import correlated
from posterium.model.weights import Weights
from posterium.numerics import random, trees
from posterium.numerics.divergence import gaussian_log_prob
from posterium.numerics.families.base import raw_of
from posterium.numerics.families.gaussian import MeanField
from posterium.phases.ascent import still_rising
from posterium.phases.assess import assessment, check_assess, draws_worth
from posterium.phases.bound import sigma_points
from posterium.phases.checks import check_counts
from posterium.phases.descent import Optimiser, as_weights, check_settings
from posterium.phases.kl import closed_kl, obstacle
from posterium.posterior.family import FamilyPosterior
from posterium.posterior.fit import Verdict

ESTIMATORS = ("shared", "sigma_points")


@struct
class IVON:
    """A Gaussian with independent weights, by the improved variational online Newton method.

    It ends where mean-field `VI` ends. Each weight's step is divided by its own posterior
    precision, which the same draws estimate, so that a step costs what one of Adam costs. A
    Gaussian prior with independent weights (`Normal`, also centred or by path) is the paper's
    weight decay, a number a weight; any other enters through the gradient of its log density at
    the draws. Free hyper-parameters are moved by Adam along the bound at the same draws. Means
    start where `fit(..., start=...)` says, or as the network does.

    At its end the fit is assessed as that of `VI` is, in ``info["assess"]``.

    Parameters
    ----------
    steps
        Steps.
    learning_rate
        Highest learning rate alpha; the first step is that of gradient descent on the mean loss.
    schedule
        ``"constant"``, or ``"cosine"`` or ``"linear"`` decay to 0.
    warmup
        Share of the steps over which the rate rises from 0.
    batch_size
        Rows a step; None for all.
    samples
        Draws of the weights a step.
    hess_init
        Hessian h of the mean loss of a row at the start, in one over squared weight units: it sets
        the first standard deviations, 1 / sqrt(N h + prior precision).
    betas
        Decay rates of the mean gradient and of the Hessian. The second is nearer 1 than Adam's:
        one draw tells little of a Hessian.
    clip
        Largest size of (g + delta m) / (h + delta), in weight units; None for no limit. With it, a
        weight moves by at most learning_rate * (hess_init + delta) * clip a step. Without it,
        weights of tables ran away at rates little above the default.
    hyper_learning_rate
        Highest rate of Adam for free hyper-parameters, on the bound per row.
    estimator
        ``"shared"``: one draw for all rows of a step; or ``"sigma_points"``: the 2 p fixed points
        +-sqrt(p) e_i in place of draws, exact where the log likelihood is quadratic.
    assess
        Draws that assess the fit; 0 for none. None takes 1,000, or fewer where they would cost more
        than a tenth of the passes that the steps make through the network.
    """

    steps: int = static(default=5000)
    learning_rate: Any = 0.1
    schedule: str = static(default="cosine")
    warmup: float = static(default=0.0)
    batch_size: int | None = static(default=None)
    samples: int = static(default=1)
    hess_init: Any = 1.0
    betas: tuple[Any, Any] = (0.9, 0.999)
    clip: Any = 0.1
    hyper_learning_rate: Any = 3e-2
    estimator: str = static(default="shared")
    assess: int | None = static(default=None)

    precision: ClassVar[str] = "float32"

    def __post_init__(self) -> None:
        check_settings(self.steps, self.batch_size)
        check_counts(1, samples=self.samples)
        check_assess(self.assess)
        if self.estimator not in ESTIMATORS:
            raise ValueError(
                f"estimator must be one of {', '.join(ESTIMATORS)}; got {self.estimator!r}."
            )

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        self._check_numbers()
        draws = self.assess
        if draws is None:
            draws = draws_worth(self.steps, self.samples, self.batch_size, data)
        prior = model.prior
        decays = not obstacle(MeanField(), prior, points=False) and not correlated(prior)
        ascent = NewtonAscent(self, decays, last=not draws)
        return (ascent, assessment(draws, data)) if draws else (ascent,)

    def _check_numbers(self) -> None:
        self.rate().checked()
        Optimiser("adam", self.hyper_learning_rate, self.schedule).checked()
        if not self.hess_init > 0 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(
                "hess_init must be positive and betas from 0 to below 1; got "
                f"{self.hess_init} and {self.betas}."
            )
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be positive or None; got {self.clip}.")

    def rate(self) -> Optimiser:
        """Return the rule of the step sizes of the weights."""
        return Optimiser("sgd", self.learning_rate, self.schedule, warmup=self.warmup)


@struct
class NewtonState:
    """Where the ascent of IVON stands.

    Parameters
    ----------
    weights
        The network's state; its parameters are those of the start, for their shapes.
    mean
        Means m, (p,).
    precision
        Precisions of the posterior P = N (h + delta), (p,).
    momentum
        Running mean of the gradient of the mean loss, (p,).
    raws
        Unconstrained coordinates of the free hyper-parameters.
    memory
        What optax remembers, of the weights and of the hyper-parameters.
    step
        Steps done.
    """

    weights: Weights
    mean: jax.Array
    precision: jax.Array
    momentum: jax.Array
    raws: Any
    memory: Any
    step: jax.Array


@struct
class NewtonAscent(Phase):
    """Climb the evidence lower bound by natural gradients.

    Every step records the bound per row (`objective`), and in nats the bound (`elbo`) and its parts
    `log_likelihood` and `kl`, as `VI` does.

    Parameters
    ----------
    settings
        The method.
    decays
        The prior is Gaussian with independent weights, or flat: a weight decay, with its part of
        the bound in closed form. Otherwise it is part of the loss.
    last
        False where another phase takes the posterior as it is.
    """

    settings: IVON
    decays: bool = static(default=True)
    last: bool = static(default=True)

    name: ClassVar[str] = "ascent"

    @property
    def steps(self) -> int:
        """The steps of the method."""
        return self.settings.steps

    @property
    def batch_size(self) -> int | None:
        """The rows a step of the method."""
        return self.settings.batch_size

    def _optimisers(self) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
        """Return how weights step along their direction, and hyper-parameters."""
        own = self.settings
        adam = Optimiser("adam", own.hyper_learning_rate, own.schedule)
        return own.rate().build(own.steps), adam.build(own.steps)

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> NewtonState:
        weights = model.network.init(key, data.x) if start is None else as_weights(start)
        weights = trees.cast(weights, data.weight.dtype)
        mean, raws = trees.vector(weights.params), hyper.free(model)
        of_weights, of_raws = self._optimisers()
        memory = of_weights.init(mean), of_raws.init(raws)
        first = self._first(model, weights.params, data.size)
        step = jnp.zeros((), jnp.int32)
        return NewtonState(weights, mean, first, jnp.zeros_like(mean), raws, memory, step)

    def _decay(self, model: Model, params: Any) -> jax.Array:
        """Return the prior precision that is a weight decay, N delta, (p,)."""
        if not self.decays:
            return jnp.zeros_like(trees.vector(params))
        return trees.vector(model.prior.precision_of(params))

    def _first(self, model: Model, params: Any, size: jax.Array) -> jax.Array:
        """Return the precision of the posterior at the start, (p,)."""
        return size * self.settings.hess_init + self._decay(model, params)

    def step(
        self, key: jax.Array, state: NewtonState, model: Model, batch: Batch
    ) -> tuple[NewtonState, Info]:
        part, own = batch.part, self.settings
        _, unravel = trees.ravel(state.weights.params)
        at_mean = unravel(state.mean)
        here = hyper.fill(model, state.raws)
        z = self._noise(key, state.mean)
        info, slopes, raw_slope = self.estimate(state, model, part, z)

        decay = self._decay(here, at_mean)
        curvature = part.size * jnp.mean(slopes * z, axis=0) * jnp.sqrt(state.precision) + decay
        share = (1 - own.betas[1]) * (curvature / state.precision - 1)
        precision = state.precision * (1 + share + 0.5 * share**2)

        step = state.step + 1
        momentum = own.betas[0] * state.momentum + (1 - own.betas[0]) * jnp.mean(slopes, axis=0)
        pull = part.size * momentum / (1 - own.betas[0] ** step)
        if self.decays:
            pull = pull - trees.vector(jax.grad(here.prior.log_prob)(at_mean))
        direction = pull / precision
        if own.clip is not None:
            direction = jnp.clip(direction, -own.clip, own.clip)

        of_weights, of_raws = self._optimisers()
        scaled = self._first(here, at_mean, part.size) / part.size * direction
        move, memory = of_weights.update(scaled, state.memory[0])
        raw_move, raw_memory = of_raws.update(raw_slope, state.memory[1])
        _, statistics = here.network.apply(
            replace(state.weights, params=at_mean), part.x, train=True
        )
        mean: Any = optax.apply_updates(state.mean, move)
        moved = NewtonState(
            replace(state.weights, state=statistics), mean, precision, momentum,
            optax.apply_updates(state.raws, raw_move), (memory, raw_memory), step,
        )  # fmt: skip
        return moved, info

    def estimate(
        self, state: NewtonState, model: Model, part: Data, z: jax.Array
    ) -> tuple[Info, jax.Array, Any]:
        """Return the bound and its terms, slopes of the mean loss (s, p), and of the raws.

        Draws take the network's running statistics as predictions do; those move at the means.
        """
        _, unravel = trees.ravel(state.weights.params)
        sd, log_det = 1 / jnp.sqrt(state.precision), -jnp.sum(jnp.log(state.precision))

        def loss(vector: jax.Array, raws: Any) -> tuple[jax.Array, Any]:
            here, params = hyper.fill(model, raws), unravel(vector)
            f, _ = here.network.apply(replace(state.weights, params=params), part.x)
            log_likelihood = here.log_likelihood(f, part)
            log_prior = jnp.zeros(()) if self.decays else here.prior.log_prob(params)
            return -(log_likelihood + log_prior) / part.size, (log_likelihood, log_prior)

        def one(z: jax.Array) -> Any:
            return jax.grad(loss, (0, 1), has_aux=True)(state.mean + sd * z, state.raws)

        def rest(raws: Any) -> tuple[jax.Array, jax.Array]:
            here = hyper.fill(model, raws)
            kl = closed_kl(self._member(state), here) if self.decays else jnp.zeros(())
            return (kl - hyper.log_prior(here)) / part.size, kl

        (slopes, raw_slopes), (log_likelihood, log_prior) = jax.vmap(one)(z)
        (other, kl), add = jax.value_and_grad(rest, has_aux=True)(state.raws)
        if not self.decays:
            kl = jnp.mean(gaussian_log_prob(z, log_det) - log_prior)
            other = other + kl / part.size
        log_likelihood = jnp.mean(log_likelihood)
        objective = log_likelihood / part.size - other
        info = {"objective": objective, "elbo": part.size * objective}
        raw_slope = jax.tree.map(lambda each, more: each.mean(axis=0) + more, raw_slopes, add)
        return info | {"log_likelihood": log_likelihood, "kl": kl}, slopes, raw_slope

    def _noise(self, key: jax.Array, mean: jax.Array) -> jax.Array:
        """Return the unit normals of a step, (s, p), or points that stand for them."""
        if self.settings.estimator == "shared":
            return random.normal(key, (self.settings.samples, mean.size), mean.dtype)
        return sigma_points(mean)

    def _member(self, state: NewtonState) -> FamilyPosterior:
        raw = {"mean": state.mean, "scale": raw_of(1 / jnp.sqrt(state.precision))}
        return FamilyPosterior(state.weights, MeanField(), raw)

    def end(self, state: NewtonState, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        found = self._member(state)
        return found.settled() if self.last else found, hyper.fill(model, state.raws)

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        """Warn when the bound was still rising over the last quarter of the steps."""
        verdict = super().judge(info, ended)
        return verdict if verdict.status != "ok" else still_rising(info["objective"])
