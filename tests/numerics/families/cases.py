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
GAUSSIAN = [name for name, family in FAMILIES.items() if family.gaussian]

SHAPES = (("layer/bias", (2,)), ("layer/kernel", (3, 2)))
MEAN = np.array([0.5, -1.0, 2.0, 0.1, 0.3, -0.7, 1.2, -0.2])


def each(names):
    return pytest.mark.parametrize("name", names)


def moved(family, shapes=SHAPES, mean=MEAN, by=0.5):
    """Return coordinates some way from the start."""
    sd = jnp.asarray(0.5, mean.dtype)
    raw = jax.jit(lambda mean: family.start(mean, sd, shapes))(mean)
    flat, unravel = trees.ravel(raw)
    offset = by * np.random.default_rng(0).normal(size=flat.size)
    return unravel(flat + offset.astype(flat.dtype))
