"""Regression as a scikit-learn estimator."""

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import check_random_state

from posterium.estimators.base import BayesianEstimator, target_name
from posterium.posterior.joint import MAX_BYTES


class BayesianRegressor(RegressorMixin, BayesianEstimator):
    """Regression with uncertainty that can be trusted, as a scikit-learn estimator.

    Parameters
    ----------
    method
        A name (`posterium methods` lists them) or a method such as ``Ensemble(MAP(), 5)``.
    network
        None for what suits the method, ``"mlp"``, ``"linear"``, or a network. An `MLP` or a
        `Linear` gets as many outputs as likelihood and target need.
    prior
        None for a Gaussian whose precision is scaled by fan-in, ``"normal"`` (that same),
        ``"laplace"``, ``"student_t"``, ``"spike_and_slab"``, ``"horseshoe"``, ``"flat"``, a prior,
        or an earlier fit with a Gaussian posterior.
    likelihood
        None for what suits the method; a name, such as ``"gaussian"`` (one noise sd a target),
        ``"heteroscedastic"`` (predicted for each row), ``"student_t"``, ``"quantile"``,
        ``"poisson"`` or ``"weibull"``; or a likelihood. Its scale is in units of the standardised
        target; counts keep their unit. For ``"weibull"`` y has two columns, the time and whether
        its event was seen (1) or cut off (0).
    standardise
        Bring inputs and target to mean 0 and sd 1 first (inputs of two values lie 2 apart,
        however rare one is). Priors and noise scales then are in these units; predictions come
        back in the target's own.
    missing
        What to do about missing cells of X: ``"refuse"``, ``"drop"`` their rows when fitting, or
        ``"impute"`` (the median or the most frequent value, with a column that marks the gaps).
        Rows without a target are left out under both.
    unseen
        What to do about categories that were not fitted: ``"refuse"``, or ``"other"``, one with
        the rare ones.
    categorical
        Names of columns that are categories whatever they hold; columns of text are anyway.
    draws
        Functions drawn for a prediction; None for the method's own number.
    precision
        ``"float32"``, ``"float64"``, or None for the method's own.
    random_state
        Seed, None, or a NumPy random state.
    checkpoint
        Folder for checkpoints, from which a killed fit goes on.
    verbose
        1 shows a progress bar, and what was odd about the columns of a frame.

    Attributes
    ----------
    fit_, verdict_, history_, log_evidence_
        The fit in standardised units, whether to trust it, what each phase recorded, and its log
        evidence in nats (NaN where the method has none).
    n_features_in_, feature_names_in_
        Columns of X, and their names where they had any.
    features_
        How the columns of a frame become inputs; None for arrays.
    notes_
        What was odd about the columns of a frame, in words.

    Notes
    -----
    X is an array of numbers, or a frame of pandas or polars with columns of numbers, booleans and
    text; frames with text and missing cells need the extra ``tables``. Several targets, y of shape
    (n, k), share the network; each has a noise of its own, and they are independent given it.

    A row of weight 2 counts as two equal rows. With a fixed seed that is so to rounding where a
    method goes over all rows at each step and holds none out; minibatches and early stopping choose
    rows by number, long chains of samplers amplify rounding until their draws part, and fills and
    levels of categories go by rows, not by weights.

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

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to inputs X (n, d) and targets y, (n,) or (n, k); return the estimator."""
        self.target_name_ = target_name(y)
        x, y, weight = self._read(X, y, sample_weight, y_numeric=True, multi_output=True)
        return self._fit(x, np.asarray(y, np.float64), weight, ())

    def predict(
        self,
        X: Any,
        return_std: bool = False,
        return_cov: bool = False,
        *,
        max_bytes: int = MAX_BYTES,
    ) -> Any:
        """Return the predictive mean, (n,) or (n, k), and on request its spread.

        Parameters
        ----------
        X
            Inputs, (n, d).
        return_std
            Give the standard deviation too, observation noise included, shaped like the mean.
        return_cov
            Give the covariance over rows too, (n, n) or (n, n, k), observation noise on its
            diagonal: exact for the linearised network of Gaussian posteriors, otherwise that of the
            functions drawn, of rank at most their number.
        max_bytes
            A covariance that would need more is refused before it is allocated.
        """
        if return_std and return_cov:
            raise RuntimeError(
                "At most one of return_std or return_cov can be requested. The standard deviation "
                "is the square root of the covariance's diagonal."
            )
        x = self._inputs(X)
        found: Any = self.fitted_.predict(x)
        if return_cov:
            return found.mean, self.fitted_.covariance(x, max_bytes=max_bytes)
        return (found.mean, found.sd) if return_std else found.mean

    def predict_interval(self, X: Any, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the central interval that holds a new target with probability level.

        Each is (n,) or (n, k), in the target's units.
        """
        return self.predict_dist(X).interval(level)

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> np.ndarray:
        """Draw targets, jointly over the rows: (n, n_samples) or (n, k, n_samples).

        Each sample is one function of the posterior at all rows, with observation noise.
        """
        x = self._inputs(X)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        return np.moveaxis(self.fitted_.sample(x, n_samples, seed), 0, -1)

    def log_score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean log predictive density in nats, in units of the target; higher is better.

        Of several targets it is the joint density of a row's.
        """
        found = self.predict_dist(X).log_prob(np.asarray(y, np.float64))
        return float(np.average(found, weights=sample_weight))
