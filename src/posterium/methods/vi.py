r"""Variational inference: the Gaussian over weights that has the largest evidence lower bound.

.. math:: \mathrm{ELBO}(q) = E_q[\log p(y \mid x, w)] - KL(q, p) \le \log p(y \mid x)

The expectation is estimated by reparameterised draws w = m + S^{1/2} z, one set for all rows of a
step (Kingma and Welling 2014; Kucukelbir et al. 2017; for networks Blundell et al. 2015).
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from posterium._struct import replace, static, struct
from posterium.driver.protocol import Info, Phase
from posterium.evaluate.trend import late_rise
from posterium.model import hyper
from posterium.model.data import Batch, Data
from posterium.model.model import Model
from posterium.model.prior import Flat, Normal
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.numerics.divergence import gaussian_kl
from posterium.numerics.families.gaussian import FullRank, MeanField
from posterium.phases.descent import Optimiser, as_weights, check_settings
from posterium.posterior.fit import Verdict
from posterium.posterior.posterior import GaussianPosterior

CHOICES = {
    "family": ("mean_field", "full"),
    "kl": ("auto", "closed", "sampled"),
    "noise": ("normal", "sigma_points"),
}
RISE = 1e-3
"""Rise of the ELBO in nats a row, over the last eighth of the steps, that is worth a warning."""


@struct
class KLSchedule:
    """The weight of the KL over a fit: 0 at first, then a straight line, 1 at the end.

    Parameters
    ----------
    zero
        Share of the steps at the beginning with weight 0.
    full
        Share of the steps at the end with weight 1.
    """

    zero: Any = 0.05
    full: Any = 0.05

    def weight(self, share: jax.Array) -> jax.Array:
        """Return the weight after a share of the steps."""
        return jnp.clip((share - self.zero) / (1 - self.zero - self.full), 0, 1)


@struct
class VI:
    """A Gaussian over the weights, fitted by stochastic gradients of the evidence lower bound.

    Free hyper-parameters (a learned noise scale, a learned prior precision) are optimised in the
    bound with the weights. A mean-field Gaussian understates the spread of correlated weights.
    Means start where `fit(..., start=...)` says: weights, or the mode of a posterior (as of `MAP`).

    Parameters
    ----------
    family
        ``"mean_field"`` (independent weights) or ``"full"`` (any covariance, p^2 numbers).
    steps
        Steps.
    learning_rate
        Highest learning rate, on the bound per row.
    optimiser
        ``"adam"``, ``"sgd"``, ``"momentum"`` or ``"rmsprop"``.
    schedule
        ``"constant"``, or ``"cosine"`` or ``"linear"`` decay to 0.
    batch_size
        Rows a step; None for all.
    samples
        Draws of the weights a step.
    init_scale
        Standard deviation of every weight at the start.
    max_scale
        Largest standard deviation of a weight, for mean-field; None for no limit.
    means
        Where means start without a `start`: ``"network"`` (its own initial weights), ``"zero"``,
        or a number u for uniform between -u and u.
    kl
        ``"closed"`` (Gaussian and flat priors), ``"sampled"`` (log q - log p at the step's draws)
        or ``"auto"``: closed where there is a closed form.
    kl_schedule
        `KLSchedule(...)`, or None for weight 1 throughout.
    average
        Share of the steps, at the end, whose iterates are averaged; 0 takes the last.
    noise
        ``"normal"``, or ``"sigma_points"``: the 2 p fixed points +-sqrt(p) e_i in place of draws,
        exact where the log likelihood is quadratic in the weights.
    clip
        Largest norm of a gradient; None for no limit.
    betas
        Decay rates of Adam's two moments.
    """

    family: str = static(default="mean_field")
    steps: int = static(default=5000)
    learning_rate: Any = 1e-2
    optimiser: str = static(default="adam")
    schedule: str = static(default="cosine")
    batch_size: int | None = static(default=None)
    samples: int = static(default=1)
    init_scale: Any = 0.01
    max_scale: Any = None
    means: str | float = static(default="network")
    kl: str = static(default="auto")
    kl_schedule: KLSchedule | None = None
    average: float = static(default=0.0)
    noise: str = static(default="normal")
    clip: Any = None
    betas: tuple[Any, Any] = (0.9, 0.999)

    precision: ClassVar[str] = "float32"

    def __post_init__(self) -> None:
        check_settings(self.steps, self.batch_size)
        for name, allowed in CHOICES.items():
            if (came := getattr(self, name)) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {came!r}.")
        if isinstance(self.means, str) and self.means not in ("network", "zero"):
            raise ValueError(f"means must be 'network', 'zero' or a number; got {self.means!r}.")
        if self.samples < 1 or not 0 <= self.average <= 1:
            raise ValueError(
                f"samples must be at least 1 and average a share from 0 to 1; got {self.samples} "
                f"and {self.average}."
            )

    def phases(self, model: Model, data: Data) -> tuple[Phase, ...]:
        closed = isinstance(model.prior, (Flat, Normal))
        if self.kl == "closed" and not closed:
            raise ValueError(
                "kl='closed' expects a Gaussian or flat prior over the weights; got "
                f"{type(model.prior).__name__}. Use kl='sampled'."
            )
        self._check_scales()
        self.descent().checked()
        return (Ascent(self, closed and self.kl != "sampled"),)

    def descent(self) -> Optimiser:
        """Return the optimiser that these settings name."""
        return Optimiser(self.optimiser, self.learning_rate, self.schedule, self.clip, self.betas)

    def _check_scales(self) -> None:
        rise = self.kl_schedule
        if rise is not None and not (min(rise.zero, rise.full) >= 0 and rise.zero + rise.full < 1):
            raise ValueError(
                "KLSchedule expects shares of the steps that are not negative and sum to less than "
                f"1; got zero={rise.zero} and full={rise.full}."
            )
        if self.family == "full" and self.max_scale is not None:
            raise ValueError("max_scale is for family='mean_field'; leave it out with 'full'.")
        cap = np.inf if self.max_scale is None else self.max_scale
        if not 0 < self.init_scale < cap:
            raise ValueError(
                "init_scale must be positive and below max_scale; got "
                f"{self.init_scale} and {self.max_scale}."
            )


@struct
class AscentState:
    """Where the ascent of the bound stands.

    Parameters
    ----------
    weights
        The network's state; its parameters are those of the start, for their shapes.
    moving
        Coordinates of the family, and those of the free hyper-parameters.
    optimiser
        What optax remembers.
    averaged
        Mean of `moving` over the steps averaged so far, or None.
    step
        Steps done.
    """

    weights: Weights
    moving: Any
    optimiser: Any
    averaged: Any
    step: jax.Array


@struct
class Ascent(Phase):
    """Climb the evidence lower bound by stochastic gradients.

    Every step records the bound per row under the step's KL weight (`objective`), and in nats the
    bound itself (`elbo`), its parts `log_likelihood` and `kl`, and the weight `kl_weight`.

    Parameters
    ----------
    settings
        The method.
    closed
        Take the KL in closed form.
    """

    settings: VI
    closed: bool = static(default=True)

    name: ClassVar[str] = "ascent"

    @property
    def steps(self) -> int:
        """The steps of the method."""
        return self.settings.steps

    @property
    def batch_size(self) -> int | None:
        """The rows a step of the method."""
        return self.settings.batch_size

    @property
    def family(self) -> MeanField | FullRank:
        """The family, with its own numbers."""
        own = self.settings
        return MeanField(own.max_scale) if own.family == "mean_field" else FullRank()

    @property
    def optimiser(self) -> optax.GradientTransformation:
        """How to step."""
        return self.settings.descent().build(self.settings.steps)

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> AscentState:
        weights_key, means_key = jax.random.split(key)
        weights = model.network.init(weights_key, data.x) if start is None else as_weights(start)
        weights = trees.cast(weights, data.weight.dtype)
        mean, means = trees.vector(weights.params), self.settings.means
        if start is None and not isinstance(means, str):
            mean = jax.random.uniform(means_key, mean.shape, mean.dtype, -means, means)
        elif start is None and means == "zero":
            mean = jnp.zeros_like(mean)
        shapes = tuple((path, leaf.shape) for path, leaf in trees.flatten(weights.params).items())
        scale = jnp.asarray(self.settings.init_scale, mean.dtype)
        moving = self.family.start(mean, scale, shapes), hyper.free(model)
        memory = self.optimiser.init(moving)
        averaged = moving if self.settings.average else None
        return AscentState(weights, moving, memory, averaged, jnp.zeros((), jnp.int32))

    def step(
        self, key: jax.Array, state: AscentState, model: Model, batch: Batch
    ) -> tuple[AscentState, Info]:
        z = self._noise(key, state.moving[0])
        kl_weight = self._kl_weight(state)

        def loss(moving: Any) -> tuple[jax.Array, Any]:
            (log_likelihood, kl, rest), new = self.bound(
                moving, state.weights, model, batch.part, z
            )
            total = log_likelihood - kl_weight * kl + rest
            elbo = log_likelihood - kl + rest
            return -total / batch.part.size, (elbo, log_likelihood, kl, new)

        (value, (elbo, log_likelihood, kl, new)), slope = jax.value_and_grad(loss, has_aux=True)(
            state.moving
        )
        updates, memory = self.optimiser.update(slope, state.optimiser, state.moving)
        moving = optax.apply_updates(state.moving, updates)
        info = {"objective": -value, "elbo": elbo, "log_likelihood": log_likelihood}
        info |= {"kl": kl, "kl_weight": kl_weight}
        weights = replace(state.weights, state=new)
        averaged = self._averaged(state, moving)
        return AscentState(weights, moving, memory, averaged, state.step + 1), info

    def bound(
        self, moving: Any, weights: Weights, model: Model, part: Data, z: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array, jax.Array], Any]:
        """Return the parts of the bound in nats, and the network's new state.

        The parts: expected log likelihood, KL, and the log prior of free hyper-parameters; the
        first by the unit normals z (s, p), the second too where it has no closed form. Running
        statistics move at the means, and draws take them as they run, as predictions do: under
        statistics of their own, draws would fit data that they do not predict.
        """
        raw, raws = moving
        here, mean = hyper.fill(model, raws), self.family.mean(raw)
        _, unravel = trees.ravel(weights.params)

        def one(z: jax.Array) -> tuple[jax.Array, jax.Array]:
            params = unravel(self.family.draw(raw, z))
            _, log_likelihood, _ = here.log_joint(replace(weights, params=params), part)
            return log_likelihood, self.family.log_prob_of(raw, z) - here.prior.log_prob(params)

        log_likelihood, kl = jax.vmap(one)(z)
        _, new = here.network.apply(replace(weights, params=unravel(mean)), part.x, train=True)
        kl = jnp.mean(kl)
        if self.closed:
            at_mean = unravel(mean)
            precision = trees.vector(here.prior.precision_of(at_mean))
            variance = self.family.covariance(raw).variance()
            log_prior, log_det = here.prior.log_prob(at_mean), self.family.log_det(raw)
            kl = gaussian_kl(log_prior, precision, variance, log_det)
        return (jnp.mean(log_likelihood), kl, hyper.log_prior(here)), new

    def end(
        self, state: AscentState, kept: Any, model: Model, data: Data
    ) -> tuple[GaussianPosterior, Model]:
        raw, raws = state.moving if state.averaged is None else state.averaged
        _, unravel = trees.ravel(state.weights.params)
        weights = replace(state.weights, params=unravel(self.family.mean(raw)))
        return GaussianPosterior(weights, self.family.covariance(raw)), hyper.fill(model, raws)

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        """Warn when the bound was still rising over the last quarter of the steps.

        Compared are the means of its two halves, as far as the KL had full weight: a rise of more
        than 0.001 nats a row and of 4 standard errors (from the means of 10 blocks a half).
        """
        verdict = super().judge(info, ended)
        if verdict.status != "ok":
            return verdict
        rise, error = late_rise(info["objective"], info["kl_weight"] == 1)
        if rise <= max(4 * error, RISE):
            return verdict
        reason = f"The bound was still rising at the end, by {rise:.2g} nats a row (+-{error:.1g})."
        advice = "Give it more steps or a higher learning rate, or start from a MAP fit."
        return Verdict("warned", (reason,), (advice,))

    def _noise(self, key: jax.Array, raw: Any) -> jax.Array:
        """Return the unit normals of a step, (s, p), or points that stand for them."""
        if self.settings.noise == "normal":
            return self.family.noise(key, raw, self.settings.samples)
        mean = self.family.mean(raw)
        points = jnp.sqrt(jnp.asarray(mean.size, mean.dtype)) * jnp.eye(mean.size, dtype=mean.dtype)
        return jnp.concatenate([points, -points])

    def _kl_weight(self, state: AscentState) -> jax.Array:
        share = state.step.astype(jax.tree.leaves(state.moving)[0].dtype) / self.steps
        schedule = self.settings.kl_schedule
        return jnp.ones_like(share) if schedule is None else schedule.weight(share)

    def _averaged(self, state: AscentState, moving: Any) -> Any:
        """Return the running mean of the iterates; before its time, the latest one."""
        if state.averaged is None:
            return None
        before = round((1 - self.settings.average) * self.steps)
        count = jnp.maximum(state.step - before, 0) + 1
        return jax.tree.map(lambda old, new: old + (new - old) / count, state.averaged, moving)
