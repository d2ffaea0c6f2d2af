"""The subject of a report: a fit, and rows of a table as its model sees them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from posterium.posterior.fit import Fit
from posterium.posterior.predict import predict
from posterium.tables.encode import TableSpec
from posterium.tables.errors import UserError, plain
from posterium.tables.features import Features
from posterium.tables.fitted import Fitted, key_of
from posterium.tables.frames import from_frame, is_frame
from posterium.tables.table import Table


@dataclass(frozen=True)
class InputColumn:
    """A column of the table, and where it stands in the array x (n, d).

    Parameters
    ----------
    name
        As in the table.
    kind
        ``"number"``, ``"boolean"`` or ``"categorical"``.
    slots
        Columns of x that hold it: one a level for categorical columns, else a single one.
    levels
        Names of the levels; () unless categorical.
    indicator
        The column of x that is 1 where the cell was missing; None where there is none.
    """

    name: str
    kind: str
    slots: tuple[int, ...]
    levels: tuple[str, ...] = ()
    indicator: int | None = None

    def values(self, x: np.ndarray) -> np.ndarray:
        """Return the cells of the rows x: numbers, or the index of the level (-1 for none)."""
        part = x[:, list(self.slots)]
        if not self.levels:
            return part[:, 0]
        return np.where(part.any(axis=1), part.argmax(axis=1), -1)

    def put(self, x: np.ndarray, value: float) -> np.ndarray:
        """Return a copy of rows x with this column at a number, or at a level by its index."""
        x = x.copy()
        if self.indicator is not None:
            x[:, self.indicator] = 0.0
        if self.levels:
            x[:, list(self.slots)] = np.arange(len(self.slots)) == value
        else:
            x[:, self.slots[0]] = value
        return x


@dataclass(frozen=True)
class Subject:
    """What is reported on.

    Parameters
    ----------
    fit
        The fit, in its own units.
    predict
        Predictive distribution at rows x (n, d), in the user's units.
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
    rows
        What each row is called by, (n,): its line in the file, or its number from 1.
    source
        Where the rows come from.
    scales
        Shift and scale of every column of x under standardisation, (d,) each.
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
    ValueError
        When fit and data do not go together.
    """
    if spec is not None and isinstance(data, Table):
        return _of_table(fit, data, spec, held_out)
    x, y = _pair(data)
    fitted = getattr(fit, "fitted_", fit)
    if not isinstance(fitted, Fitted | Fit):
        raise TypeError(
            "A report is on what posterium.fit returned, on a fitted estimator, or on the model "
            f"of a file; got {type(fit).__name__}. Fit first."
        )
    features = getattr(fit, "features_", None)
    if features is not None and is_frame(x):
        return _subject(
            fitted, features.encode(from_frame(x)), _answers(fitted, y), columns_of(features),
            target, held_out,
        )  # fmt: skip
    names = names or _names(fit, x)
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    columns = tuple(
        InputColumn(str(name), _kind(values), (place,))
        for place, (name, values) in enumerate(zip(names, x.T, strict=True))
    )
    return _subject(fitted, x, _answers(fitted, y), columns, target, held_out)


def _of_table(fitted: Fitted, table: Table, spec: TableSpec, held_out: Any) -> Subject:
    return _subject(
        fitted, spec.features.encode(table), spec.target(table), columns_of(spec.features),
        spec.target_name, held_out,
        rows=np.asarray(table.lines), row_word=table.unit, source=table.source,
    )  # fmt: skip


def columns_of(features: Features) -> tuple[InputColumn, ...]:
    """Return where each column of a table stands in the array that `features` encodes it to."""
    found, start = [], 0
    for encoder in features.columns:
        width = len(encoder.names)
        slots = tuple(range(start, start + width))
        start += width
        if encoder.kind == "categorical":
            other = ("(other)",) if encoder.rare else ()
            gap = ("(missing)",) if encoder.gaps else ()
            levels = (*encoder.levels, *other, *gap)
            found.append(InputColumn(encoder.name, encoder.kind, slots, levels))
        else:
            indicator = slots[1] if encoder.gaps else None
            found.append(InputColumn(encoder.name, encoder.kind, slots[:1], (), indicator))
    return tuple(found)


def _subject(
    fitted: Fitted | Fit,
    x: np.ndarray,
    y: np.ndarray,
    columns: tuple[InputColumn, ...],
    target: str | Sequence[str] | None,
    held_out: Any,
    *,
    rows: np.ndarray | None = None,
    row_word: str = "row",
    source: str = "the rows given",
) -> Subject:
    """Bring the rows of every kind of fit to one form."""
    inner = fitted.fit if isinstance(fitted, Fitted) else fitted
    task = inner.model.likelihood.task
    classes = fitted.classes if isinstance(fitted, Fitted) else ()
    if len(x) != len(y) or not len(x):
        raise ValueError(
            f"Expected as many targets as rows, and at least one; got {len(x)} rows and {len(y)} "
            "targets."
        )
    if task == "regression":
        y = y.reshape(len(y), -1)
    outputs = 1 if y.ndim == 1 else y.shape[1]
    d = x.shape[1]
    shift = np.asarray(fitted.inputs.shift) if isinstance(fitted, Fitted) else x.mean(axis=0)
    spread = np.asarray(fitted.inputs.scale) if isinstance(fitted, Fitted) else x.std(axis=0)
    standard = isinstance(fitted, Fitted) and fitted.target is not None
    if len(shift) != d:
        raise ValueError(f"The model was fitted to {len(shift)} features; the rows have {d}.")
    named = [replace(c, name=plain(c.name), levels=tuple(map(plain, c.levels))) for c in columns]
    return Subject(
        fit=inner,
        predict=fitted.predict if isinstance(fitted, Fitted) else _predictor(inner),
        columns=tuple(named),
        targets=tuple(map(plain, _targets(target, outputs))),
        classes=tuple(plain(str(label)) for label in classes) or _numbered(inner, x, task),
        x=x,
        y=y,
        held=_held(held_out, len(x)),
        rows=np.arange(1, len(x) + 1) if rows is None else rows,
        row_word=row_word,
        source=source,
        seed=fitted.seed if isinstance(fitted, Fitted) else None,
        draws=fitted.draws if isinstance(fitted, Fitted) else None,
        scales=(shift, np.where(spread > 0, spread, 1.0)),
        target_scale=np.asarray(fitted.target.scale) if standard else np.ones(outputs),
    )


def _predictor(fit: Fit) -> Callable[[np.ndarray], Any]:
    """Return the predictions of a bare fit, which knows no seed of its own."""
    return lambda x: predict(key_of(0), fit, x)


def _pair(data: Any) -> tuple[Any, Any]:
    if hasattr(data, "x") and hasattr(data, "y"):
        return data.x, data.y
    if isinstance(data, tuple | list) and len(data) == 2:
        return data[0], data[1]
    raise TypeError(
        "The data of a report are a pair (X, y), or what as_data returned; got "
        f"{type(data).__name__}. Pass (X, y)."
    )


def _names(fit: Any, x: Any) -> Sequence[str]:
    found = getattr(fit, "feature_names_in_", None)
    if found is None:
        found = getattr(x, "columns", None)
    if found is None:
        found = [f"x{place + 1}" for place in range(np.asarray(x).reshape(len(x), -1).shape[1])]
    return list(found)


def _kind(values: np.ndarray) -> str:
    return "boolean" if np.isin(values, (0, 1)).all() and np.ptp(values) else "number"


def _targets(target: str | Sequence[str] | None, outputs: int) -> tuple[str, ...]:
    if target is None:
        names = ("y",) if outputs == 1 else tuple(f"y{place + 1}" for place in range(outputs))
    else:
        names = (target,) if isinstance(target, str) else tuple(map(str, target))
    if len(names) != outputs:
        raise ValueError(f"Expected {outputs} names of targets; got {len(names)}: {names}.")
    return names


def _numbered(fit: Fit, x: np.ndarray, task: str) -> tuple[str, ...]:
    """Return names for classes that have none: their numbers."""
    if task != "classification":
        return ()
    return tuple(map(str, range(_predictor(fit)(x[:1]).shape[1])))


def _answers(fitted: Fitted | Fit, y: Any) -> np.ndarray:
    """Return targets as numbers, or labels as indices of the classes; a bare fit has indices."""
    y = np.asarray(y)
    if isinstance(fitted, Fit) or not fitted.classes:
        return y
    classes = fitted.classes
    place = {label: index for index, label in enumerate(classes)}
    labels = y.tolist()
    unknown = [label for label in labels if label not in place]
    if unknown:
        raise UserError(
            f"{unknown[0]!r} is no class of the model, which knows "
            f"{', '.join(map(str, classes[:8]))}.",
            "Leave out the rows of other classes.",
        )
    return np.array([place[label] for label in labels], np.int64)


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
