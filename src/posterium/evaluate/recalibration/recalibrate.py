"""Recalibrate: from predictions of rows that were not fitted to a calibrator of other predictions.

A recalibration says how, and is a record of settings. What it learns is a calibrator, another
record: called with a predictive, it gives the corrected one.
"""

from typing import Any, ClassVar, Protocol

from posterium.evaluate.recalibration.rows import row_weights
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive


class Calibrator(Protocol):
    """What was learned; a record, which `save` writes and `load` reads."""

    def __call__(self, predictive: Any) -> Any:
        """Return the corrected predictive at any rows, of the same fit as the one learned from."""
        ...


class Recalibration(Protocol):
    """How to recalibrate.

    Attributes
    ----------
    takes
        What `learn` takes by name besides: of ``"group"`` and ``"key"``.
    """

    takes: ClassVar[tuple[str, ...]]

    def learn(self, predictive: Any, y: Any, weight: Any, **rows: Any) -> Calibrator:
        """Return the calibrator of rows with targets y and weights (n,), some of them above 0."""
        ...


def recalibrate(
    predictive: RegressionPredictive | ClassPredictive,
    y: Any,
    how: Recalibration,
    *,
    weight: Any = None,
    group: Any = None,
    key: Any = None,
) -> Calibrator:
    """Return a calibrator, learned from predictions of rows and what came true there.

    The rows must not be among those that were fitted: there a network is too good, and what it
    learns from them makes other rows worse. Predictions of any method will do, from `predict` or an
    estimator's `predict_dist`. The calibrator is for predictions of the same fit: call it with the
    predictive at other rows.

    Parameters
    ----------
    predictive
        Predictions at n rows that were not fitted.
    y
        Their targets: numbers, (n,) or (n, k), or class indices, (n,).
    how
        `VarianceScaling()`, `TemperatureScaling()`, `IsotonicRecalibration()`, `SplitConformal()`
        or `ConformalisedQuantiles()`.
    weight
        Weight of each row, (n,): a row of weight 2 counts as two rows. None for 1 each.
    group
        Group of each row, (n,), numbers or texts: conformal guarantees then hold within each.
    key
        Seed, JAX key, or NumPy generator for randomised sets of classes.

    Returns
    -------
    Calibrator
        A record, which `save` writes and `load` reads. Called with a predictive, it gives the
        corrected one.

    Raises
    ------
    TypeError
        Where `how` is for classes and the predictions are of numbers, or the other way round; or
        takes no `group` or `key`.
    ValueError
        Where targets, weights or groups are not usable, or there is nothing to learn from them.

    Examples
    --------
    >>> import numpy as np
    >>> from posterium.evaluate.recalibration.variance import VarianceScaling
    >>> from posterium.posterior.components.gaussian import GaussianComponents
    >>> standard = GaussianComponents(np.zeros((1, 4, 1)), 1.0)
    >>> predictive = RegressionPredictive(lambda: [standard], (4, 1), squeeze=True)
    >>> calibrator = recalibrate(predictive, [-3.0, 3.0, 3.0, -3.0], VarianceScaling())
    >>> calibrator(predictive).sd.round(3)
    array([3., 3., 3., 3.])
    """
    if not len(predictive):
        raise ValueError("Expected at least one row to calibrate on; got none.")
    weight = row_weights(weight, len(predictive))
    if not weight.any():
        raise ValueError("Expected a row of weight above 0 to calibrate on; all weights are 0.")
    given = {"group": group, "key": key}
    rows = {name: value for name, value in given.items() if value is not None}
    for name in rows:
        if name not in how.takes:
            raise TypeError(f"{type(how).__name__} takes no {name}. Leave it out.")
    return how.learn(predictive, y, weight, **rows)
