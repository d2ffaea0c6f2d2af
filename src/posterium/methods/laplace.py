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
from posterium.driver.protocol import Phase
from posterium.model import hyper
from posterium.model.data import Data, Stream
from posterium.model.model import Model
from posterium.model.priors.gaussian import correlated
from posterium.numerics import trees
from posterium.numerics.structures.base import Structure
from posterium.numerics.structures.dense import DiagonalCurvature, FullCurvature
from posterium.numerics.structures.functional import FunctionalCurvature
from posterium.numerics.structures.kronecker import KroneckerCurvature
from posterium.numerics.structures.low_rank import LowRankCurvature
from posterium.phases.accumulate import Accumulate
from posterium.phases.hold import hold
from posterium.phases.search import Search

STRUCTURES: dict[str, Structure] = {
    "full": FullCurvature(),
    "kronecker": KroneckerCurvature(),
    "low_rank": LowRankCurvature(),
    "functional": FunctionalCurvature(),
    "diagonal": DiagonalCurvature(),
}
CURVATURES = ("ggn", "empirical", "hessian")
HELD = {"prior": ("network", "prior"), "all": ("network", "prior", "likelihood")}
KERNEL_BYTES = 2**32
"""What the kernels between rows may take."""
STEP_WORK = 2**35
"""Multiplications a step, about a second: more rows are split into several steps."""


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
        ``"functional"`` (n k x n k numbers for each array of weights: any number of weights, few
        rows n times outputs k, all of them at once); ``"diagonal"``; or a record with settings,
        such as `KroneckerCurvature(sharing="reduce")` or `LowRankCurvature(rank=20)`.
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

    What the search for a mode leaves to gain is judged where the curvature is taken. With kinked
    activations (relu) a mode may lie on a kink, where the gradient never vanishes.
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
        if isinstance(self._structure(), FunctionalCurvature):
            each = 1 if self.curvature == "empirical" else outputs
            _refuse_rows(data, self.batch_size, each, len(jax.tree.leaves(weights)))
        steps, batch_size = self._split(data, outputs, trees.count(weights))
        last = Accumulate(self._structure(), self.curvature, steps, batch_size)
        if self.at is None:
            return (last,)
        roles = HELD[self.held]
        seen = replace(model, **{role: hyper.fix(getattr(model, role)) for role in roles})
        return (*hold(self.at.phases(seen, data), model, roles), last)

    def _structure(self) -> Structure:
        named = isinstance(self.structure, str)
        return STRUCTURES[self.structure] if named else self.structure

    def _split(self, data: Data | Stream, outputs: int, weights: int) -> tuple[int, int | None]:
        """Return in how many batches of how many rows one pass goes."""
        if isinstance(data, Stream):
            return data.per_epoch, None
        if isinstance(self._structure(), FunctionalCurvature):
            return 1, None
        hessian = self.curvature == "hessian"
        work = (outputs * weights) ** 2 if hessian else self._structure().work(outputs, weights)
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
    """Refuse a prior without curvature, and precisions that a structure cannot add exactly."""
    if isinstance(structure, FullCurvature) and correlated(model.prior):
        return
    at = (jax.tree.map(lambda s, v=v: np.full(s.shape, v, s.dtype), shapes) for v in (0, 1))
    found, elsewhere = (trees.flatten(model.prior.precision_of(weights)) for weights in at)
    if isinstance(structure, FullCurvature | DiagonalCurvature):
        return
    one = isinstance(structure, KroneckerCurvature | FunctionalCurvature)
    for path, leaf in found.items():
        values = np.asarray(leaf)
        moves = not np.array_equal(values, elsewhere[path])
        if values.size and (moves or values.min() <= 0 or (one and values.min() < values.max())):
            came = "0" if values.min() <= 0 else "several"
            expected = "one prior precision above 0 for all weights of an array"
            raise ValueError(
                f"{type(structure).__name__} expects "
                f"{expected if one else 'prior precisions above 0'}; {path} has "
                f"{'one that changes with its weights' if moves else came}. "
                "Change the prior, or use structure='diagonal'."
            )


def _refuse_rows(data: Data | Stream, batch_size: int | None, each: int, arrays: int) -> None:
    """Refuse rows that do not come all at once, or whose kernels would not fit.

    Each row has so many directions, and there is a kernel for each array of weights.
    """
    streamed = isinstance(data, Stream)
    if streamed or (batch_size is not None and batch_size < len(data.x)):
        found = "a stream" if streamed else f"batch_size={batch_size} of {len(data.x)} rows"
        raise ValueError(
            f"structure='functional' expects all rows at once: it keeps what each says of every "
            f"other; got {found}. Use structure='kronecker' or 'low_rank'."
        )
    needed = 8 * arrays * (each * len(data.x)) ** 2
    if needed > KERNEL_BYTES:
        raise ValueError(
            f"structure='functional' expects kernels of at most {KERNEL_BYTES:,} bytes; {arrays} "
            f"arrays of weights under {len(data.x)} rows of {each} output(s) need {needed:,}. Use "
            "structure='kronecker' or 'low_rank', or fewer rows."
        )
