"""Problems to simulate, and what is asked of draws from their posteriors.

Weights are N(0, 1), a noise sd that is sampled has the prior LogNormal(1, NOISE_SPREAD). Truths and
targets are drawn by NumPy, apart from the library's own priors and likelihoods.
"""

import hashlib
import os
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit
from tests.validation.record import ROOT, again, digest

from posterium import (
    MLP,
    Bernoulli,
    Gaussian,
    Linear,
    LogNormal,
    Model,
    Normal,
    Weights,
    as_data,
    fit,
    learn,
)
from posterium.evaluate import mixing
from posterium.model import hyper
from posterium.model.subset import blank
from posterium.numerics import trees
from posterium.posterior.posterior import Draw, Mixture

SIMULATIONS, PART = int(os.environ.get("SIMULATIONS", "1000")), 50
DRAWS = 255
NOISE_SPREAD = 0.5
PROBES = np.array([[-1.0, 1.0], [0.5, 0.0], [2.0, 1.0]])


def inputs(rows: int) -> np.ndarray:
    """Return correlated inputs (n, 2), the same ones for all simulations."""
    return np.random.default_rng(1).normal(size=(rows, 2)) @ [[1.0, 0.8], [0.0, 0.6]]


@dataclass(frozen=True)
class Problem:
    """A model at some inputs.

    Parameters
    ----------
    model
        Its weights are N(0, 1).
    x
        Inputs (n, 2).
    by_weight
        Whether each weight is asked for; those of units that may trade places say little.
    """

    model: Model
    x: np.ndarray
    by_weight: bool = True

    def simulate(self, rng: np.random.Generator) -> tuple[Draw, np.ndarray]:
        """Return a truth from the prior, and targets from it."""
        like = blank(self.model.network, self.x).params
        params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), like)
        raws = tuple(NOISE_SPREAD * rng.normal() for _ in hyper.free(self.model))
        truth = Draw(Weights(params), raws)
        f = np.asarray(self.model.network.apply(truth.weights, self.x)[0])[:, 0]
        if isinstance(self.model.likelihood, Bernoulli):
            return truth, (rng.random(len(f)) < expit(f)).astype(int)
        scale = hyper.value(truth.model(self.model).likelihood.scale)
        return truth, f + scale * rng.normal(size=len(f))


def linear(likelihood: Any, rows: int = 6) -> Problem:
    """Return a linear model of two inputs and an intercept."""
    return Problem(Model(Linear(), Normal(1.0, "none"), likelihood), inputs(rows))


KNOWN_NOISE = linear(Gaussian(0.7))
FREE_NOISE = linear(Gaussian(learn(1.0, prior=LogNormal(1.0, NOISE_SPREAD))))
LOGISTIC = linear(Bernoulli(), rows=20)
NETWORK = Problem(
    Model(MLP(hidden=(2,), activation="tanh"), Normal(1.0, "none"), Gaussian(0.5)),
    inputs(12),
    by_weight=False,
)


def kept(problem: Problem, method: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return ranks (n, q), and effective draws (q,) on average, of all simulations of a case.

    They are kept in parts, by digests of source and case: a run that was stopped goes on.
    """
    done = repr((problem, method)).encode()
    folder = ROOT / "build" / "validation" / digest() / hashlib.sha256(done).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for first in range(0, SIMULATIONS, PART):
        path = folder / f"{first}.npy"
        if again() or not path.exists():
            part = [compared(problem, method, seed) for seed in range(first, first + PART)]
            np.save(path, part)
        parts.append(np.load(path))
    found = np.concatenate(parts)
    return found[:, 0].astype(int), found[:, 1].mean(axis=0)


def compared(problem: Problem, method: Any, seed: int) -> np.ndarray:
    """Return the rank of the truth among draws, and their effective number, (2, q)."""
    key = jax.random.key(seed)
    with jax.enable_x64(True):
        truth, y = problem.simulate(np.random.default_rng(seed))
        data = as_data(problem.x, y)
        found = fit(key, problem.model, data, method, precision="float64")
        told = asked(found.posterior, problem.model, truth, data, key, problem.by_weight)
    drawn, true = map(np.asarray, told)
    return np.stack([np.sum(drawn < true, axis=0), mixing.ess_bulk(drawn[None])])


@partial(jax.jit, static_argnames="by_weight")
def asked(
    posterior: Any, model: Model, truth: Draw, data: Any, key: jax.Array, by_weight: bool
) -> tuple[jax.Array, jax.Array]:
    """Return what is asked of draws (s, q), and of the truth (q,).

    The function at three inputs, the log likelihood, each weight, and the noise sd if sampled.
    """

    def of_one(draw: Draw) -> jax.Array:
        here, weights = draw.model(model), draw.weights
        f, there = (here.network.apply(weights, x)[0][:, 0] for x in (data.x, PROBES))
        log_likelihood = here.log_likelihood(f[:, None], data)[None]
        more = (trees.vector((weights.params, draw.raws)),) if by_weight else ()
        return jnp.concatenate([there, log_likelihood, *more])

    if isinstance(posterior, Mixture):
        draws = Draw(posterior.parts.weights)
    else:
        draws = posterior.sample(key, DRAWS)
    return jax.vmap(of_one)(draws), of_one(truth)
