"""Simulation-based calibration of methods, through the public `fit`.

Exact methods must give uniform ranks; approximate ones must miss, and in the known direction.
"""

import functools
from dataclasses import replace

import numpy as np
import pytest
from tests.validation import calibration
from tests.validation.problems import (
    DRAWS,
    FREE_NOISE,
    KNOWN_NOISE,
    LOGISTIC,
    NETWORK,
    SIMULATIONS,
    kept,
)
from tests.validation.record import recorded

from posterium import (
    HMC,
    MAP,
    MLP,
    NUTS,
    SWAG,
    VI,
    AdjustedMCLMC,
    ChEES,
    Ensemble,
    Exact,
    Laplace,
    MCDropout,
    ParallelTempering,
    RandomisedPrior,
)

LEAST_ESS = 200
CORRELATED = slice(5, 7)
"""Which of what is asked of a linear model are its correlated weights."""
COVERAGE = 0.9

POLISHED = MAP(steps=1, polish="newton")
BOUND = {"steps": 1500, "estimator": "sigma_points", "average": 0.2, "assess": 0}
CHAIN = {"warmup": 300, "draws": DRAWS, "chains": 1}

LINEAR = {
    "Exact": (KNOWN_NOISE, Exact()),
    "Laplace": (KNOWN_NOISE, Laplace()),
    "full-rank VI": (KNOWN_NOISE, VI("full", **BOUND)),
    "ensemble of randomised priors": (KNOWN_NOISE, Ensemble(RandomisedPrior(POLISHED), DRAWS)),
    "NUTS": (FREE_NOISE, NUTS(thin=4, modes=0, **CHAIN)),
    "HMC": (FREE_NOISE, HMC(thin=4, modes=0, **CHAIN)),
    "AdjustedMCLMC": (FREE_NOISE, AdjustedMCLMC(thin=5, **CHAIN)),
    "ParallelTempering": (
        FREE_NOISE,
        ParallelTempering(warmup=100, draws=DRAWS // 5, chains=5, rungs=6, leapfrog=8),
    ),
    "ChEES": (FREE_NOISE, ChEES(warmup=300, draws=DRAWS // 15, chains=15, thin=5, modes=0)),
    "NUTS of low rank": (FREE_NOISE, NUTS(thin=4, modes=0, mass="low_rank", **CHAIN)),
}
"""Of S1: exact on the linear-Gaussian model."""
NON_LINEAR = {
    "NUTS, logistic regression": (LOGISTIC, NUTS(thin=4, modes=0, **CHAIN)),
    "NUTS, two hidden units": (NETWORK, NUTS(thin=8, modes=0, **CHAIN)),
}
"""Of S2."""
DROPPED = MLP(hidden=(20,), activation="tanh", dropout=0.1)
APPROXIMATE = {
    "mean-field VI": (KNOWN_NOISE, VI(**BOUND)),
    "SWAG": (
        KNOWN_NOISE,
        SWAG(rank=10, steps=400, batch_size=3, learning_rate=0.1, at=POLISHED),
    ),
    "MC dropout": (
        replace(NETWORK, model=replace(NETWORK.model, network=DROPPED)),
        MCDropout(MAP(steps=1000, learning_rate=0.03)),
    ),
}
"""Of S3."""


@functools.cache
def simulated(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return ranks and effective draws of a case."""
    return kept(*(LINEAR | NON_LINEAR | APPROXIMATE)[name])


def check_uniform(goal: str, name: str) -> None:
    """Record how uniform the ranks of a case are."""
    with recorded(goal, name, SIMULATIONS) as figures:
        ranks, ess = simulated(name)
        found = calibration.uniformity(ranks, DRAWS)
        figures |= {"N": len(ranks)} | calibration.worst(found) | {"ESS": float(ess.min())}
        assert ess.min() >= LEAST_ESS
        assert calibration.is_uniform(found), found


@pytest.mark.slow
@pytest.mark.parametrize("name", LINEAR)
def test_the_ranks_of_an_exact_method_are_uniform(name):
    check_uniform("S1", name)


@pytest.mark.slow
@pytest.mark.parametrize("name", LINEAR)
def test_the_intervals_of_an_exact_method_cover(name):
    with recorded("S11", name, SIMULATIONS) as figures:
        ranks, _ = simulated(name)
        covered = calibration.coverage(ranks, DRAWS, COVERAGE)
        figures |= {"N": len(ranks), "least": float(covered.min()), "most": float(covered.max())}
        slack = 4 * np.sqrt(COVERAGE * (1 - COVERAGE) / len(ranks))
        assert (np.abs(covered - COVERAGE) < slack).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", NON_LINEAR)
def test_the_ranks_of_nuts_are_uniform_on_models_that_are_not_linear(name):
    check_uniform("S2", name)


@pytest.mark.slow
@pytest.mark.parametrize("name", APPROXIMATE)
def test_an_approximation_misses_in_the_known_direction(name):
    """All draw too narrowly; by mean-field Gaussians, correlated weights at least."""
    with recorded("S3", name, SIMULATIONS) as figures:
        ranks, _ = simulated(name)
        found = calibration.uniformity(ranks, DRAWS)
        curve = [calibration.coverage(ranks, DRAWS, level).mean() for level in calibration.LEVELS]
        figures |= {"N": len(ranks)} | calibration.worst(found)
        figures["coverage at 10 to 90 %"] = [round(100 * float(share)) for share in curve]
        narrow = slice(None) if name != "mean-field VI" else CORRELATED
        assert (found["square_errors"][narrow] > calibration.MOST_ERRORS).all(), found
