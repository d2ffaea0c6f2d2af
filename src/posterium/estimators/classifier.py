"""Classification as a scikit-learn estimator."""

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from posterium.estimators.base import BayesianEstimator, target_name


class BayesianClassifier(ClassifierMixin, BayesianEstimator):
    """Classification with probabilities that can be trusted, as a scikit-learn estimator.

    Parameters are those of `BayesianRegressor`; the likelihood is ``"bernoulli"`` for two classes
    and ``"categorical"`` for more, or ``"ordinal"`` where labels are numbers whose order has a
    meaning. The labels, of any type, are in `classes_`.
    """

    _task = "classification"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to inputs X (n, d) and labels y (n,) of any type; return the estimator."""
        self.target_name_ = target_name(y)
        x, y, weight = self._read(X, y, sample_weight)
        check_classification_targets(y)
        self.classes_, index = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"Expected at least 2 classes; y holds one class only ({self.classes_[0]!r}). "
                "Add rows of another class."
            )
        return self._fit(x, index.astype(np.int32), weight, tuple(self.classes_.tolist()))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the predictive probabilities, (n, c), in the order of `classes_`."""
        return self.predict_dist(X).probs

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable labels, (n,)."""
        best = self.predict_dist(X).label
        return self.classes_[best]

    def log_score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean log predictive probability of the labels in nats; higher is better."""
        found, y = self.predict_dist(X), np.asarray(y)
        index = np.searchsorted(self.classes_, y)
        unknown = self.classes_[np.minimum(index, len(self.classes_) - 1)] != y
        if np.any(unknown):
            raise ValueError(
                f"Expected labels among {', '.join(map(str, self.classes_[:8]))}; got "
                f"{y[unknown][0]}. Leave out the rows of classes that were not fitted."
            )
        return float(np.average(found.log_prob(index), weights=sample_weight))
