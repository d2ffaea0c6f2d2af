"""The case lists: one line buys a new method, likelihood, prior or network its battery of tests."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium import (
    IVON,
    MAP,
    MCLMC,
    MLE,
    MLP,
    PBP,
    SWAG,
    VI,
    AdjustedMCLMC,
    Bernoulli,
    Bootstrap,
    Categorical,
    ChEES,
    Ensemble,
    Evidence,
    Exact,
    Fourier,
    Functions,
    Gaussian,
    HeteroscedasticGaussian,
    HeteroscedasticLaplace,
    HeteroscedasticStudentT,
    Laplace,
    LaplaceNoise,
    Linear,
    MCDropout,
    MixtureOfGaussians,
    Model,
    NegativeBinomial,
    Normal,
    OnlineEvidence,
    Ordinal,
    Poisson,
    Polynomial,
    Quantile,
    RandomisedPrior,
    Snapshot,
    StudentT,
    Subset,
    Tempered,
    Weibull,
    as_data,
    learn,
)
from posterium.combinators.start import StartFrom
from posterium.methods.hmc import HMC
from posterium.methods.nuts import NUTS
from posterium.methods.parallel_tempering import ParallelTempering

NOISE, PRECISION = 0.5, 2.0
RNG = np.random.default_rng(11)
MIX = np.array([[1.0, 0.8], [0.0, 0.6]])
X = RNG.normal(size=(19, 2)) @ MIX
Y = X @ [1.0, -0.7] + 0.3 + NOISE * RNG.normal(size=19)
DATA = as_data(X, Y)
PROBE = RNG.normal(size=(9, 2))
KEY = jax.random.key(1)
LINEAR = Model(Linear(), Normal(PRECISION, "none"), Gaussian(NOISE))
FREE = Model(Linear(), Normal(learn(PRECISION), "none"), Gaussian(learn(NOISE)))
DESIGN, PROBED = (np.column_stack([np.ones(len(x)), x]) for x in (X, PROBE))


def exact_moments(precision: float = PRECISION) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean (3,) and precision matrix (3, 3) of the posterior of the linear model."""
    matrix = precision * np.eye(3) + DESIGN.T @ DESIGN / NOISE**2
    return np.linalg.solve(matrix, DESIGN.T @ Y / NOISE**2), matrix


def full(matrix: np.ndarray) -> np.ndarray:
    return np.linalg.inv(matrix)


def factorised(matrix: np.ndarray) -> np.ndarray:
    return np.diag(1 / np.diag(matrix))


def no_spread(matrix: np.ndarray) -> np.ndarray:
    return np.zeros_like(matrix)


@dataclass(frozen=True)
class MethodCase:
    """A method on the linear-Gaussian model, and the answer it must give.

    Parameters
    ----------
    method
        Small enough for a test.
    covers
        Public names this case stands for.
    covariance
        Maps the exact precision matrix to the covariance this method should find.
    mean_error
        Largest error of a predicted mean, in exact posterior sds.
    variance_error
        Largest relative error of a predicted variance.
    model
        The model it is fitted to.
    known
        Whether the answer above applies (not where hyper-parameters are tuned).
    """

    method: Any
    covers: tuple[str, ...]
    covariance: Callable[[np.ndarray], np.ndarray] = full
    mean_error: float = 1e-8
    variance_error: float = 1e-8
    model: Model = LINEAR
    known: bool = True
    precision: float = PRECISION


POLISHED = MAP(steps=1, polish="newton")
ESS = 400
"""Effective draws that the samplers' cases reach at least (checked by their verdict)."""
MONTE_CARLO = {"mean_error": 5 / ESS**0.5, "variance_error": 5 * (2 / ESS) ** 0.5}

METHODS: dict[str, MethodCase] = {
    "exact": MethodCase(Exact(), ("Exact",)),
    "evidence": MethodCase(Evidence(Exact()), ("Evidence",), model=FREE, known=False),
    "online evidence": MethodCase(
        OnlineEvidence(Laplace(at=MAP(steps=100, polish="newton")), every=10),
        ("OnlineEvidence",),
        model=FREE,
        known=False,
    ),
    "map": MethodCase(POLISHED, ("MAP",), no_spread, mean_error=1e-4),
    "mle": MethodCase(
        MLE(steps=1, polish="newton"), ("MLE",), no_spread, mean_error=1e-4, precision=0.0
    ),
    "ensemble": MethodCase(Ensemble(POLISHED, 2), ("Ensemble",), no_spread, mean_error=1e-4),
    "bootstrap": MethodCase(Bootstrap(POLISHED), ("Bootstrap",), known=False),
    "randomised prior": MethodCase(
        Ensemble(RandomisedPrior(POLISHED), ESS), ("RandomisedPrior",), full, **MONTE_CARLO
    ),
    "snapshot": MethodCase(Snapshot(cycles=3, steps=100, batch_size=8), ("Snapshot",), known=False),
    "mc dropout": MethodCase(
        MCDropout(MAP(steps=300)),
        ("MCDropout",),
        model=Model(MLP(hidden=(), input_dropout=0.1), Normal(PRECISION, "none"), Gaussian(NOISE)),
        known=False,
    ),
    "swag": MethodCase(
        SWAG(rank=10, steps=400, batch_size=8, learning_rate=0.01, at=POLISHED),
        ("SWAG", "SWA"),
        known=False,
    ),
    "laplace": MethodCase(Laplace(), ("Laplace",)),
    "laplace diagonal": MethodCase(Laplace(structure="diagonal"), ("Laplace",), factorised),
    "laplace kronecker": MethodCase(
        Laplace(structure="kronecker", at=POLISHED), ("Laplace", "KroneckerCurvature")
    ),
    "laplace low rank": MethodCase(
        Laplace(structure="low_rank", at=POLISHED), ("Laplace", "LowRankCurvature")
    ),
    "laplace functional": MethodCase(
        Laplace(structure="functional", at=POLISHED), ("Laplace", "FunctionalCurvature")
    ),
    "vi": MethodCase(
        VI(steps=1500, estimator="sigma_points", average=0.2), ("VI",), factorised, 0.02, 0.02
    ),
    "vi full": MethodCase(
        VI(family="full", steps=1500, estimator="sigma_points", average=0.2),
        ("VI",),
        full,
        0.02,
        0.02,
    ),
    "ivon": MethodCase(
        IVON(1500, 0.3, estimator="sigma_points", betas=(0.9, 0.99), assess=0),
        ("IVON",),
        factorised,
        0.02,
        0.02,
    ),
    "pbp": MethodCase(
        PBP(epochs=3),
        ("PBP",),
        model=Model(MLP(hidden=()), Normal(learn(PRECISION), "none"), Gaussian(learn(NOISE))),
        known=False,
    ),
    "nuts": MethodCase(NUTS(warmup=200, draws=1000), ("NUTS",), full, **MONTE_CARLO),
    "hmc": MethodCase(HMC(warmup=200, draws=1000), ("HMC",), full, **MONTE_CARLO),
    "chees": MethodCase(ChEES(warmup=200, draws=250, chains=16), ("ChEES",), full, **MONTE_CARLO),
    "mclmc": MethodCase(MCLMC(warmup=1000, draws=1000), ("MCLMC",), full, **MONTE_CARLO),
    "adjusted mclmc": MethodCase(
        AdjustedMCLMC(warmup=300, draws=1000), ("AdjustedMCLMC",), full, **MONTE_CARLO
    ),
    "parallel tempering": MethodCase(
        ParallelTempering(warmup=100, draws=500, chains=8, rungs=6, leapfrog=8),
        ("ParallelTempering",),
        full,
        **MONTE_CARLO,
    ),
    "start from": MethodCase(StartFrom(Laplace(at=None), POLISHED), ("StartFrom",)),
    "tempered": MethodCase(Tempered(Laplace(), 1.0), ("Tempered", "cold_posterior_curve")),
    "subset": MethodCase(Subset(Laplace(at=None), "coefficients", rest=POLISHED), ("Subset",)),
}
"""By name; at least one case for every public method and combinator."""


@dataclass(frozen=True)
class LikelihoodCase:
    """A likelihood at some outputs f (n, k), and how many columns or classes y has.

    Where it is not `smooth`, slopes jump and the Hessian says nothing; where it is not `proper`, it
    is no density of y.
    """

    likelihood: Any
    f: np.ndarray
    targets: int = 1
    smooth: bool = True
    proper: bool = True


RAW = np.linspace(-1.5, 1.2, 6)
LIKELIHOODS: dict[str, LikelihoodCase] = {
    "Gaussian": LikelihoodCase(Gaussian(0.7), RAW[:3, None]),
    "Gaussian, two columns": LikelihoodCase(Gaussian(np.array([0.7, 1.3])), RAW.reshape(3, 2), 2),
    "Gaussian, learned": LikelihoodCase(Gaussian(learn(0.4)), RAW[:3, None]),
    "HeteroscedasticGaussian": LikelihoodCase(HeteroscedasticGaussian(0.1), RAW.reshape(3, 2)),
    "Bernoulli": LikelihoodCase(Bernoulli(), RAW[:3, None], 2),
    "Categorical": LikelihoodCase(Categorical(), RAW.reshape(2, 3), 3),
    "Ordinal": LikelihoodCase(Ordinal(learn(np.array([0.5, 1.5]))), RAW[:3, None], 4),
    "Ordinal, two classes": LikelihoodCase(Ordinal(np.ones(0)), RAW[:3, None], 2),
    "StudentT": LikelihoodCase(StudentT(0.7, learn(9.0)), RAW[:3, None]),
    "StudentT, two columns": LikelihoodCase(
        StudentT(np.array([0.7, 1.3]), np.array([9.0, 30.0])), RAW.reshape(3, 2), 2
    ),
    "HeteroscedasticStudentT": LikelihoodCase(
        HeteroscedasticStudentT(0.1, 12.0), RAW.reshape(3, 2)
    ),
    "LaplaceNoise": LikelihoodCase(LaplaceNoise(0.7), RAW[:3, None], smooth=False),
    "HeteroscedasticLaplace": LikelihoodCase(
        HeteroscedasticLaplace(0.1), RAW.reshape(3, 2), smooth=False
    ),
    "Quantile, one level": LikelihoodCase(Quantile(0.3, 0.4), RAW[:3, None], smooth=False),
    "Quantile": LikelihoodCase(
        Quantile((0.1, 0.5, 0.8), 0.4), RAW.reshape(2, 3), smooth=False, proper=False
    ),
    "MixtureOfGaussians": LikelihoodCase(MixtureOfGaussians(2, 0.1), RAW.reshape(1, 6)),
    "Poisson": LikelihoodCase(Poisson(3.0), RAW[:3, None]),
    "Poisson, two columns": LikelihoodCase(Poisson(np.array([3.0, 1.0])), RAW.reshape(3, 2), 2),
    "NegativeBinomial": LikelihoodCase(NegativeBinomial(learn(0.4), 3.0), RAW[:3, None]),
    "Weibull": LikelihoodCase(Weibull(learn(1.7), 2.0), RAW[:3, None], 2),
}


def _start(key: jax.Array, x: jax.Array) -> dict[str, jax.Array]:
    return {"w": jax.random.normal(key, (x.shape[1], 1)), "b": jnp.zeros(1)}


def _forward(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    return jnp.tanh(x @ params["w"]) + params["b"][None, :]


NETWORKS: dict[str, Any] = {
    "MLP": MLP(hidden=(3, 3)),
    "MLP, linear": MLP(hidden=()),
    "MLP, two outputs": MLP(2, (3,), "tanh"),
    "MLP, residual": MLP(1, (3, 3), "silu", residual=True),
    "MLP, layer norm": MLP(1, (4,), "gelu", layer_norm=True),
    "MLP, no bias": MLP(1, (3,), "softplus", bias=False),
    "MLP, dropout": MLP(1, (3,), dropout=0.2),
    "MLP, sigmoid": MLP(1, (3,), "sigmoid"),
    "Functions": Functions(_start, _forward),
    "Linear": Linear(),
    "Linear, Polynomial": Linear(Polynomial(3), 2),
    "Linear, Fourier": Linear(Fourier(5)),
}
