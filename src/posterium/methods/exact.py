r"""Bayesian linear regression on fixed features, in closed form.

.. math:: p(w \mid y) = N(\sigma^{-2} S \Phi^T y,\, S), \quad
   S^{-1} = \Lambda + \sigma^{-2} \Phi^T \Phi

with :math:`\Phi` the features, :math:`\Lambda` the prior precision and :math:`\sigma` the noise sd
(Bishop 2006, equations 3.50 to 3.54 and 3.86). Solved by QR, in the space of the rows when there
are fewer of them than weights. Under a correlated prior N(m, F F^T) it is the offset u of
w = m + F u that is solved for, whose prior is of unit precision.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, static, struct
from posterium.driver.protocol import Info, Phase
from posterium.model import hyper
from posterium.model.data import Batch, Data, Stream
from posterium.model.features import Linear
from posterium.model.likelihoods.gaussian import Gaussian
from posterium.model.model import Model
from posterium.model.priors.base import LOG_2PI
from posterium.model.priors.gaussian import GaussianPrior
from posterium.model.priors.normal import Flat, Normal
from posterium.model.weights import Weights
from posterium.numerics import regression, trees
from posterium.numerics.covariances.base import Covariance
from posterium.numerics.covariances.dense import Full
from posterium.phases.descent import as_weights
from posterium.posterior.fit import Verdict
from posterium.posterior.posterior import GaussianPosterior

LEFT_OVER = 500
"""Rounding errors that the other features must leave over of one, or it counts as one of them."""


@struct
class Exact:
    """The exact posterior of a model that is linear in its weights.

    The network must be `Linear`, the prior `Normal` (or `Flat`, or the `GaussianPrior` that an
    earlier fit of such a model leaves), the likelihood `Gaussian`. Free hyper-parameters stay at
    their values; `Evidence(Exact())` puts them at maximum evidence. Reads a stream once.
    """

    precision: ClassVar[str] = "float64"
    closed_form: ClassVar[bool] = True

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        for role, kinds in (
            ("network", Linear),
            ("prior", (Normal, Flat, GaussianPrior)),
            ("likelihood", Gaussian),
        ):
            part = getattr(model, role)
            if not isinstance(part, kinds):
                raise ValueError(
                    f"Exact needs a Linear network, a Normal, Flat or Gaussian prior and a "
                    f"Gaussian likelihood; the {role} is {type(part).__name__}. Use Laplace(), "
                    "VI() or NUTS() for other models."
                )
        if isinstance(model.prior, GaussianPrior):
            _refuse_shared(model.prior)
        if isinstance(data, Stream):
            return (Solve(data.per_epoch, whole=False),)
        if not isinstance(model.prior, GaussianPrior):
            _refuse_flat(model, data)
        return (Solve(1, whole=True),)


def _refuse_flat(model: Model, data: Data) -> None:
    """Refuse flat weights where there are fewer rows than weights."""
    like = jax.eval_shape(model.network.init, jax.random.key(0), data.x).params
    weights = len(like["coefficients"])
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape), like)
    if len(data.x) < weights and not np.all(model.prior.precision_of(zeros)["coefficients"] > 0):
        raise ValueError(
            f"Exact expects a prior precision above 0 for every weight where rows are fewer than "
            f"weights; got {len(data.x)} rows and {weights} weights, some of them flat. Give all a "
            "precision, or use more rows."
        )


def _refuse_shared(prior: GaussianPrior) -> None:
    """Refuse a prior under which the weights of one target depend on those of another."""
    root = np.array(_root(prior))
    least = 100 * np.finfo(root.dtype).eps * np.abs(root).max()
    outputs = np.arange(root.shape[1])
    root[:, outputs, :, outputs] = 0
    if np.abs(root).max(initial=0) > least:
        raise ValueError(
            "Exact expects a prior whose weights are independent from target to target; those of "
            "this GaussianPrior are not. Use Laplace(at=MAP(steps=1, polish='newton'))."
        )


def _root(prior: GaussianPrior) -> jax.Array:
    """Return a root of the prior's covariance, (m, k, m, k)."""
    shape = jnp.shape(prior.mean["coefficients"])
    units = jnp.diag(jnp.ones_like(trees.vector(prior.mean)))
    return jax.vmap(prior.root.colour, out_axes=1)(units).reshape(*shape, *shape)


def coordinates(prior: GaussianPrior) -> tuple[jax.Array, jax.Array]:
    """Return each target's prior mean m, (k, m), and root F, (k, m, m)."""
    root = jnp.diagonal(_root(prior), axis1=1, axis2=3)
    return prior.mean["coefficients"].T, jnp.moveaxis(root, -1, 0)


@struct
class SolveState:
    """What is known of the data so far.

    Parameters
    ----------
    weights
        Shapes of the weights and the random numbers of the basis.
    rows
        Rows (r, m + k) of features and targets with the Gram matrix of those seen so far.
    data
        The data themselves where the features have free hyper-parameters, else None.
    """

    weights: Weights
    rows: Any
    data: Data | None


@struct
class Solve(Phase):
    """Read the data, and solve.

    Parameters
    ----------
    steps
        Batches in one pass; 1 for data in memory.
    whole
        True when one step sees all rows.
    """

    steps: int = static(default=1)
    whole: bool = static(default=True)

    batch_size: ClassVar[None] = None
    name: ClassVar[str] = "solve"

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> SolveState:
        weights = model.network.init(key, data.x) if start is None else as_weights(start)
        features, outputs = weights.params["coefficients"].shape
        width = features + outputs
        kept = min(len(data.x), width) if self.whole else width
        free = bool(hyper.learned(model.network))
        if free and not self.whole:
            raise ValueError(
                "A stream needs features with fixed hyper-parameters; these have free ones. "
                "Fix them, or hold the data in memory."
            )
        rows = jnp.zeros((kept, width), data.weight.dtype)
        return SolveState(weights, rows, data if free else None)

    def step(
        self, key: jax.Array, state: SolveState, model: Model, batch: Batch
    ) -> tuple[SolveState, Info]:
        new = weighted_rows(model, state.weights, batch.part)
        if not self.whole or len(new) > len(state.rows):
            new = regression.compress(state.rows, new)
        return replace(state, rows=new), {"rows": jnp.sum(batch.part.weight > 0)}

    def end(
        self, state: SolveState, kept: Any, model: Model, data: Data
    ) -> tuple[GaussianPosterior, Model]:
        outputs = state.weights.params["coefficients"].shape[1]
        curvature = LinearCurvature(state.rows, data.size, outputs, state.weights, state.data)
        return curvature.posterior(model), model

    def judge(self, info: dict[str, np.ndarray], ended: GaussianPosterior) -> Verdict:
        if not dependent(ended):
            return Verdict()
        reason = "The features are linearly dependent and the prior does not decide between them."
        return Verdict("failed", (reason,), ("Give every weight a prior precision above 0.",))


def dependent(found: Any) -> bool:
    """Say whether some combination of weights is decided by neither the data nor the prior.

    The diagonal of the factor R^-1 tells how much of each feature the others leave over.
    """
    factor, curvature = np.asarray(found.covariance.factor), found.curvature
    if not (np.isfinite(factor).all() and np.isfinite(found.mean.params["coefficients"]).all()):
        return True
    lengths = np.linalg.norm(curvature.rows[:, : -curvature.outputs], axis=0)
    spread = lengths * np.abs(np.diag(factor))[:: curvature.outputs]
    spread = spread[lengths > 0]
    least = LEFT_OVER * np.finfo(factor.dtype).eps
    return bool(len(spread)) and bool(spread.min() < least * spread.max())


def _triangle(factor: jax.Array) -> jax.Array:
    """Return the lower triangular factor (m, m) of the same covariance."""
    return jnp.linalg.qr(factor.T, mode="r").T


def weighted_rows(model: Model, weights: Weights, data: Data) -> jax.Array:
    """Return features and targets side by side, each row times the root of its weight."""
    both = jnp.concatenate([model.network.design(weights, data.x), data.y], axis=1)
    return jnp.sqrt(data.weight)[:, None] * both


@struct
class LinearCurvature:
    """The data of a linear regression, compressed: evidence and posterior of any hyper-parameters.

    Parameters
    ----------
    rows
        Rows of features and targets, (r, m + k).
    count
        Summed weight N.
    outputs
        Number of targets k.
    weights
        Shapes of the weights and the random numbers of the basis.
    data
        The data, where the features themselves have free hyper-parameters.
    """

    rows: Any
    count: Any
    outputs: int = static()
    weights: Any = None
    data: Data | None = None

    def _rows(self, model: Model) -> tuple[jax.Array, jax.Array]:
        """Return features (r, m) and targets (k, r)."""
        rows = self.rows if self.data is None else weighted_rows(model, self.weights, self.data)
        return rows[:, : -self.outputs], rows[:, -self.outputs :].T

    def _noise(self, model: Model) -> jax.Array:
        return jnp.broadcast_to(hyper.value(model.likelihood.scale), (self.outputs,))

    def _problem(self, model: Model) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """Return by output: features (r, m), targets, prior precisions and noise sds.

        Under a correlated prior they are those of the offset u.
        """
        features, targets = self._rows(model)
        if isinstance(model.prior, GaussianPrior):
            center, root = coordinates(model.prior)
            units = jnp.ones((self.outputs, features.shape[1]), features.dtype)
            return features @ root, targets - center @ features.T, units, self._noise(model)
        like = {"coefficients": jnp.zeros((features.shape[1], self.outputs), features.dtype)}
        precision = model.prior.precision_of(like)["coefficients"].T
        each = jnp.broadcast_to(features, (self.outputs, *features.shape))
        return each, targets, precision, self._noise(model)

    def log_evidence(self, model: Model) -> jax.Array:
        """Return log p(y) in nats, hyper-priors included, differentiable in the model's leaves."""
        each = jax.vmap(regression.log_evidence, in_axes=(0, 0, 0, 0, None))
        return jnp.sum(each(*self._problem(model), self.count)) + hyper.log_prior(model)

    def covariance(self, model: Model) -> Covariance:
        """Return the covariance of the weights at the hyper-parameters of a model."""
        return self.posterior(model).covariance

    def log_likelihood(self, model: Model) -> jax.Array:
        """Return the log likelihood in nats at the mean, which stands in its derivatives."""
        (features, targets), noise = self._rows(model), self._noise(model)
        mean = self.posterior(model).mean.params["coefficients"]
        residual = targets - jax.lax.stop_gradient(features @ mean).T
        squares = jnp.sum(residual**2, axis=1) / noise**2
        return -jnp.sum(0.5 * squares + self.count * (jnp.log(noise) + 0.5 * LOG_2PI))

    def posterior(self, model: Model) -> GaussianPosterior:
        """Return the posterior at the hyper-parameters of a model."""
        mean, factor = jax.vmap(regression.posterior)(*self._problem(model))
        if isinstance(model.prior, GaussianPrior):
            center, root = coordinates(model.prior)
            mean = center + jnp.einsum("kab,kb->ka", root, mean)
            factor = jax.vmap(_triangle)(root @ factor)
        size = mean.size
        spread = jnp.einsum("jab,jl->ajbl", factor, jnp.eye(self.outputs, dtype=mean.dtype))
        weights = replace(self.weights, params={"coefficients": mean.T})
        return GaussianPosterior(weights, Full(spread.reshape(size, size)), "linear", self)
