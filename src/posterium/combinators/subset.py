"""Subset: a method on some of the weights, the others frozen where another method put them.

The last layer alone makes a network linear in what is uncertain (Snoek et al. 2015; Daxberger et
al. 2021a); any globs over the paths of the weights choose a subset, or those single weights are
taken whose variance is largest (Daxberger et al. 2021b).
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, static, struct
from posterium.driver.protocol import NO_BATCHES, Info, Phase
from posterium.methods.laplace import Laplace
from posterium.methods.map import MAP
from posterium.model import hyper
from posterium.model.data import Batch, Data, Stream
from posterium.model.model import Model
from posterium.model.subnetwork import subnetwork
from posterium.model.subset import blank, chosen, matching, restricted
from posterium.model.weights import Weights
from posterium.numerics import trees
from posterium.phases.descent import as_weights
from posterium.phases.hold import hold
from posterium.posterior.fit import Fit


@struct
class LargestVariance:
    """Choose the weights of largest posterior variance, by a diagonal Laplace approximation.

    Parameters
    ----------
    count
        How many.
    """

    count: int = static()

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count must be at least 1; got {self.count}.")


@struct
class Subset:
    """A method on the weights whose paths match, starting from all weights as `rest` found them.

    The model of the fit is the restricted one: its weights are the free ones, by path, its prior
    and its evidence count only these.

    Parameters
    ----------
    of
        The method, for example ``Laplace(at=None)``, which takes the weights where `rest` left
        them; `Evidence` goes inside, ``Subset(Evidence(Laplace(at=None)))``.
    paths
        Globs over the paths of the weights, such as ``"layers/2/*"`` or several in a tuple;
        ``"last_layer"``, those in which the outputs are affine: found by following what the
        network computes, for any network and by no name; or `LargestVariance(count)`.
    rest
        What sets all weights first: a method such as `MAP()`, with the free hyper-parameters of
        the prior held; a `Fit` of one set of weights, whose likelihood's free hyper-parameters are
        taken over; or None, for the weights given as `start`.
    """

    of: Any
    paths: Any = static(default="last_layer")
    rest: Any = MAP()

    def __post_init__(self) -> None:
        if isinstance(self.paths, LargestVariance):
            return
        if not isinstance(self.paths, str):
            object.__setattr__(self, "paths", tuple(self.paths))
        if not self.paths:
            raise ValueError("paths must name weights; got none. Give 'last_layer' or globs.")

    @property
    def precision(self) -> str:
        """What the method inside computes in."""
        return self.of.precision

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        x = next(iter(data.batches()))[0] if isinstance(data, Stream) else data.x
        zeros = blank(model.network, x)
        choice: Any = self.paths
        if isinstance(choice, LargestVariance):
            count = min(choice.count, trees.count(zeros.params))
            free = subnetwork(model, zeros, np.arange(count))
            between = (*Laplace("diagonal", at=None).phases(model, data), Select(count))
        else:
            choice = matching(model.network, zeros, x, choice)
            free, between = restricted(model, zeros, choice), (Restrict(choice),)
        inner = (*between, *self.of.phases(free, data))
        if self.rest is None:
            return (Begin(), *inner)
        if isinstance(self.rest, Fit):
            return (Begin(*_taken_over(self.rest, model)), *inner)
        seen = replace(model, prior=hyper.fix(model.prior))
        return (*hold(self.rest.phases(seen, data), model, ("prior",)), *inner)


def _taken_over(fit: Fit, model: Model) -> tuple[Weights, tuple[Any, ...]]:
    """Return the weights of a fit and the free hyper-parameters of its likelihood."""
    if not hasattr(fit.posterior, "mode"):
        raise ValueError(
            f"rest must be a fit of one set of weights; got a {type(fit.posterior).__name__}. "
            "Use Ensemble(Subset(...)), or the fit of one member."
        )
    raws = hyper.free(fit.model.likelihood)
    if len(raws) != len(hyper.free(model.likelihood)):
        raise ValueError(
            "rest must be a fit of a model with the same free hyper-parameters in the likelihood; "
            f"it has {len(raws)}, this model {len(hyper.free(model.likelihood))}."
        )
    return as_weights(fit.posterior), raws


@struct
class Begin(Phase):
    """Take all weights as they were given.

    Parameters
    ----------
    weights
        All weights, or None for those the fit was started with.
    raws
        Unconstrained coordinates of the likelihood's free hyper-parameters; None leaves them.
    """

    weights: Weights | None = None
    raws: tuple[Any, ...] | None = None

    steps: ClassVar[int] = 1
    batch_size: ClassVar[int] = NO_BATCHES
    name: ClassVar[str] = "begin"

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> Weights:
        given = start if self.weights is None else self.weights
        if given is None:
            raise ValueError(
                "Subset(rest=None) expects the weights of the whole network; got none. Pass them, "
                "fit(..., start=weights), or name what finds them, rest=MAP()."
            )
        return trees.cast(as_weights(given), data.weight.dtype)

    def step(self, key: jax.Array, state: Weights, model: Model, batch: Batch) -> tuple[Any, Info]:
        return state, {}

    def end(self, state: Weights, kept: Any, model: Model, data: Data) -> tuple[Weights, Model]:
        if self.raws is not None:
            raws = trees.cast(self.raws, data.weight.dtype)
            model = replace(model, likelihood=hyper.fill(model.likelihood, raws))
        return state, model


@struct
class Restrict(Phase):
    """Freeze all weights but those at some paths.

    Parameters
    ----------
    paths
        Paths of the weights that stay free.
    """

    paths: tuple[str, ...] = static()

    steps: ClassVar[int] = 1
    batch_size: ClassVar[int] = NO_BATCHES
    name: ClassVar[str] = "restrict"

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> Weights:
        return as_weights(start)

    def step(self, key: jax.Array, state: Weights, model: Model, batch: Batch) -> tuple[Any, Info]:
        return state, {}

    def end(self, state: Weights, kept: Any, model: Model, data: Data) -> tuple[Weights, Model]:
        free = replace(state, params=chosen(state.params, self.paths))
        return free, restricted(model, state, self.paths)


@struct
class Select(Phase):
    """Freeze all weights but those of largest variance under a Gaussian.

    Parameters
    ----------
    count
        How many stay free.
    """

    count: int = static()

    steps: ClassVar[int] = 1
    batch_size: ClassVar[int] = NO_BATCHES
    name: ClassVar[str] = "select"

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> tuple[Weights, Any]:
        largest = jax.lax.top_k(start.covariance.variance(), self.count)[1]
        return start.mode(), jnp.sort(largest)

    def step(self, key: jax.Array, state: Any, model: Model, batch: Batch) -> tuple[Any, Info]:
        return state, {}

    def end(self, state: Any, kept: Any, model: Model, data: Data) -> tuple[Weights, Model]:
        weights, places = state
        model = subnetwork(model, weights, places)
        return model.network.restrict(weights), model
