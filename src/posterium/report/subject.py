"""The subject of a report: a fit, and rows of a table as its model sees them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from posterium.posterior.fit import Fit
from posterium.posterior.predict import predict
from posterium.report.columns import InputColumn, encoded_columns, plain_columns
from posterium.tables.encode import TableSpec
from posterium.tables.errors import UserError, plain
from posterium.tables.fitted import Fitted, key_of
from posterium.tables.table import Table


@dataclass(frozen=True)
class Subject:
    """What is reported on.

    Parameters
    ----------
    fit
        The fit, in its own units.
    predict
        Called with rows x (n, d): their predictive distribution, in the user's units.
    columns
        The columns of the table that are features.
    targets
        Names of the k target columns.
    classes
        Names of the classes; () for regression.
    x, y
        All rows: features (n, d); targets (n, k), or indices of classes (n,).
    held
        Which rows were not fitted, (n,); None where that is not known.
    rows, row_word
        What each row is called by, (n,): its line in the file, or its number from 1.
    source
        Where the rows come from.
    seed, draws
        As in `Fitted`; None for a bare fit.
    scales
        Mean and sd of every column of x in the rows fitted, (d,) each.
    target_scale
        What one unit of the fit is in units of the targets, (k,).
    """

    fit: Fit
    predict: Callable[[np.ndarray], Any]
    columns: tuple[InputColumn, ...]
    targets: tuple[str, ...]
    classes: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    held: np.ndarray | None
    rows: np.ndarray
    row_word: str
    source: str
    seed: int | None
    draws: int | None
    scales: tuple[np.ndarray, np.ndarray]
    target_scale: np.ndarray

    @property
    def scored(self) -> np.ndarray:
        """Which rows are scored: those held out, or all when none is known to be, (n,)."""
        if self.held is not None and self.held.any():
            return self.held
        return np.ones(len(self.x), bool)

    @property
    def fitted(self) -> np.ndarray:
        """Which rows count as fitted, (n,): all when that is not known."""
        return np.ones(len(self.x), bool) if self.held is None else ~self.held


@dataclass(frozen=True)
class Rows:
    """Rows as a model takes them, before they are held against it; see `Subject`."""

    columns: tuple[InputColumn, ...]
    x: np.ndarray
    y: np.ndarray
    numbers: np.ndarray
    word: str = "row"
    source: str = "the rows given"


def subject(
    fit: Any,
    data: Any,
    *,
    spec: TableSpec | None = None,
    held_out: Any = None,
    names: Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
) -> Subject:
    """Return the subject of a report; see `report` for the arguments.

    Raises
    ------
    TypeError, ValueError
        When fit or data are of another kind, or do not go together.
    """
    fitted = getattr(fit, "fitted_", fit)
    if not isinstance(fitted, Fitted | Fit):
        raise TypeError(
            "A report is on what posterium.fit returned, on a fitted estimator, or on the model "
            f"of a file; got {type(fit).__name__}. Fit first."
        )
    if spec is not None and isinstance(data, Table):
        return _subject(fitted, _of_table(data, spec), held_out, spec.target_name)
    x, y = _pair(data)
    y = _answers(fitted, y)
    target = target or getattr(fit, "target_name_", None)
    if getattr(fit, "features_", None) is not None:
        return _subject(fitted, _of_frame(fit, x, y), held_out, target)
    names = names or _names(fit, x)
    x = np.asarray(x, np.float64)
    if x.ndim != 2:
        raise ValueError(f"A report is on a table: X of shape (n, d); got {x.shape}.")
    names = names or [f"x{place}" for place in range(1, x.shape[1] + 1)]
    rows = Rows(plain_columns(x, names), x, y, np.arange(1, len(x) + 1))
    return _subject(fitted, rows, held_out, target)


def _of_table(table: Table, spec: TableSpec) -> Rows:
    return Rows(
        encoded_columns(spec.features), spec.features.encode(table), spec.target(table),
        np.asarray(table.lines), table.unit, table.source,
    )  # fmt: skip


def _of_frame(estimator: Any, frame: Any, y: np.ndarray) -> Rows:
    """Return rows as an estimator encodes them; those it would leave out are left out."""
    from posterium.estimators.inputs import table_of

    features = estimator.features_
    table = table_of(frame, features.sources)
    kept = features.complete(table)
    table = table.take(kept)
    lines = np.asarray(table.lines)
    return Rows(encoded_columns(features), features.encode(table), y[kept], lines)


def _pair(data: Any) -> tuple[Any, Any]:
    if hasattr(data, "x") and hasattr(data, "y"):
        return data.x, data.y
    if isinstance(data, tuple | list) and len(data) == 2:
        return data[0], data[1]
    raise TypeError(
        "The data of a report are a pair (X, y), or what as_data returned; got "
        f"{type(data).__name__}. Pass (X, y)."
    )


def _names(fit: Any, x: Any) -> Sequence[str] | None:
    """Return the names of the columns of X, those that were fitted or a frame's own."""
    for holder, name in ((fit, "feature_names_in_"), (x, "columns")):
        found = getattr(holder, name, None)
        if found is not None:
            return list(found)
    return None


def _answers(fitted: Fitted | Fit, y: Any) -> np.ndarray:
    """Return targets as numbers, or labels as indices of the classes; a bare fit has indices."""
    y = np.asarray(y)
    if isinstance(fitted, Fit) or not fitted.classes:
        return y
    place = {label: index for index, label in enumerate(fitted.classes)}
    labels = y.tolist()
    unknown = [label for label in labels if label not in place]
    if unknown:
        known = ", ".join(map(str, fitted.classes[:8]))
        raise UserError(
            f"{unknown[0]!r} is no class of the model, which knows {known}.",
            "Leave out the rows of other classes.",
        )
    return np.array([place[label] for label in labels], np.int64)


def _subject(
    fitted: Fitted | Fit, rows: Rows, held_out: Any, target: str | Sequence[str] | None
) -> Subject:
    """Hold rows against the fit, whichever kind it is."""
    x, y = rows.x, rows.y
    if len(x) != len(y) or not len(x):
        raise ValueError(
            f"Expected as many targets as rows, and at least one; got {len(x)} rows and {len(y)} "
            "targets."
        )
    bare = isinstance(fitted, Fit)
    fit = fitted if bare else fitted.fit
    classes = () if bare else fitted.classes
    if getattr(fit.model.likelihood, "censored", False):
        raise UserError(
            "A report shows predictions beside whole times; those of this model may be cut off.",
            "Score it with posterium evaluate, or with posterium.score.",
        )
    if fit.model.likelihood.task == "regression":
        y = np.asarray(y, np.float64).reshape(len(y), -1)
    predictor = _predictor(fitted)
    outputs = 1 if y.ndim == 1 else y.shape[1]
    return Subject(
        fit=fit,
        predict=predictor,
        columns=rows.columns,
        targets=_targets(target, outputs),
        classes=tuple(plain(str(label)) for label in classes or _numbers(predictor, x, y)),
        x=x,
        y=y,
        held=_held(held_out, len(x)),
        rows=rows.numbers,
        row_word=rows.word,
        source=rows.source,
        seed=None if bare else fitted.seed,
        draws=None if bare else fitted.draws,
        scales=_scales(fitted, x),
        target_scale=_target_scale(fitted, outputs),
    )


def _predictor(fitted: Fitted | Fit) -> Callable[[np.ndarray], Any]:
    """Return the predictions of a fit; a bare one knows no seed of its own."""
    if isinstance(fitted, Fit):
        return lambda x: predict(key_of(0), fitted, x)
    return fitted.predict


def _numbers(predictor: Callable[[np.ndarray], Any], x: np.ndarray, y: np.ndarray) -> range:
    """Return names for classes that have none, their numbers; nothing for regression."""
    return range(predictor(x[:1]).shape[1]) if y.ndim == 1 else range(0)


def _scales(fitted: Fitted | Fit, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(fitted, Fit):
        shift, scale = x.mean(axis=0), x.std(axis=0)
    else:
        shift, scale = np.asarray(fitted.inputs.shift), np.asarray(fitted.inputs.scale)
    if len(shift) != x.shape[1]:
        raise ValueError(
            f"The model was fitted to {len(shift)} columns; the rows have {x.shape[1]}. Give the "
            "columns that were fitted."
        )
    return shift, np.where(scale > 0, scale, 1.0)


def _target_scale(fitted: Fitted | Fit, outputs: int) -> np.ndarray:
    if isinstance(fitted, Fit) or fitted.target is None:
        return np.ones(outputs)
    return np.asarray(fitted.target.scale)


def _targets(target: str | Sequence[str] | None, outputs: int) -> tuple[str, ...]:
    """Return the names of the targets, made up of one name or none where need be."""
    if target is None or (isinstance(target, str) and outputs > 1):
        stem = target or "y"
        names = (stem,) if outputs == 1 else tuple(f"{stem}{place + 1}" for place in range(outputs))
    else:
        names = (target,) if isinstance(target, str) else tuple(map(str, target))
    if len(names) != outputs:
        raise ValueError(f"Expected {outputs} names of targets; got {len(names)}: {names}.")
    return tuple(map(plain, names))


def _held(held_out: Any, rows: int) -> np.ndarray | None:
    """Return which rows were held out, from one answer for all or one a row."""
    if held_out is None:
        return None
    held = np.asarray(held_out, bool)
    if held.shape not in ((), (rows,)):
        raise ValueError(
            f"held_out must be True, False, None, or one boolean for each of the {rows} rows; got "
            f"shape {held.shape}."
        )
    return np.broadcast_to(held, (rows,)).copy()
