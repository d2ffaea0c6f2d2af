"""KL of every family from every prior, over two weights: by draws, by formula, on a grid."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.numerics.families.cases import FAMILIES, each, moved

from posterium.model.priors.gaussian import GaussianPrior
from posterium.model.priors.normal import Flat, Normal
from posterium.model.priors.sparse import Horseshoe, SpikeAndSlab
from posterium.model.priors.tails import LaplacePrior, StudentTPrior
from posterium.numerics.covariances.dense import Diagonal
from posterium.numerics.divergence import precision_trace, quadratic_kl
from posterium.numerics.precisions import FullPrecision

SHAPES = (("kernel", (1, 2)),)
MEAN = np.array([0.4, -0.9])
PRIORS = {
    "flat": Flat(),
    "normal": Normal(1.7),
    "correlated": GaussianPrior(
        {"kernel": np.array([[0.3, -0.2]])}, FullPrecision(np.array([[1.5, 0.0], [-0.8, 0.6]]))
    ),
    "Laplace": LaplacePrior(0.7),
    "Student-t": StudentTPrior(df=3.0),
    "spike and slab": SpikeAndSlab(spike=0.3, slab=2.0, share=0.4),
    "horseshoe": Horseshoe(0.5),
}
NAMES = [name for name in FAMILIES if name != "capped mean-field"]
REACH = 12.0
"""Radius of the grid in sds; what is beyond has a mass of 1e-13 at most."""


def tree(w):
    return {"kernel": w.reshape(1, 2)}


def polar():
    """Return nodes (m, 2) over a disc, and what area each stands for: exact for smooth functions.

    The radial family is singular in the middle, where nodes lie dense.
    """
    nodes, weights = np.polynomial.legendre.leggauss(300)
    t, angle = (nodes + 1) / 2, 2 * np.pi * np.arange(256) / 256
    r, slope = REACH * t**3, REACH * 3 * t**2
    ring = weights / 2 * slope * r * 2 * np.pi / 256
    at = r[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], -1)[None]
    return at.reshape(-1, 2), np.repeat(ring, 256)


@jax.jit
def log_priors(w):
    """Return the log density of every prior, (m, priors)."""

    def one(w):
        return jnp.stack([prior.log_prob(tree(w)) for prior in PRIORS.values()])

    return jax.lax.map(one, w, batch_size=10_000)


@functools.cache
def told(name, count):
    """Return the log ratio of the family to every prior on the grid and at draws, and the mass.

    And the KL by formula, where there is one.
    """
    family = FAMILIES[name]
    nodes, area = polar()

    def densities(key, raw):
        z = family.noise(key, raw, count)
        w = jax.vmap(family.draw, (None, 0))(raw, z)
        factor = jnp.linalg.cholesky(jnp.cov(w[:2000].T))
        points = jnp.concatenate([family.mean(raw)[None] + nodes @ factor.T, w])
        log_q = jax.lax.map(functools.partial(family.log_prob, raw), points, batch_size=10_000)
        mass = area * jnp.prod(jnp.diagonal(factor)) * jnp.exp(log_q[: len(nodes)])
        return points, log_q, mass, closed(family, raw) if hasattr(family, "entropy") else {}

    with jax.enable_x64(True):
        raw = moved(family, SHAPES, MEAN, by=0.3)
        points, log_q, mass, formulas = jax.jit(densities)(jax.random.key(11), raw)
        ratio = jax.device_get(log_q[:, None] - log_priors(points))
    return ratio[: len(nodes)], ratio[len(nodes) :], np.asarray(mass), formulas


def closed(family, raw):
    """Return the KL by formula from the priors whose log density is quadratic."""
    mean, entropy, variance = family.mean(raw), family.entropy(raw), family.variance(raw)
    covariance = family.covariance(raw) if family.gaussian else Diagonal(jnp.sqrt(variance))
    normal, correlated = PRIORS["normal"], PRIORS["correlated"]
    trace = jnp.sum(variance * normal.precision_of(tree(mean))["kernel"].ravel())
    whole = precision_trace(correlated.root, covariance)
    return {
        "flat": -entropy,
        "normal": quadratic_kl(normal.log_prob(tree(mean)), trace, entropy),
        "correlated": quadratic_kl(correlated.log_prob(tree(mean)), whole, entropy),
    }


FEW = 20_000


@each(NAMES)
def test_the_density_integrates_to_one(name):
    assert told(name, FEW)[2].sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("count", [FEW, pytest.param(10**6, marks=pytest.mark.slow)])
@each(NAMES)
def test_the_mean_of_the_log_ratio_over_draws_is_the_kl(name, count):
    on_grid, at_draws, mass, _ = told(name, count)
    error = at_draws.std(axis=0) / np.sqrt(count)
    assert (error > 0).all()
    np.testing.assert_array_less(np.abs(at_draws.mean(axis=0) - mass @ on_grid), 4 * error)


@each([name for name in NAMES if name != "flow"])
def test_the_kl_by_formula_is_the_kl(name):
    on_grid, _, mass, formulas = told(name, FEW)
    expected = dict(zip(PRIORS, mass @ on_grid, strict=True))
    assert set(formulas) == {"flat", "normal", "correlated"}
    for prior, kl in formulas.items():
        assert kl == pytest.approx(expected[prior], abs=1e-8), prior
