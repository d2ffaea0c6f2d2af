"""What both estimators share: parameters, inputs, the fit, the file."""

import os
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length, check_random_state, check_X_y

# pyrefly: ignore[missing-module-attribute]
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from posterium.combinators.resolve import resolve
from posterium.estimators.files import contents, restored
from posterium.estimators.inputs import (
    checked,
    known,
    numbers_expected,
    reads_as_table,
    table_of,
)
from posterium.estimators.nested import JOINT, changed, inner, is_nested
from posterium.estimators.verdicts import announce
from posterium.model.likelihoods.base import LEAST_NOISE
from posterium.posterior import store
from posterium.posterior.fit import Fit, Verdict
from posterium.tables.features import Features, fit_features
from posterium.tables.fitted import Fitted, fit_table
from posterium.tables.load import load
from posterium.tables.scaling import mean_count, noise_floor

TEXT = (
    "Give text columns in a frame of pandas or polars, where they become categories; text as y is "
    "for BayesianClassifier."
)


class BayesianEstimator(BaseEstimator):
    """What both estimators share.

    Parameters are those of `BayesianRegressor`.
    """

    _task: str
    n_features_in_: int
    classes_: np.ndarray
    feature_names_in_: np.ndarray
    features_: Features | None

    def __init__(
        self,
        *,
        method: Any = "default",
        network: Any = None,
        prior: Any = None,
        likelihood: Any = None,
        standardise: bool = True,
        missing: str = "refuse",
        unseen: str = "refuse",
        categorical: Any = (),
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
        self.missing = missing
        self.unseen = unseen
        self.categorical = categorical
        self.draws = draws
        self.precision = precision
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags."""
        tags: Any = super().__sklearn_tags__()  # pyrefly: ignore[missing-attribute]
        tags.input_tags.allow_nan = self.missing == "impute"
        return tags

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name; deep, the fields of records too (``method__steps``)."""
        params = super().get_params(deep=deep)
        for name, value in list(params.items()) if deep else ():
            if is_nested(value):
                held = inner(value)
                params |= {name + JOINT + path: part for path, part in held.items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, and fields of records by names such as ``method__of__steps``.

        Records do not change: a parameter gets a copy with another field. A method that is given
        by a name has no fields; give a record, such as ``MAP()``, to set them.
        """
        own = self.get_params(deep=False)
        for path, value in sorted(params.items(), key=lambda item: item[0].count(JOINT)):
            name, _, rest = path.partition(JOINT)
            if not rest or name not in own:
                super().set_params(**{path: value})
                continue
            record = getattr(self, name)
            if not is_nested(record):
                raise ValueError(
                    f"Invalid parameter {path!r}: expected {name} to be a record, such as "
                    f"method=MAP(); it is {record!r}, which has no fields. Set {name} to a record."
                )
            setattr(self, name, changed(record, rest, value))
        return self

    def _read(
        self, X: Any, y: Any, weight: Any, **checks: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return inputs (n, d), targets and weights of the rows that are fitted.

        Sets `n_features_in_`, `feature_names_in_`, `features_` and `notes_`.
        """
        checks["ensure_min_samples"] = 2
        if not reads_as_table(X, self.missing, self.categorical):
            self.features_, self.notes_ = None, ()
            with numbers_expected(TEXT):
                x, y = validate_data(self, X, y, dtype=np.float64, **checks)
            weight, kept = _weights(weight, x)
            return x[kept], y[kept], weight[kept]
        with numbers_expected(TEXT):
            X = checked(X)
        validate_data(self, X, y, skip_check_array=True)
        table = table_of(X, None)
        check_consistent_length(X, y)
        told = known(y) if self.missing != "refuse" else np.ones(len(table), bool)
        weight, kept = _weights(weight, np.zeros((len(table), 1)))
        kept &= told
        with numbers_expected(TEXT):
            _, y = check_X_y(np.zeros((kept.sum(), 1)), np.asarray(y)[kept], **checks)
        table, weight = table.take(kept), weight[kept]
        self.features_, notes = fit_features(
            table, table.names, missing=self.missing, unseen=self.unseen,
            categorical=self.categorical,
        )  # fmt: skip
        full = self.features_.complete(table)
        x = self.features_.encode(table.take(full))
        if left_out := int((~full).sum() + (~told).sum()):
            notes.append(f"Rows left out for missing cells: {left_out:,}.")
        self.notes_ = tuple(notes)
        return x, y[full], weight[full]

    def _inputs(self, X: Any) -> np.ndarray:
        """Return inputs to predict at, (n, d), encoded as when fitting."""
        check_is_fitted(self, "fitted_")
        with numbers_expected(TEXT):
            if self.features_ is None:
                return validate_data(self, X, reset=False, dtype=np.float64)
            X = checked(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        return self.features_.encode(table_of(X, self.features_.sources))

    def _fit(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, classes: tuple) -> Self:
        """Fit inputs (n, d), targets and weights that are checked; warn or raise by the verdict."""
        if self.verbose:
            for note in self.notes_:
                print(note)
        method, model = resolve(
            self._task, self.method, self.network, self.prior, self.likelihood,
            rows=len(x), targets=len(classes) or y.reshape(len(y), -1).shape[1],
            floor=LEAST_NOISE if classes else noise_floor(y, weight, self.standardise),
            mean=1.0 if classes else mean_count(y, weight),
        )  # fmt: skip
        self.fitted_ = fit_table(
            method, model, x, y, weight=weight, classes=classes, standardise=self.standardise,
            seed=_seed(self.random_state), draws=self.draws, precision=self.precision,
            checkpoint=self.checkpoint, progress=self.verbose > 0,
        )  # fmt: skip
        self.n_samples_fit_ = len(x)
        announce(self.fitted_.fit, stacklevel=3)
        return self

    @property
    def fit_(self) -> Fit:
        """The fit behind this estimator, in standardised units."""
        check_is_fitted(self, "fitted_")
        return self.fitted_.fit

    @property
    def verdict_(self) -> Verdict:
        """Whether to trust the fit."""
        return self.fit_.verdict

    @property
    def history_(self) -> dict[str, Any]:
        """What every phase recorded, ``{phase: {quantity: array over steps}}``."""
        return self.fit_.info

    @property
    def log_evidence_(self) -> float:
        """Log evidence in nats of the standardised data; NaN where the method has none."""
        return self.fit_.log_evidence

    def predict_dist(self, X: Any) -> Any:
        """Return the predictive distribution at inputs X (n, d), in the target's units.

        A `RegressionPredictive` or a `ClassPredictive`: everything a prediction can be asked for,
        in bounded memory.
        """
        x = self._inputs(X)
        return self.fitted_.predict(x)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the fitted model to a file, from which `load` gives the estimator back.

        The file of an estimator fitted on a frame knows its columns by name, so that
        `posterium predict` takes it as well; several targets are for Python only.
        """
        check_is_fitted(self, "fitted_")
        store.save(contents(self), path, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **externals: Any) -> Self:
        """Return the fitted estimator of a file that `save`, or the command line, wrote.

        Its parameters are the defaults; what was fitted is in the file. A network, prior or
        likelihood of one's own is given by name, ``load(path, network=...)``.
        """
        held = load(path, **externals)
        found = held.get("model") if isinstance(held, dict) else None
        task = "classification" if getattr(found, "classes", ()) else "regression"
        if not isinstance(found, Fitted) or task != cls._task:
            raise ValueError(
                f"Expected a model for {cls._task} at {path}; got "
                f"{'one for ' + task if isinstance(found, Fitted) else 'another file'}. "
                "Use the estimator of that task, or posterium.load for other files."
            )
        return restored(cls(), held)


def _weights(weight: Any, like: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of all rows, (n,), and which rows count."""
    weight = _check_sample_weight(weight, like, dtype=np.float64, ensure_non_negative=True)
    return weight, weight > 0


def _seed(random_state: Any) -> int:
    """Return a seed from an integer, None, or a NumPy random state."""
    if isinstance(random_state, int | np.integer):
        if random_state < 0:
            raise ValueError(f"random_state must not be negative; got {random_state}.")
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def target_name(y: Any) -> str:
    """Return the name of a series, or "y"."""
    name = getattr(y, "name", None)
    return name if isinstance(name, str) and name else "y"
