"""scikit-learn's own checks, none exempted, for every kind of method with small settings.

In float64 with all rows at every step and none held out, where a weight is as good as a repeated
row. The checks fit targets without noise in few steps, so doubtful verdicts are to be expected.
"""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from posterium import (
    MAP,
    NUTS,
    VI,
    BayesianClassifier,
    BayesianRegressor,
    Ensemble,
    Gaussian,
    Laplace,
    Normal,
)

MODE = MAP(steps=20, learning_rate=0.05)
SMALL = {"precision": "float64", "draws": 8}

doubtful = pytest.mark.filterwarnings("ignore::posterium.estimators.ConvergenceWarning")

QUICK = [
    BayesianRegressor(method="exact"),
    BayesianClassifier(method=MODE, **SMALL),
]
CHAINS = NUTS(warmup=50, draws=100, chains=2)
"""Enough for chains to agree on a well-conditioned posterior, and too few to amplify rounding."""

SETTINGS = [
    {"method": Ensemble(MODE, 2)},
    {"method": Laplace(at=MODE)},
    {"method": VI(steps=20)},
    {"method": CHAINS, "network": "linear", "prior": Normal(10.0, "none")},
]
SLOW = [
    BayesianRegressor(method=MODE, **SMALL),
    *(BayesianRegressor(**settings, **SMALL) for settings in SETTINGS[:-1]),
    BayesianRegressor(**SETTINGS[-1], likelihood=Gaussian(2.0), **SMALL),
    *(BayesianClassifier(**settings, **SMALL) for settings in SETTINGS),
]


@doubtful
@parametrize_with_checks(QUICK)
def test_scikit_learns_checks_pass(estimator, check):
    check(estimator)


@doubtful
@pytest.mark.slow
@parametrize_with_checks(SLOW)
def test_scikit_learns_checks_pass_for_other_methods(estimator, check):
    check(estimator)
