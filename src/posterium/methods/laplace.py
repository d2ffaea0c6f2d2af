r"""Laplace's approximation: a Gaussian at the mode with the curvature found there.

.. math:: q(w) = N(\hat w, P^{-1}), \quad
   P = \textstyle\sum_i w_i J_i^T \Lambda_i J_i + \mathrm{diag}(\tau), \quad
   \log p(y) \approx \log p(y, \hat w) + \tfrac p2 \log 2\pi - \tfrac12 \log\det P

with J the Jacobian of the outputs, Lambda the Fisher information of the likelihood in them and tau
the prior precision (MacKay 1992; Immer et al. 2021 for the evidence of networks). The exact Hessian
in place of the first sum is there on request.
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
from posterium.model.gaussian_prior import correlated
from posterium.model.model import Model
from posterium.model.prior import LOG_2PI
from posterium.model.weights import Weights
from posterium.numerics import curvature, trees
from posterium.numerics.covariances.base import Covariance, Function
from posterium.numerics.structures.base import Structure
from posterium.numerics.structures.dense import DiagonalCurvature, FullCurvature
from posterium.numerics.structures.kronecker import KroneckerCurvature
from posterium.numerics.structures.low_rank import LowRankCurvature
from posterium.phases.descent import Descent, Optimiser, as_weights
from posterium.phases.hold import hold
from posterium.posterior.fit import Verdict
from posterium.posterior.posterior import GaussianPosterior

STRUCTURES: dict[str, Structure] = {
    "full": FullCurvature(),
    "kronecker": KroneckerCurvature(),
    "low_rank": LowRankCurvature(),
    "diagonal": DiagonalCurvature(),
}
CURVATURES = ("ggn", "empirical", "hessian")
HELD = {"prior": ("network", "prior"), "all": ("network", "prior", "likelihood")}
STEP_WORK = 2**35
"""Multiplications a step, about a second: more rows are split into several steps."""
TILE = 1024
"""Rows whose gradients are summed at a time."""
LARGEST_DECREMENT = 0.1
"""Nats that a Newton step may still gain at what counts as a mode."""


@struct
class Search:
    """Where `Laplace` looks for a mode when not told: by gradients, as far as they get.

    What is left to gain is judged where the curvature is taken. With kinked activations (relu) a
    mode may lie on a kink, where the gradient never vanishes.

    Parameters
    ----------
    steps
        Steps of Adam; the learning rate decays to 0 over them.
    learning_rate
        The highest rate.
    batch_size
        Rows a step; None for all.
    """

    steps: int = static(default=2000)
    learning_rate: Any = 1e-2
    batch_size: int | None = static(default=None)

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        optimiser = Optimiser("adam", self.learning_rate, "cosine")
        return (Descent(optimiser, self.steps, self.batch_size),)


@struct
class Laplace:
    """A Gaussian at a mode of the posterior, as wide as the curvature there says.

    Predictions linearise the network at the mode, which suits the Gauss-Newton curvature; draws of
    weights (``how="draws"``) leave the region where it holds and predict worse.

    Parameters
    ----------
    structure
        ``"full"`` (p x p numbers, for up to some thousand weights); ``"kronecker"`` (two matrices
        for every matrix of weights, for networks of any usual size); ``"low_rank"`` (p x 100);
        ``"diagonal"``; or a record with settings, such as `KroneckerCurvature(sharing="reduce")` or
        `LowRankCurvature(rank=20)`.
    curvature
        ``"ggn"``: generalised Gauss-Newton with the expected Fisher information, never indefinite;
        ``"empirical"``: outer products of the gradients at the observed targets, cheaper and
        poorer (Kunstner et al. 2019); ``"hessian"``: exact, full or diagonal, and a failed verdict
        where it is not positive definite.
    at
        The method that finds the mode, such as ``MAP(polish="newton")``. None: no training, the
        weights given as `start`.
    held
        Free hyper-parameters that stay at their values while the mode is sought: ``"prior"``
        (and the network's); the likelihood's, a noise sd say, are then estimated along with the
        weights; or ``"all"``, for an evidence that decides on every one.
    batch_size
        Rows a step of the curvature; None lets the work decide. It changes nothing else.

    Notes
    -----
    The log evidence can be moved to other values of the prior's hyper-parameters, and of a noise
    sd that is independent over the targets, exactly, at the same mode. Other likelihoods and
    networks must have no free ones.
    """

    structure: Any = static(default="full")
    curvature: str = static(default="ggn")
    at: Any = Search()
    held: str = static(default="prior")
    batch_size: int | None = static(default=None)

    precision: ClassVar[str] = "float64"

    def __post_init__(self) -> None:
        known: dict[str, Any] = {"curvature": CURVATURES, "held": HELD}
        if isinstance(self.structure, str):
            known["structure"] = STRUCTURES
        for name, choices in known.items():
            if getattr(self, name) not in choices:
                told = " or ".join(map(repr, choices))
                raise ValueError(f"{name} must be {told}; got {getattr(self, name)!r}.")
        kept = self._structure()
        if self.curvature == "hessian" and not isinstance(kept, FullCurvature | DiagonalCurvature):
            raise ValueError(
                f"curvature='hessian' goes with structure 'full' or 'diagonal'; got "
                f"{self.structure!r}. Use curvature='ggn'."
            )
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size must be None or at least 1; got {self.batch_size}.")

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        outputs, weights = _shapes(model, data)
        _refuse_free(model, outputs, self.curvature)
        _refuse_prior(model, weights, self._structure())
        steps, batch_size = self._split(data, outputs * trees.count(weights))
        last = Accumulate(self._structure(), self.curvature, steps, batch_size)
        if self.at is None:
            return (last,)
        roles = HELD[self.held]
        seen = replace(model, **{role: hyper.fix(getattr(model, role)) for role in roles})
        return (*hold(self.at.phases(seen, data), model, roles), last)

    def _structure(self) -> Structure:
        named = isinstance(self.structure, str)
        return STRUCTURES[self.structure] if named else self.structure

    def _split(self, data: Data | Stream, entries: int) -> tuple[int, int | None]:
        """Return in how many batches of how many rows one pass goes; `entries` a Jacobian has."""
        if isinstance(data, Stream):
            return data.per_epoch, None
        work = entries**2 if self.curvature == "hessian" else self._structure().work(entries)
        rows = self.batch_size or max(1, STEP_WORK // work)
        if rows >= len(data.x):
            return 1, None
        return math.ceil(len(data.x) / rows), rows


def _shapes(model: Model, data: Data | Stream) -> tuple[int, Any]:
    """Return the number of outputs k, and the shapes of the weights."""
    x = next(iter(data.batches()))[0] if isinstance(data, Stream) else data.x

    def shapes(model: Model, key: jax.Array, x: jax.Array) -> tuple[jax.Array, Any]:
        weights = model.network.init(key, x)
        return model.network.apply(weights, x)[0], weights.params

    f, params = jax.eval_shape(shapes, model, jax.random.key(0), x)
    return f.shape[1], params


def _refuse_free(model: Model, outputs: int, kind: str) -> None:
    """Refuse hyper-parameters that the evidence cannot be moved along exactly."""
    if hyper.learned(model.network):
        raise ValueError(
            "Laplace expects a network without free hyper-parameters: its curvature is taken at "
            "fixed ones. Fix them, or use Evidence(Exact()) for a Linear network."
        )
    name = type(model.likelihood).__name__
    if not model.likelihood.linear_mean and hyper.learned(model.likelihood):
        raise ValueError(
            f"Laplace expects free hyper-parameters of a likelihood only where they are the noise "
            f"sd of a mean; {name} has others. Fix them at numbers."
        )
    if not model.likelihood.linear_mean or outputs == 1:
        return
    fisher = np.asarray(model.likelihood.fisher(jnp.zeros((1, outputs))))[0]
    if np.any(fisher != np.diag(np.diag(fisher))):
        raise ValueError(
            f"Laplace expects noise that is independent over the targets; that of {name} is "
            "correlated. Set linear_mean to False on it."
        )
    if kind == "empirical" and jnp.size(hyper.value(getattr(model.likelihood, "scale", 1))) > 1:
        raise ValueError(
            "curvature='empirical' expects one noise sd for all targets: its products of gradients "
            "mix them. Use curvature='ggn'."
        )


def _refuse_prior(model: Model, shapes: Any, structure: Structure) -> None:
    """Refuse precisions that a structure cannot add exactly."""
    if isinstance(structure, FullCurvature | DiagonalCurvature):
        return
    zeros = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes)
    one = isinstance(structure, KroneckerCurvature)
    for path, leaf in trees.flatten(model.prior.precision_of(zeros)).items():
        values = np.asarray(leaf)
        if values.size and (values.min() <= 0 or (one and values.min() < values.max())):
            found = "0" if values.min() <= 0 else "several"
            expected = "one prior precision above 0 for all weights of an array"
            raise ValueError(
                f"{type(structure).__name__} expects "
                f"{expected if one else 'prior precisions above 0'}; {path} has {found}. "
                "Change the prior, or use structure='diagonal'."
            )


@struct
class Sums:
    """What one pass over the rows adds up, at the mode and free of the noise sd.

    Where the network's outputs are the mean, b is the number of outputs, each with half its
    squared residuals; elsewhere b is 1, with minus the log likelihood.

    Parameters
    ----------
    loss
        The sums themselves, (b,).
    slope
        Their gradients, (b, p).
    curvature
        Their curvature, as the structure keeps it; the empirical one is one group of all outputs.
    weight
        Summed weight of the rows.
    """

    loss: Any
    slope: Any
    curvature: Any
    weight: Any


@struct
class AccumulateState:
    """What is known of the curvature so far.

    Parameters
    ----------
    weights
        The weights at which it is taken.
    sums
        Over the rows seen.
    """

    weights: Weights
    sums: Sums


@struct
class Accumulate(Phase):
    """Add up the curvature over one pass of the rows.

    Parameters
    ----------
    structure, curvature
        As of `Laplace`.
    steps
        Batches in one pass.
    batch_size
        Rows of each; None for all.
    """

    structure: Structure = static(default=FullCurvature())
    curvature: str = static(default="ggn")
    steps: int = static(default=1)
    batch_size: int | None = static(default=None)

    name: ClassVar[str] = "curvature"

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> AccumulateState:
        if start is None:
            raise ValueError(
                "Laplace(at=None) expects the weights of a mode; got none. Pass them, "
                "fit(..., start=weights), or name a method that finds one, at=MAP()."
            )
        weights = trees.cast(as_weights(start), data.weight.dtype)
        shapes = jax.eval_shape(self._sums, weights, model, data)
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        return AccumulateState(weights, zeros)

    def step(
        self, key: jax.Array, state: AccumulateState, model: Model, batch: Batch
    ) -> tuple[AccumulateState, Info]:
        new = self._sums(state.weights, model, batch.part)
        sums = jax.tree.map(jnp.add, state.sums, new)
        log_likelihood = log_likelihood_of(model, sums)
        log_prior = model.log_prior(state.weights.params)
        info = {
            "objective": log_prior + log_likelihood,
            "log_likelihood": log_likelihood,
            "weight": sums.weight,
        }
        return AccumulateState(state.weights, sums), info

    def _sums(self, weights: Weights, model: Model, data: Data) -> Sums:
        """Return the sums over some rows, a tile of them at a time."""
        vector, unravel = trees.ravel(weights.params)
        f = outputs_of(model, weights)

        def loss(vector: jax.Array, rows: Any) -> jax.Array:
            (x, y), weight = rows
            return losses(model, f(unravel(vector), x), y, weight)

        def of_tile(rows: Any) -> Any:
            slopes = jax.jacrev(loss)(vector, rows)
            total = loss(vector, rows), slopes, jnp.sum(rows[1])
            if self.curvature != "hessian":
                return *total, None
            diagonal = isinstance(self.structure, DiagonalCurvature)
            return *total, curvature.hessian(lambda v: loss(v, rows), vector, diagonal=diagonal)

        rows = (data.x, data.y), data.weight
        value, slope, weight, found = curvature.sum_tiles(of_tile, rows, TILE)
        if self.curvature != "hessian":
            root = root_of(model, f(weights.params, data.x), data.y, self.curvature)
            found = self.structure.sums(f, weights.params, data.x, root, data.weight)
        return Sums(value, slope, found, weight)

    def end(
        self, state: AccumulateState, kept: Any, model: Model, data: Data
    ) -> tuple[GaussianPosterior, Model]:
        scale = data.size / jnp.where(state.sums.weight > 0, state.sums.weight, 1)
        sums = jax.tree.map(lambda part: scale * part, state.sums)
        f = outputs_of(model, state.weights)
        params = state.weights.params
        tau = prior_precision(model, params)
        ready = self.structure.prepare(sums.curvature, f, params, data.x, tau)
        sums = replace(sums, curvature=None)
        found = LaplaceCurvature(state.weights, sums, ready, model, self.structure, self.curvature)
        covariance = found.covariance(model)
        return GaussianPosterior(state.weights, covariance, "linear", found), model

    def judge(self, info: dict[str, np.ndarray], ended: GaussianPosterior) -> Verdict:
        finite = super().judge(info, ended)
        if finite.status != "ok":
            return finite
        return judge_curvature(ended.curvature, ended.covariance)


def prior_precision(model: Model, params: Any) -> jax.Array:
    """Return the precisions of the prior (p,); of one with correlations the matrix (p, p)."""
    if correlated(model.prior):
        return model.prior.precision_matrix()
    return trees.vector(model.prior.precision_of(params))


def outputs_of(model: Model, weights: Weights) -> Function:
    """Return the network as a function of its parameters and a batch."""
    return lambda params, x: model.network.apply(replace(weights, params=params), x)[0]


def root_of(model: Model, f: jax.Array, y: jax.Array, kind: str) -> jax.Array:
    """Return a root of each row's curvature in the outputs, (n, k, g, r), free of the noise sd.

    Of a mean each output is a group of its own; elsewhere there is one group.
    """
    if kind == "empirical":
        if model.likelihood.linear_mean:
            return (y - f)[:, :, None, None]
        slope = jax.grad(lambda f: jnp.sum(model.likelihood.log_prob(f, y)))(f)
        return slope[:, :, None, None]
    if model.likelihood.linear_mean:
        units = jnp.eye(f.shape[1], dtype=f.dtype)
        return jnp.broadcast_to(units[None, :, :, None], (len(f), *units.shape, 1))
    values, vectors = jnp.linalg.eigh(model.likelihood.fisher(f))
    return (vectors * jnp.sqrt(jnp.maximum(values, 0))[:, None, :])[:, :, None, :]


def losses(model: Model, f: jax.Array, y: jax.Array, weight: jax.Array) -> jax.Array:
    """Return what is summed over rows, (b,): free of the noise sd where f is the mean."""
    if model.likelihood.linear_mean:
        return 0.5 * jnp.sum(weight[:, None] * (y - f) ** 2, axis=0)
    return -jnp.sum(weight * model.likelihood.log_prob(f, y))[None]


def factors(model: Model, sums: Sums) -> jax.Array:
    """Return how much each sum counts in minus the log likelihood, (b,): 1 / variance, or 1."""
    if not model.likelihood.linear_mean:
        return jnp.ones_like(sums.loss)
    return jnp.diagonal(model.likelihood.fisher(jnp.zeros_like(sums.loss)[None])[0])


def log_likelihood_of(model: Model, sums: Sums) -> jax.Array:
    """Return the log likelihood of the rows summed, in nats, at a model's noise."""
    total = -jnp.sum(factors(model, sums) * sums.loss)
    if not model.likelihood.linear_mean:
        return total
    zero = jnp.zeros_like(sums.loss)[None]
    return total + sums.weight * model.likelihood.log_prob(zero, zero)[0]


@struct
class LaplaceCurvature:
    """The curvature at a mode: covariance and log evidence at any hyper-parameters.

    Parameters
    ----------
    weights
        The mode.
    sums
        Losses and gradients over all rows.
    ready
        The curvature of all rows, as the structure prepared it.
    at
        The model at which the mode was found.
    structure
        What is kept of the curvature.
    kind
        ``"ggn"``, ``"empirical"`` or ``"hessian"``.
    """

    weights: Weights
    sums: Sums
    ready: Any
    at: Model
    structure: Structure = static()
    kind: str = static(default="ggn")

    def _scales(self, model: Model) -> tuple[jax.Array, jax.Array]:
        """Return the factor of each group (g,), and the prior's precision."""
        factor = factors(model, self.sums)
        if self.kind == "empirical":
            factor = factor[:1] ** 2
        return factor, prior_precision(model, self.weights.params)

    def covariance(self, model: Model) -> Covariance:
        """Return the inverse of the precision; NaN where it is not positive definite."""
        return self.structure.covariance(self.ready, *self._scales(model))

    def diagonal(self, model: Model) -> jax.Array:
        """Return the diagonal of the precision, (p,)."""
        factor, prior = self._scales(model)
        own = prior if prior.ndim == 1 else jnp.diagonal(prior)
        return self.structure.diagonal(self.ready, factor) + own

    def precision(self, model: Model) -> jax.Array:
        """Return the precision that a structure keeps by its entries: (p, p), or (p,)."""
        structure: Any = self.structure
        return structure.precision(self.ready, *self._scales(model))

    def log_evidence(self, model: Model) -> jax.Array:
        """Return log p(y) in nats, hyper-priors included, differentiable in the model's leaves.

        The mode stays where it is; at the maximum over the weights that costs no first-order
        term in the value, and the gradient is that at a fixed mode.
        """
        factor, prior = self._scales(model)
        log_joint = model.log_prior(self.weights.params) + self.log_likelihood(model)
        log_det = self.structure.log_det(self.ready, factor, prior)
        return log_joint + 0.5 * (len(prior) * LOG_2PI - log_det)

    def log_likelihood(self, model: Model) -> jax.Array:
        """Return the log likelihood of all rows at the mode in nats."""
        return log_likelihood_of(model, self.sums)

    def gradient(self, model: Model) -> jax.Array:
        """Return the gradient of the log joint in the weights, (p,)."""
        prior = jax.grad(lambda params: model.prior.log_prob(params))(self.weights.params)
        return trees.vector(prior) - factors(model, self.sums) @ self.sums.slope

    def decrement(self, covariance: Covariance) -> jax.Array:
        """Return what a Newton step from the weights would gain, in nats."""
        gradient = self.gradient(self.at)
        return 0.5 * covariance.quadratic(gradient[None, :])[0, 0]


def judge_curvature(found: LaplaceCurvature, covariance: Covariance) -> Verdict:
    """Fail a precision that is not positive definite; warn where the weights are at no mode."""
    if _singular(np.asarray(found.diagonal(found.at)), np.asarray(covariance.variance())):
        return _not_positive(found)
    decrement = float(found.decrement(covariance))
    if decrement <= LARGEST_DECREMENT:
        return Verdict()
    slope = float(jnp.linalg.norm(found.gradient(found.at)))
    reason = (
        f"The weights are not at a mode: a Newton step would still gain {decrement:.2g} nats "
        f"(at most {LARGEST_DECREMENT} expected); the gradient's norm is {slope:.2g}."
    )
    advice = "Polish them first, at=MAP(polish='lbfgs') or at=MAP(polish='newton')."
    return Verdict("warned", (reason,), (advice,))


def _singular(entries: np.ndarray, variance: np.ndarray) -> bool:
    """Say whether a precision with this diagonal has no inverse, to rounding.

    The product of a weight's variance and its entry in the precision is 1 without correlations;
    towards 1 / eps no digit of the variance is left. One percent of that is the limit.
    """
    inflation = variance * entries
    limit = 0.01 / np.finfo(entries.dtype).eps
    return not (np.isfinite(inflation).all() and np.max(inflation) < limit)


def _not_positive(found: LaplaceCurvature) -> Verdict:
    entries = np.asarray(found.diagonal(found.at))
    if not np.isfinite(entries).all():
        reason = "The curvature has entries that are not finite."
        return Verdict("failed", (reason,), ("Look at the weights and the scale of the inputs.",))
    reason = f"The precision of the weights is not positive definite in {entries.dtype}"
    if isinstance(found.structure, FullCurvature | DiagonalCurvature):
        precision = np.asarray(found.precision(found.at))
        values = np.sort(precision) if precision.ndim == 1 else np.linalg.eigvalsh(precision)
        reason += f": its smallest eigenvalue is {values[0]:.3g}, its largest {values[-1]:.3g}"
    if found.kind == "hessian":
        return Verdict("failed", (reason + ".",), ("Use curvature='ggn', or train on to a mode.",))
    return Verdict("failed", (reason + ".",), ("Give every weight a prior precision above 0.",))
