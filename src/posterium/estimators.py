"""The scikit-learn face: `BayesianRegressor` and `BayesianClassifier`.

Both standardise inputs (and a numeric target), build the model, call `fit`, and hand predictions
back in the user's units and labels.
"""

import os
import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets

# pyrefly: ignore[missing-module-attribute]
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from posterium.combinators import catalogue
from posterium.model.likelihood import LEAST_NOISE
from posterium.posterior import store
from posterium.posterior.fit import Fit
from posterium.tables.fitted import Fitted, fit_table
from posterium.tables.load import load
from posterium.tables.scaling import noise_floor


class ConvergenceWarning(UserWarning):
    """A fit whose verdict is ``warned``."""


class FitFailed(RuntimeError):
    """A fit whose verdict is ``failed``."""


class _BayesianEstimator(BaseEstimator):
    """What both estimators share."""

    _task: str
    n_features_in_: int
    classes_: np.ndarray

    def __init__(
        self,
        *,
        method: Any = "default",
        network: Any = None,
        prior: Any = None,
        likelihood: Any = None,
        standardise: bool = True,
        draws: int | None = None,
        precision: str | None = None,
        random_state: Any = 0,
        checkpoint: str | None = None,
        verbose: int = 0,
    ) -> None:
        self.method = method
        self.network = network
        self.prior = prior
        self.likelihood = likelihood
        self.standardise = standardise
        self.draws = draws
        self.precision = precision
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.verbose = verbose

    def _fit(self, x: np.ndarray, y: np.ndarray, classes: tuple[Any, ...], weight: Any) -> Self:
        weight = _check_sample_weight(weight, x, dtype=np.float64, ensure_non_negative=True)
        kept = weight > 0
        x, y, weight = x[kept], y[kept], weight[kept]
        method, model = catalogue.resolve(
            self._task, self.method, self.network, self.prior, self.likelihood,
            rows=len(x), targets=len(classes) or y.reshape(len(y), -1).shape[1],
            floor=LEAST_NOISE if classes else noise_floor(y, weight, self.standardise),
        )  # fmt: skip
        self.fitted_ = fit_table(
            method, model, x, y, weight=weight, classes=classes, standardise=self.standardise,
            seed=_seed(self.random_state), draws=self.draws, precision=self.precision,
            checkpoint=self.checkpoint, progress=self.verbose > 0,
        )  # fmt: skip
        _announce(self.fitted_.fit)
        return self

    @classmethod
    def load(cls, path: str | os.PathLike[str], **externals: Any) -> Self:
        """Return the fitted estimator of a file that `save`, or the command line, wrote.

        Its settings are the defaults; what was fitted is in the file. A network, prior or
        likelihood of one's own is given by name, ``load(path, network=...)``.
        """
        contents = load(path, **externals)
        found = contents.get("model") if isinstance(contents, dict) else None
        task = "classification" if getattr(found, "classes", ()) else "regression"
        if not isinstance(found, Fitted) or task != cls._task:
            raise ValueError(
                f"Expected a model for {cls._task} at {path}; got "
                f"{'one for ' + task if isinstance(found, Fitted) else 'another file'}. "
                "Use the estimator of that task, or posterium.load for other files."
            )
        self = cls()
        self.fitted_, self.n_features_in_ = found, len(found.inputs.shift)
        if found.classes:
            self.classes_ = np.array(found.classes)
        return self

    @property
    def fit_(self) -> Fit:
        """The fit behind this estimator, in standardised units."""
        check_is_fitted(self, "fitted_")
        return self.fitted_.fit

    @property
    def verdict_(self) -> Any:
        """Whether to trust the fit."""
        return self.fit_.verdict

    @property
    def history_(self) -> dict[str, Any]:
        """What every phase recorded."""
        return self.fit_.info

    @property
    def log_evidence_(self) -> float:
        """Log evidence in nats of the standardised data; NaN where the method has none."""
        return self.fit_.log_evidence

    def predict_dist(self, X: Any) -> Any:
        """Return the predictive distribution at inputs X (n, d), in the target's units.

        A `RegressionPredictive` or a `ClassPredictive`.
        """
        check_is_fitted(self, "fitted_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return self.fitted_.predict(X)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the fitted model to a file.

        ``load(path)["model"].predict(X)`` then gives the predictive distribution at inputs X.
        """
        check_is_fitted(self, "fitted_")
        store.save({"model": self.fitted_}, path, overwrite=overwrite)


def _seed(random_state: Any) -> int:
    """Return a seed from an integer, None, or a NumPy random state."""
    if isinstance(random_state, int | np.integer):
        if random_state < 0:
            raise ValueError(f"random_state must not be negative; got {random_state}.")
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _announce(result: Fit) -> None:
    """Warn of a doubtful fit, raise for a failed one."""
    if result.verdict.status == "failed":
        raise FitFailed(str(result.verdict))
    if result.verdict.status == "warned":
        warnings.warn(str(result.verdict), ConvergenceWarning, stacklevel=4)


class BayesianRegressor(RegressorMixin, _BayesianEstimator):
    """Regression with uncertainty that can be trusted, as a scikit-learn estimator.

    Parameters
    ----------
    method
        A name (`posterium methods` lists them) or a method such as ``Ensemble(MAP(), 5)``.
    network
        None for a multi-layer perceptron with the outputs the likelihood needs (features that are
        linear in the weights for ``"exact"``), or a network.
    prior
        None for a Gaussian whose precision is scaled by fan-in, or a prior.
    likelihood
        None for what suits the method; ``"gaussian"`` (one noise sd), ``"heteroscedastic"``
        (predicted for each row), or a likelihood. Its scale is in units of the standardised target.
    standardise
        Bring inputs and target to mean 0 and sd 1 first. Priors and noise scales then are in
        these units; predictions come back in the target's own.
    draws
        Functions drawn for a prediction; None for the method's own number.
    precision
        ``"float32"``, ``"float64"``, or None for the method's own.
    random_state
        Seed, None, or a NumPy random state.
    checkpoint
        Folder for checkpoints, from which a killed fit goes on.
    verbose
        1 shows a progress bar.

    Examples
    --------
    >>> import numpy as np
    >>> from posterium import BayesianRegressor
    >>> x = np.linspace(0, 1, 30)[:, None]
    >>> y = 2 * x[:, 0] + 1 + 0.1 * np.cos(50 * x[:, 0])
    >>> model = BayesianRegressor(method="exact").fit(x, y)
    >>> mean, sd = model.predict([[0.5]], return_std=True)
    >>> round(float(mean[0]), 1)
    2.0
    """

    _task = "regression"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to inputs X (n, d) and targets y, (n,) or (n, k); return the estimator."""
        X, y = validate_data(
            self, X, y, dtype=np.float64, y_numeric=True, multi_output=True, ensure_min_samples=2
        )
        return self._fit(X, np.asarray(y, np.float64), (), sample_weight)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Return the predictive mean, and with `return_std` its sd with observation noise."""
        found = self.predict_dist(X)
        return (found.mean, found.sd) if return_std else found.mean

    def predict_interval(self, X: Any, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Return the central interval that holds a new target with this probability."""
        return self.predict_dist(X).interval(level)

    def log_score(self, X: Any, y: Any) -> float:
        """Return the mean log predictive density in nats, in units of the target."""
        return float(np.mean(self.predict_dist(X).log_prob(np.asarray(y, np.float64))))


class BayesianClassifier(ClassifierMixin, _BayesianEstimator):
    """Classification with probabilities that can be trusted, as a scikit-learn estimator.

    Parameters are those of `BayesianRegressor`; the likelihood is ``"bernoulli"`` for two classes
    and ``"categorical"`` for more.
    """

    _task = "classification"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to inputs X (n, d) and labels y (n,) of any type; return the estimator."""
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, index = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"Expected at least 2 classes; y holds one class only ({self.classes_[0]!r}). "
                "Add rows of another class."
            )
        return self._fit(X, index.astype(np.int32), tuple(self.classes_.tolist()), sample_weight)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the predictive probabilities, (n, c), in the order of `classes_`."""
        return self.predict_dist(X).probs

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable labels, (n,)."""
        return self.classes_[self.predict_dist(X).label]

    def log_score(self, X: Any, y: Any) -> float:
        """Return the mean log predictive probability of the labels in nats."""
        found, y = self.predict_dist(X), np.asarray(y)
        index = np.searchsorted(self.classes_, y)
        unknown = self.classes_[np.minimum(index, len(self.classes_) - 1)] != y
        if np.any(unknown):
            raise ValueError(
                f"Expected labels among {', '.join(map(str, self.classes_[:8]))}; got "
                f"{y[unknown][0]}. Leave out the rows of classes that were not fitted."
            )
        return float(np.mean(found.log_prob(index)))
