"""Every family, and coordinates of it at which nothing is special."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterium.numerics import trees
from posterium.numerics.families.flow import Flow
from posterium.numerics.families.gaussian import FullRank, MeanField
from posterium.numerics.families.low_rank import LowRank
from posterium.numerics.families.matrix_normal import MatrixNormal
from posterium.numerics.families.radial import Radial

FAMILIES = {
    "mean-field": MeanField(),
    "capped mean-field": MeanField(cap=2.0),
    "full": FullRank(),
    "low-rank": LowRank(rank=2),
    "matrix-normal": MatrixNormal(),
    "radial": Radial(),
    "flow": Flow(layers=3, hidden=4),
}
GAUSSIAN = {name: family for name, family in FAMILIES.items() if family.gaussian}
OTHERS = {name: family for name, family in FAMILIES.items() if not family.gaussian}

SHAPES = (("layer/bias", (2,)), ("layer/kernel", (3, 2)))
MEAN = np.array([0.5, -1.0, 2.0, 0.1, 0.3, -0.7, 1.2, -0.2])
PAIR = (("kernel", (1, 2)),)


def each(families):
    return pytest.mark.parametrize("family", families.values(), ids=families)


def moved(family, shapes=SHAPES, mean=MEAN, seed=0):
    """Return coordinates some way from the start."""
    raw = family.start(jnp.asarray(mean), jnp.asarray(0.5, mean.dtype), shapes)
    flat, unravel = trees.ravel(raw)
    offset = 0.5 * np.random.default_rng(seed).normal(size=flat.size)
    return unravel(flat + offset.astype(flat.dtype))


def draws(family, raw, count, seed=0):
    """Return base noise and draws, (s, ...) each."""
    z = family.noise(jax.random.key(seed), raw, count)
    return z, jax.vmap(family.draw, (None, 0))(raw, z)
