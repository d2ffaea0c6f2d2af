"""The scikit-learn face: `BayesianRegressor` and `BayesianClassifier`."""

from posterium.estimators.classifier import BayesianClassifier
from posterium.estimators.regressor import BayesianRegressor
from posterium.estimators.verdicts import ConvergenceWarning, FitFailed

__all__ = ["BayesianClassifier", "BayesianRegressor", "ConvergenceWarning", "FitFailed"]
