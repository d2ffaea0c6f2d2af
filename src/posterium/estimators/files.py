"""The file of an estimator: the layout that the command line reads and writes."""

from importlib.metadata import version
from typing import Any, TypeVar

import numpy as np

from posterium.estimators.inputs import column_names
from posterium.tables.encode import TableSpec

E = TypeVar("E")


def contents(estimator: Any) -> dict[str, Any]:
    """Return what the file of a fitted estimator holds: model, table and how it was fitted."""
    fitted, method = estimator.fitted_, estimator.method
    record = {
        "method": method if isinstance(method, str) else type(method).__name__,
        "settings": [] if isinstance(method, str) else [repr(method)],
        "n_train": estimator.n_samples_fit_,
        "notes": list(estimator.notes_),
        "posterium": version("posterium"),
    }
    if hasattr(estimator, "feature_names_in_"):
        record["feature_names"] = estimator.feature_names_in_.tolist()
    return {"model": fitted, "table": _spec(estimator), "fit": record}


def _spec(estimator: Any) -> TableSpec | None:
    """Return the columns by name; None where they have none, or there are several targets."""
    fitted = estimator.fitted_
    several = fitted.target is not None and len(fitted.target.shift) > 1
    if estimator.features_ is None or several:
        return None
    task = "classification" if fitted.classes else "regression"
    return TableSpec(estimator.features_, estimator.target_name_, task, fitted.classes)


def restored(estimator: E, held: dict[str, Any]) -> E:
    """Return an estimator with what a file holds in its fitted attributes."""
    into: Any = estimator
    fitted, spec, record = held["model"], held.get("table"), held.get("fit", {})
    into.fitted_ = fitted
    into.features_ = None if spec is None else spec.features
    into.target_name_ = "y" if spec is None else spec.target_name
    names = record.get("feature_names", () if spec is None else spec.features.sources)
    into.n_features_in_ = len(names) or len(fitted.inputs.shift)
    if names and tuple(names) != column_names(len(names)):
        into.feature_names_in_ = np.array(names, object)
    into.n_samples_fit_ = record.get("n_train", 0)
    into.notes_ = tuple(record.get("notes", ()))
    if fitted.classes:
        into.classes_ = np.array(fitted.classes)
    return estimator
