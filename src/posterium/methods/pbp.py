r"""Probabilistic back-propagation: independent Gaussian weights that take in one row after another.

.. math:: \log Z_i = \log N(y_i;\, m_f(x_i),\, v_f(x_i) + E[\gamma^{-1}]), \quad
   m \leftarrow m + v \, \partial_m \log Z_i, \quad
   v \leftarrow v - v^2 \left( (\partial_m \log Z_i)^2 - 2 \, \partial_v \log Z_i \right)

with m_f and v_f the moments of the output, propagated through the layers, and gamma the precision
of the noise (Hernandez-Lobato and Adams 2015). Noise and prior precision have Gamma beliefs; after
each pass the factors of the prior are refined by expectation propagation.
"""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, static, struct
from posterium.driver.protocol import Info, Phase
from posterium.model import hyper
from posterium.model.data import Batch, Data, Stream
from posterium.model.likelihoods.gaussian import Gaussian
from posterium.model.model import Model
from posterium.model.network import MLP
from posterium.model.priors.gaussian import GaussianPrior, correlated
from posterium.model.priors.normal import Normal
from posterium.model.priors.scales import Gamma
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.numerics.assumed_density import GammaPrecision, PriorSites, gaussian_log_z, moved
from posterium.numerics.covariances.dense import Diagonal
from posterium.numerics.moments import propagate
from posterium.phases.descent import AT_FLOOR, as_weights
from posterium.posterior.fit import Verdict
from posterium.posterior.posterior import GaussianPosterior

ROWS = 1000
"""Rows of a step, at most."""


@struct
class PBP:
    """A Gaussian with independent weights, by probabilistic back-propagation: no learning rate.

    For an `MLP` with relu (or without hidden layers) and one output, `Gaussian` noise, and a
    `Normal` prior; its fan-in scaling is the paper's division by the root of the inputs. Free
    hyper-parameters, the noise sd and one precision for all weights, get Gamma beliefs: about the
    noise precision with mean 1 / sd^2, about the prior precision with the value given as mean, or
    as a `Gamma` prior of its own says. The model is returned with sd^2 and 1 / precision at their
    means. A `GaussianPrior` with independent weights goes on from an earlier fit.

    The log evidence is the sum of log Z over the first pass, log p(y_i | y_1, ..., y_i-1) in the
    order taken. Later passes take each row in again, as the paper does: they improve the means, and
    the spread of the weights shrinks as if there were more rows.

    Parameters
    ----------
    epochs
        Passes over the rows, in an order drawn afresh. 1 is filtering in the strict sense.
    shape
        Shape of the Gamma beliefs at the start; the larger, the surer.
    """

    epochs: int = static(default=40)
    shape: Any = 6.0

    precision: ClassVar[str] = "float64"
    tunes_itself: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1; got {self.epochs}.")

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        _check(model)
        if not self.shape > 1:
            raise ValueError(f"shape must be above 1; got {self.shape}.")
        if isinstance(data, Stream):
            return (Filtering(self, data.per_epoch, data.batch_size),)
        rows = min(ROWS, len(data.x))
        return (Filtering(self, math.ceil(len(data.x) / rows), rows),)


def _check(model: Model) -> None:
    """Refuse models whose moments are not known here."""
    network, noise = model.network, getattr(model.likelihood, "scale", None)
    plain = isinstance(network, MLP) and not (network.residual or network.layer_norm)
    if not plain or network.outputs != 1 or (network.hidden and network.activation != "relu"):
        raise ValueError(
            "PBP expects an MLP of one output with activation='relu', without residual and "
            f"layer_norm: the moments of its layers have closed forms; got {network!r}. Use "
            "IVON(), VI() or Laplace() for other networks, and one fit a target."
        )
    if not isinstance(model.likelihood, Gaussian) or jnp.size(hyper.value(noise)) != 1:
        raise ValueError(
            "PBP expects Gaussian noise of one sd, Gaussian(...); got "
            f"{model.likelihood!r}. Use IVON() or VI() for other likelihoods."
        )
    _check_prior(model.prior)
    noises, precisions = hyper.learned(model.likelihood), hyper.learned(model.prior)
    mine = [
        h.prior is None or (isinstance(h.prior, Gamma) and h.prior.shape > 1) for h in precisions
    ]
    if not all(mine) or any(h.prior is not None for h in noises):
        raise ValueError(
            "PBP expects a free noise sd without a prior of its own, and a free precision with "
            "none or a Gamma(...) of a shape above 1: its beliefs about both precisions are "
            "Gamma. Leave the prior out, and set PBP(shape=...)."
        )


def _check_prior(prior: Any) -> None:
    if not isinstance(prior, Normal | GaussianPrior) or correlated(prior):
        raise ValueError(
            "PBP expects a Normal prior, or a GaussianPrior with independent weights; got "
            f"{type(prior).__name__}. Use IVON() or VI() for other priors."
        )
    found, precision = hyper.learned(prior), getattr(prior, "precision", 1.0)
    if found and not (len(found) == 1 and found[0] is precision and np.size(found[0].raw) == 1):
        raise ValueError(
            "PBP expects fixed prior precisions, or one free number for all weights; got "
            f"{prior!r}. Use Normal(learn(1.0)), or fix them."
        )
    if not found and any(np.any(np.asarray(leaf) <= 0) for leaf in jax.tree.leaves(precision)):
        raise ValueError(
            f"PBP expects prior precisions above 0, since it starts at the prior; got {prior!r}."
        )


@struct
class Filtered:
    """What is believed after some rows.

    Parameters
    ----------
    weights
        The network's weights at the start, for their shapes.
    mean, variance
        Of each weight, trees like the parameters.
    noise
        Belief about the precision of the noise; None where it is known.
    prior
        Factors of the prior; None where its precision is known.
    log_evidence
        Sum of log Z over the first pass so far, in nats.
    step
        Steps done.
    """

    weights: Weights
    mean: Any
    variance: Any
    noise: GammaPrecision | None
    prior: PriorSites | None
    log_evidence: jax.Array
    step: jax.Array


@struct
class FirstPass:
    """The log evidence in nats that the first pass over the rows gave."""

    total: Any

    def log_evidence(self, model: Model) -> jax.Array:
        """Return it, for the model it was found under."""
        return self.total


@struct
class Filtering(Phase):
    """Take in the rows, one by one, several times over; refine the prior after each pass.

    A step takes some rows and records the mean of their log Z (`objective`, nats a row), the share
    of updates of single weights that were left out since their variance would not be positive
    (`rejected`), and what is believed of free hyper-parameters (`noise_sd`, `prior_precision`).

    Parameters
    ----------
    settings
        The method.
    per_epoch
        Steps of a pass.
    batch_size
        Rows of a step.
    """

    settings: PBP
    per_epoch: int = static()
    batch_size: int = static()

    name: ClassVar[str] = "filtering"

    @property
    def steps(self) -> int:
        """The steps of all passes."""
        return self.settings.epochs * self.per_epoch

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> Filtered:
        weights = model.network.init(key, data.x) if start is None else as_weights(start)
        weights = trees.cast(weights, data.weight.dtype)
        noise, belief = noise_belief(model, self.settings), prior_belief(model, self.settings)
        variance = _variances(model, weights.params, belief)
        mean = weights.params if start is not None else _means(key, model.prior, variance)
        prior = None
        if belief is not None:
            prior = PriorSites.of(belief, trees.vector(mean) * jnp.sqrt(scale_of(model, mean)))
        zero = jnp.zeros((), data.weight.dtype)
        return Filtered(weights, mean, variance, noise, prior, zero, jnp.zeros((), jnp.int32))

    def step(
        self, key: jax.Array, state: Filtered, model: Model, batch: Batch
    ) -> tuple[Filtered, Info]:
        part = batch.part
        known = jnp.reshape(hyper.value(model.likelihood.scale), ()) ** 2

        def row(beliefs: Any, one: tuple[jax.Array, ...]) -> tuple[Any, Any]:
            return take_in(beliefs, *one, known=known)

        beliefs = state.mean, state.variance, state.noise
        rows = part.x, part.y[:, 0], part.weight
        (mean, variance, noise), (log_z, left_out) = jax.lax.scan(row, beliefs, rows)
        total = jnp.sum(log_z)
        first = jnp.where(state.step < self.per_epoch, total, 0)
        state = Filtered(
            state.weights, mean, variance, noise, state.prior,
            state.log_evidence + first, state.step + 1,
        )  # fmt: skip
        if state.prior is not None:
            scale = scale_of(model, state.mean)
            state = jax.lax.cond(batch.epoch_end, lambda s: _refine(s, scale), lambda s: s, state)
        info = {"objective": total / jnp.sum(part.weight)}
        info["rejected"] = jnp.sum(left_out) / (trees.count(mean) * jnp.sum(part.weight > 0))
        return state, info | self._believed(state, model)

    def _believed(self, state: Filtered, model: Model) -> Info:
        """Return what is believed of the free hyper-parameters."""
        info: Info = {}
        if state.noise is not None:
            floor = jnp.reshape(jnp.asarray(model.likelihood.scale.floor), ())
            info["noise_sd"] = jnp.sqrt(state.noise.variance())
            info["above_floor"] = 1 - floor / info["noise_sd"]
        if state.prior is not None:
            info["prior_precision"] = 1 / state.prior.belief.variance()
        return info

    def end(
        self, state: Filtered, kept: Any, model: Model, data: Data
    ) -> tuple[GaussianPosterior, Model]:
        if state.noise is not None:
            sd = jnp.sqrt(state.noise.variance())
            likelihood = replace(model.likelihood, scale=_at(model.likelihood.scale, sd))
            model = replace(model, likelihood=likelihood)
        if state.prior is not None:
            precision = 1 / state.prior.belief.variance()
            prior = replace(model.prior, precision=_at(model.prior.precision, precision))
            model = replace(model, prior=prior)
        covariance = Diagonal(jnp.sqrt(trees.vector(state.variance)))
        weights = replace(state.weights, params=state.mean)
        curvature = FirstPass(state.log_evidence)
        return GaussianPosterior(weights, covariance, "draws", curvature), model

    def judge(self, info: dict[str, np.ndarray], ended: Any) -> Verdict:
        """Warn where the noise stands at its floor, or log Z was still rising at the end."""
        verdict = super().judge(info, ended)
        if verdict.status != "ok":
            return verdict
        if "above_floor" in info and info["above_floor"][-1] <= AT_FLOOR:
            reason = "The noise sd that is believed is near its floor, or below it."
            advice = "The data show no noise: fix it at what is known of it, or lower the floor."
            return Verdict("warned", (reason,), (advice,))
        return verdict


def noise_belief(model: Model, settings: PBP) -> GammaPrecision | None:
    """Return the belief about the noise precision at the start; None where it is known."""
    if not hyper.learned(model.likelihood):
        return None
    variance = jnp.reshape(model.likelihood.scale.value, ()) ** 2
    shape = jnp.asarray(settings.shape, variance.dtype)
    return GammaPrecision(shape, shape * variance)


def prior_belief(model: Model, settings: PBP) -> GammaPrecision | None:
    """Return the belief about the common precision of the weights; None where it is known."""
    if not hyper.learned(model.prior):
        return None
    free = model.prior.precision
    if free.prior is not None:
        return GammaPrecision(free.prior.shape, free.prior.rate)
    given = jnp.reshape(free.value, ())
    shape = jnp.asarray(settings.shape, given.dtype)
    return GammaPrecision(shape, shape / given)


def scale_of(model: Model, params: Any) -> jax.Array:
    """Return what the common precision of the prior is multiplied by for each weight, (p,)."""
    precision = trees.vector(model.prior.precision_of(params))
    return precision / jnp.reshape(hyper.value(model.prior.precision), ())


def _variances(model: Model, params: Any, belief: GammaPrecision | None) -> Any:
    """Return the variances of the prior, for a belief about its precision their mean."""
    if belief is None:
        return jax.tree.map(jnp.reciprocal, model.prior.precision_of(params))
    return trees.ravel(params)[1](belief.variance() / scale_of(model, params))


def _means(key: jax.Array, prior: Any, variance: Any) -> Any:
    """Return where means start: the prior's, apart from each other before a hidden layer.

    Units of equal means would stay equal. As in the paper's code means are drawn with the prior's
    sd over the root of the inputs, the bias among them.
    """
    if isinstance(prior, GaussianPrior):
        return prior.mean
    layers = variance["layers"]
    if len(layers) == 1:
        return jax.tree.map(jnp.zeros_like, variance)
    keys = jax.random.split(key, len(layers))
    return {"layers": [_apart(*both) for both in zip(keys, layers, strict=True)]}


def _apart(key: jax.Array, variance: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Draw the means of one layer."""
    sd, unravel = trees.ravel(jax.tree.map(jnp.sqrt, variance))
    inputs = variance["kernel"].shape[0] + ("bias" in variance)
    return unravel(sd * jax.random.normal(key, sd.shape, sd.dtype) / math.sqrt(inputs))


def take_in(
    beliefs: Any, x: jax.Array, y: jax.Array, weight: jax.Array, *, known: Any
) -> tuple[Any, tuple[jax.Array, jax.Array]]:
    """Take in one row.

    Parameters
    ----------
    beliefs
        Means and variances of the weights, and the belief about the noise (None where known).
    x, y, weight
        The row, (d,), its target and its weight: the power to which its likelihood is taken.
    known
        The noise variance where it is known.

    Returns
    -------
    beliefs
        Those after it.
    log_z, left_out
        Log of its normaliser in nats, and how many weights did not move since their variance would
        not have stayed positive.
    """
    mean, variance, noise = beliefs
    counts, power = weight > 0, jnp.where(weight > 0, weight, 1)

    def log_z(mean: Any, variance: Any, noise_variance: jax.Array) -> jax.Array:
        m, v = (part[0, 0] for part in propagate(mean, variance, x[None]))
        rest = (1 - power) * jnp.log(2 * jnp.pi * noise_variance) - jnp.log(power)
        return gaussian_log_z(y - m, v + noise_variance / power) + 0.5 * rest

    at = known if noise is None else noise.variance()
    value, slopes = jax.value_and_grad(log_z, argnums=(0, 1))(mean, variance, at)
    vector, unravel = trees.ravel(mean)
    found = moved(vector, trees.vector(variance), *map(trees.vector, slopes))
    new = unravel(found[0]), unravel(found[1])
    matched = noise if noise is None else noise.updated(lambda v: log_z(mean, variance, v))
    after = trees.where(counts, (*new, matched), beliefs)
    return after, (jnp.where(counts, value, 0), jnp.sum(~found[2] & counts))


def _refine(state: Filtered, scale: jax.Array) -> Filtered:
    """Refine the factors of the prior, in units in which all weights share a precision."""
    mean, unravel = trees.ravel(state.mean)
    root = jnp.sqrt(scale)
    assert state.prior is not None
    sites, mean, variance = state.prior.refined(mean * root, trees.vector(state.variance) * scale)
    mean, variance = unravel(mean / root), unravel(variance / scale)
    return replace(state, mean=mean, variance=variance, prior=sites)


def _at(free: hyper.Learned, value: jax.Array) -> hyper.Learned:
    """Return a free hyper-parameter at a value, or just above its floor."""
    least = jnp.finfo(value.dtype).tiny
    above = jnp.maximum(value - free.floor, least)
    return replace(free, raw=jnp.log(above) * jnp.ones_like(free.raw))
