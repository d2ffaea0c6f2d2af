"""The cases of priors: one line buys a new prior its battery of tests."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import integrate, stats

from posterium import (
    ByPath,
    Centred,
    EachWeight,
    Flat,
    Gamma,
    GaussianPrior,
    HalfCauchy,
    HalfNormal,
    Horseshoe,
    InverseGamma,
    LaplacePrior,
    LogNormal,
    Normal,
    SpikeAndSlab,
    StudentTPrior,
    learn,
)
from posterium.numerics.precisions import DiagonalPrecision

PARAMS = {
    "layers": [{"bias": np.array([0.3, -0.2]), "kernel": np.array([[0.1, 0.5], [-1.0, 0.4]])}]
}
INPUTS = np.array([1, 1, 2, 2, 2, 2])
"""Of each weight of `PARAMS`, bias first: what a layer is scaled by."""


class HorseshoeLaw:
    """The horseshoe by integrals over the sd of each weight, which is tan(pi t / 2)."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def pdf(self, w: float) -> float:
        def inside(sd: float) -> float:
            return stats.norm.pdf(w, scale=self.scale * sd) * stats.halfcauchy.pdf(sd)

        return sum(integrate.quad(inside, *ends, epsabs=0, epsrel=1e-11, limit=200)[0]
                   for ends in ((0, 1), (1, np.inf)))  # fmt: skip

    def logpdf(self, w: float) -> float:
        return np.log(self.pdf(w))

    def cdf(self, w: np.ndarray) -> np.ndarray:
        angles, shares = unit_horseshoe()
        return np.interp(np.arctan(w / self.scale), angles, shares)


@functools.cache
def unit_horseshoe() -> tuple[np.ndarray, np.ndarray]:
    """Return angles arctan(w), and the probability of less than w, at scale 1."""
    angles = np.linspace(-1, 1, 1001)[1:-1] * np.pi / 2
    sds = np.tan((np.arange(2000) + 0.5) / 2000 * np.pi / 2)
    return angles, np.array([stats.norm.cdf(np.tan(a) / sds).mean() for a in angles])


class MixtureLaw:
    """A share of a wide Gaussian, and a narrow one."""

    def __init__(self, share: float, wide: float, narrow: float) -> None:
        self.parts = (share, stats.norm(scale=wide)), (1 - share, stats.norm(scale=narrow))

    def logpdf(self, w: Any) -> Any:
        return np.log(sum(share * law.pdf(w) for share, law in self.parts))

    def cdf(self, w: Any) -> Any:
        return sum(share * law.cdf(w) for share, law in self.parts)


class OwnLogistic:
    """A distribution of a user's own: no record, no pytree."""

    def log_prob(self, w: jax.Array) -> jax.Array:
        return -jnp.abs(w) - 2 * jnp.log1p(jnp.exp(-jnp.abs(w)))

    def sample(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        return jax.random.logistic(key, shape)


@dataclass(frozen=True)
class PriorCase:
    """A prior over the weights `PARAMS`, and the law of each of them in SciPy.

    Parameters
    ----------
    prior
        The prior.
    laws
        Of the weights one by one, bias first; None where there is none.
    smooth
        Whether it has a curvature.
    """

    prior: Any
    laws: tuple[Any, ...] | None
    smooth: bool = True


def normals(precisions: Any) -> tuple[Any, ...]:
    return tuple(stats.norm(scale=tau**-0.5) for tau in np.broadcast_to(precisions, 6))


def scaled(law: Callable[[float], Any]) -> tuple[Any, ...]:
    """Return the law of each weight under fan-in, given that at a scale."""
    return tuple(law(inputs**-0.5) for inputs in INPUTS)


AT = [0.5, -1.0, 0.2, 0.0, 1.0, -0.3]
CENTRE = {"layers": [{"bias": np.array(AT[:2]), "kernel": np.reshape(AT[2:], (2, 2))}]}
A_NUMBER_A_WEIGHT = {
    "layers": [{"bias": np.array([1.0, 2.0]), "kernel": np.array([[1.0, 2.0], [3.0, 4.0]])}]
}
PRIORS: dict[str, PriorCase] = {
    "Flat": PriorCase(Flat(), None),
    "Normal": PriorCase(Normal(3.0, "none"), normals(3)),
    "Normal, fan-in": PriorCase(Normal(3.0), normals(3 * INPUTS)),
    "Normal, learned": PriorCase(Normal(learn(3.0)), normals(3 * INPUTS)),
    "Normal, a number a leaf": PriorCase(
        Normal({"layers": [{"bias": 0.5, "kernel": 4.0}]}, "none"), normals([0.5, 0.5, 4, 4, 4, 4])
    ),
    "Normal, a number a weight": PriorCase(
        Normal(A_NUMBER_A_WEIGHT, "none"), normals([1, 2, 1, 2, 3, 4])
    ),
    "LaplacePrior": PriorCase(
        LaplacePrior(0.7), scaled(lambda s: stats.laplace(scale=0.7 * s)), smooth=False
    ),
    "StudentTPrior": PriorCase(
        StudentTPrior(3.5, learn(0.7)), scaled(lambda s: stats.t(3.5, scale=0.7 * s))
    ),
    "SpikeAndSlab": PriorCase(
        SpikeAndSlab(0.1, 1.5, 0.3), scaled(lambda s: MixtureLaw(0.3, 1.5 * s, 0.1 * s))
    ),
    "Horseshoe": PriorCase(
        Horseshoe(learn(0.7)), scaled(lambda s: HorseshoeLaw(0.7 * s)), smooth=False
    ),
    "EachWeight": PriorCase(
        EachWeight(OwnLogistic(), "fan_in"), scaled(lambda s: stats.logistic(scale=s))
    ),
    "Centred": PriorCase(
        Centred(StudentTPrior(3.5, 0.7), CENTRE),
        tuple(stats.t(3.5, at, 0.7 * i**-0.5) for at, i in zip(AT, INPUTS, strict=True)),
    ),
    "ByPath": PriorCase(
        ByPath({"*bias": Normal(3.0), "*": StudentTPrior(3.5, 0.7, "none")}),
        (*normals(3)[:2], *[stats.t(3.5, scale=0.7)] * 4),
    ),
    "GaussianPrior": PriorCase(
        GaussianPrior(CENTRE, DiagonalPrecision(np.arange(1.0, 7.0))),
        tuple(stats.norm(at, 1 / root) for at, root in zip(AT, range(1, 7), strict=True)),
    ),
}
"""Over the weights `PARAMS`."""
SCALES: dict[str, tuple[Any, Any]] = {
    "HalfNormal": (HalfNormal(0.7), stats.halfnorm(scale=0.7)),
    "HalfCauchy": (HalfCauchy(0.7), stats.halfcauchy(scale=0.7)),
    "Gamma": (Gamma(2.5, 0.7), stats.gamma(2.5, scale=1 / 0.7)),
    "InverseGamma": (InverseGamma(2.5, 0.7), stats.invgamma(2.5, scale=0.7)),
    "LogNormal": (LogNormal(0.7, 1.3), stats.lognorm(1.3, scale=0.7)),
}
"""Priors of positive numbers, and their laws in SciPy."""
