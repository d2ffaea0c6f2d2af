"""Rows to calibrate on: their predictions, targets and weights, checked."""

from typing import Any

import numpy as np

from posterium.posterior.predictive import ClassPredictive, RegressionPredictive


def number_rows(predictive: Any, y: Any, how: Any) -> np.ndarray:
    """Return numeric targets as (n, k), or say why they are none of these predictions."""
    if isinstance(predictive, ClassPredictive):
        raise TypeError(
            f"{type(how).__name__} expects predictions of numbers; these are of classes. "
            "Take TemperatureScaling(), IsotonicRecalibration() or SplitConformal()."
        )
    if getattr(predictive, "columns", 1) == 2:
        raise ValueError(
            f"{type(how).__name__} expects targets that were seen whole; times may be cut off. "
            "There is no recalibration of them."
        )
    y = np.asarray(y, np.float64)
    if y.shape != predictive.shape and (y.shape, 1) != (predictive.shape[:1], predictive.shape[1]):
        raise ValueError(f"Expected targets of shape {predictive.shape}; got {y.shape}.")
    y = y.reshape(predictive.shape)
    wrong = ~np.isfinite(y).all(axis=1)
    if wrong.any():
        raise ValueError(
            f"Expected finite targets; {int(wrong.sum())} of {len(y)} rows have others, row "
            f"{int(wrong.argmax())} first. Leave them out."
        )
    return y


def class_rows(predictive: Any, y: Any, how: Any) -> np.ndarray:
    """Return class indices as (n,), or say why they are none of these predictions."""
    if not isinstance(predictive, ClassPredictive):
        raise TypeError(
            f"{type(how).__name__} expects predictions of classes; these are of numbers. "
            "Take VarianceScaling(), IsotonicRecalibration() or SplitConformal()."
        )
    y, (n, classes) = np.asarray(y), predictive.shape
    if y.shape != (n,) or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"Expected {n} integer class indices; got {y.dtype} {y.shape}. Of labels they are "
            "np.searchsorted(model.classes_, labels)."
        )
    if not (0 <= y.min() and y.max() < classes):
        raise ValueError(f"Expected class indices 0 to {classes - 1}; got {y.min()} to {y.max()}.")
    return y


def row_weights(weight: Any, rows: int) -> np.ndarray:
    """Return the weights of rows, (n,): 1 each when None."""
    weight = np.ones(rows) if weight is None else np.asarray(weight, np.float64)
    if weight.shape != (rows,) or not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError(
            f"Expected {rows} finite weights of at least 0, one a row; got shape {weight.shape} "
            f"with values from {weight.min(initial=np.inf)} to {weight.max(initial=-np.inf)}."
        )
    return weight


def refuse_steps(predictive: RegressionPredictive, y: np.ndarray, how: Any) -> None:
    """Refuse targets, such as counts, whose predicted distribution function has steps."""
    if not np.array_equal(predictive.pit(y), predictive.cdf(y)):
        raise ValueError(
            f"{type(how).__name__} expects a target with a density; that of counts is a sum of "
            "steps. Take SplitConformal() or ConformalisedQuantiles()."
        )
