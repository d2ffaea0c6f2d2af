r"""Randomised priors: each member drawn to its own draw from the prior, and to targets of its own.

.. math:: \hat w = \arg\max_w \; \sum_i \log p(y_i + \epsilon_i \mid f(x_i; w))
    + \log p(w - a + m), \qquad a \sim p, \quad \epsilon_i \sim \text{noise}

with m the centre of the prior p. Of a linear model with Gaussian prior and noise, modes of such
problems are exact draws from the posterior (Osband, Aslanides and Cassirer 2018).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, static, struct
from posterium.combinators.perturbed import perturbed
from posterium.driver.protocol import Phase
from posterium.model import hyper
from posterium.model.data import Data
from posterium.model.model import Model
from posterium.model.priors.base import INFINITY, narrowed
from posterium.model.priors.composed import Centred, centre
from posterium.model.subset import blank
from posterium.numerics import trees


@struct
class RandomisedPrior:
    """A method that is drawn to a draw from the prior, and whose targets have fresh noise added.

    For members of an ensemble, `Ensemble(RandomisedPrior(MAP()), 20)`: where rows say nothing,
    members are as far apart as functions of the prior, which members of a plain ensemble are not
    (anchored ensembles, Pearce, Leibfried and Brintrup 2020). Exact for a model that is linear in
    its weights, with Gaussian prior and noise; for networks as good as their modes.

    Prior and noise must be known, since both are drawn from.

    Parameters
    ----------
    of
        The method that finds a mode, for example ``MAP(polish="newton")``.
    targets
        False leaves the targets as they are: for classes, counts, and noise that is learned or
        predicted. Members then agree more than they should where there are rows; around
        `Bootstrap`, ``RandomisedPrior(Bootstrap(MAP()), targets=False)``, their rows differ.
    """

    of: Any
    targets: bool = static(default=True)

    @property
    def precision(self) -> str:
        """What the method inside computes in."""
        return self.of.precision

    def phases(self, model: Model, data: Data) -> tuple[Phase, ...]:
        phases = perturbed(self, Anchoring(self.targets), model, data)
        _refuse_prior(model, data)
        if self.targets:
            _refuse_noise(model, data)
        return phases


@struct
class Anchor:
    """What a member is drawn to.

    Parameters
    ----------
    offset
        The draw from the prior, less the prior's centre, like the weights.
    noise
        What is added to the targets, (n, k), or None.
    """

    offset: Any
    noise: Any


@struct
class Anchoring:
    """The perturbation of `RandomisedPrior`: another centre of the prior, and other targets.

    Parameters
    ----------
    targets
        As of `RandomisedPrior`.
    """

    targets: bool = static(default=True)

    def draw(self, key: jax.Array, model: Model, data: Data) -> Anchor:
        like_key, prior_key, noise_key = jax.random.split(key, 3)
        like = trees.cast(model.network.init(like_key, data.x).params, data.weight.dtype)
        drawn = model.prior.sample(prior_key, like)
        offset = jax.tree.map(jnp.subtract, drawn, centre(model.prior, like))
        if not self.targets:
            return Anchor(offset, None)
        return Anchor(offset, model.likelihood.sample(noise_key, jnp.zeros_like(data.y)))

    def model(self, drawn: Anchor, model: Model) -> Model:
        return replace(model, prior=Centred(model.prior, drawn.offset))

    def learned(self, drawn: Anchor, model: Model, learned: Model) -> Model:
        if not isinstance(learned.prior, Centred):
            raise ValueError(
                "RandomisedPrior expects a method that leaves the prior as it is; got one that "
                "replaces it. Put it further in, as in Subset(RandomisedPrior(MAP()))."
            )
        return replace(learned, prior=model.prior)

    def data(self, drawn: Anchor, data: Data, rows: Any) -> Data:
        if drawn.noise is None:
            return data
        return replace(data, y=data.y + drawn.noise[rows])


def _refuse_prior(model: Model, data: Data) -> None:
    """Refuse a prior that cannot be drawn from, or is not the same on both sides of its centre."""
    if hyper.learned(model.prior):
        raise ValueError(
            "RandomisedPrior expects a prior that is known, since members are drawn to draws from "
            "it; this one has free hyper-parameters. Fix them, at those that Evidence(Laplace()) "
            "found for example."
        )
    for part in narrowed(model.prior):
        for name in (name for name, end in part.narrows.items() if end == INFINITY):
            if any(np.any(np.asarray(leaf) == 0) for leaf in jax.tree.leaves(getattr(part, name))):
                raise ValueError(
                    f"RandomisedPrior expects a prior with draws; the {name} of this one is 0 "
                    "somewhere, which is flat. Give every weight one above 0."
                )
    like = blank(model.network, data.x).params
    jax.eval_shape(model.prior.sample, jax.random.key(0), like)
    middle, rng = centre(model.prior, like), np.random.default_rng(0)
    steps = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), like)
    sides = (jax.tree.map(lambda m, s, sign=sign: m + sign * s, middle, steps) for sign in (1, -1))
    if not np.isclose(*map(model.prior.log_prob, sides), rtol=1e-3):
        raise ValueError(
            "RandomisedPrior expects a prior that is the same on both sides of its centre; this "
            "one is not. Move it there, as in Centred(prior, at=weights)."
        )


def _refuse_noise(model: Model, data: Data) -> None:
    """Refuse a likelihood whose noise is not known, or not added to the outputs."""
    name = type(model.likelihood).__name__
    if hyper.learned(model.likelihood):
        raise ValueError(
            f"RandomisedPrior expects noise that is known, since it is added to the targets; that "
            f"of {name} is learned. Fix it, as in Gaussian(0.1), or say targets=False."
        )
    if not _is_additive(model.likelihood, np.shape(data.y)[1:]):
        raise ValueError(
            "RandomisedPrior expects noise that is added to the network's outputs and alike on "
            f"both sides, such as Gaussian(0.1); that of {name} is not. Say targets=False, and "
            "let members have rows of their own: RandomisedPrior(Bootstrap(MAP()), targets=False)."
        )


def _is_additive(likelihood: Any, columns: tuple[int, ...]) -> bool:
    """Say whether targets of so many columns are outputs plus noise, alike on both sides."""
    if likelihood.task == "classification" or likelihood.outputs(*columns) != columns[0]:
        return False
    f = np.arange(-2.0, 3.0)[:, None] * np.ones(columns)
    drawn, moved = (likelihood.sample(jax.random.key(0), jnp.asarray(f + s)) for s in (0, 1))
    above, below = (likelihood.log_prob(jnp.asarray(f), jnp.asarray(f + s)) for s in (1, -1))
    same = drawn.shape == f.shape and np.allclose(moved - drawn, 1, atol=1e-3)
    return same and np.allclose(above, below, rtol=1e-3)
