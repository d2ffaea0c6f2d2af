"""Fits taken apart: a Gaussian as it stood after every step, the members of an ensemble."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium import Data, Fit, Model
from posterium._struct import replace, struct
from posterium.driver.protocol import Around, Info, Phase
from posterium.model.data import Batch
from posterium.numerics import trees
from posterium.numerics.covariances.dense import Diagonal
from posterium.posterior.family import FamilyPosterior
from posterium.posterior.posterior import GaussianPosterior


@struct
class Watched:
    """A method whose first phase also records the mean and the sd of every weight at each step.

    The fit is the same to the bit; its info grows by two arrays (t, p).
    """

    of: Any

    @property
    def precision(self) -> str:
        """What the method inside computes in."""
        return self.of.precision

    def phases(self, model: Model, data: Data) -> tuple[Phase, ...]:
        first, *others = self.of.phases(model, data)
        return (Recorded(first), *others)


@struct
class Recorded(Around):
    """A phase that ends with a Gaussian of independent weights, recorded as if each step were last.

    Parameters
    ----------
    of
        The phase.
    """

    of: Phase

    def init(self, key: jax.Array, model: Model, data: Data, start: Any) -> Any:
        return self.of.init(key, model, data, start)

    def step(self, key: jax.Array, state: Any, model: Model, batch: Batch) -> tuple[Any, Info]:
        state, info = self.of.step(key, state, model, batch)
        ended, _ = self.of.end(state, None, model, batch.part)
        now: Any = ended.settled() if isinstance(ended, FamilyPosterior) else ended
        sd = jnp.sqrt(now.covariance.variance())
        return state, info | {"mean": trees.vector(now.mean.params), "sd": sd}

    def end(self, state: Any, kept: Any, model: Model, data: Data) -> tuple[Any, Model]:
        return self.of.end(state, kept, model, data)


def after(result: Fit, step: int) -> Fit:
    """Return a watched fit as it stood after so many steps."""
    record = next(iter(result.info.values()))
    mode = result.posterior.mode()
    _, unravel = trees.ravel(mode.params)
    mean = replace(mode, params=jax.tree.map(np.asarray, unravel(record["mean"][step - 1])))
    return replace(result, posterior=GaussianPosterior(mean, Diagonal(record["sd"][step - 1])))


def members(result: Fit) -> list[Fit]:
    """Return each member of an ensemble as a fit of its own."""
    count = result.posterior.size()
    pairs = [result.posterior.member(i) for i in range(count)]
    return [replace(result, posterior=posterior, model=model) for posterior, model in pairs]
