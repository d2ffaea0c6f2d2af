"""Tables to arrays: which column is what, decided once, stored with the model, applied by name."""

import difflib
import re
from collections.abc import Sequence

import numpy as np

from posterium._struct import static, struct
from posterium.tables import judge
from posterium.tables.columns import INTEGER, NUMBER, Column
from posterium.tables.errors import UserError, listing, quote
from posterium.tables.read import Table

Label = int | float | str | bool

MIN_ROWS = 2
"""The fewest rows a fit takes."""


@struct
class TableSpec:
    """How the columns of a table become the arrays of a model; part of its file.

    Columns are found by name, so their order in a file does not matter.
    """

    feature_names: tuple[str, ...] = static()
    """The d features, in the order of the array's columns."""
    kinds: tuple[str, ...] = static()
    """`number` or `boolean` for each feature."""
    target_name: str = static()
    task: str = static()
    """`regression` or `classification`."""
    classes: tuple[Label, ...] = static(default=())
    """The labels, sorted, all of one type: int, float, str or bool; none for regression."""

    def features(self, table: Table) -> np.ndarray:
        """Return the features x, (n, d) in float64, booleans as 1 and 0.

        Raises
        ------
        UserError
            When a column is missing, or a cell is missing, infinite or of another kind.
        """
        absent = [quote(name) for name in self.feature_names if name not in table.names]
        if absent:
            raise UserError(
                f"{table.source}: {len(absent)} of the model's {len(self.feature_names)} features "
                f"{'are' if len(absent) > 1 else 'is'} not among the columns: {listing(absent)}.",
                "Add these columns, or name them as in the table the model was fitted to.",
            )
        columns = [table.column(name) for name in self.feature_names]
        judge.refuse_text(table, columns)
        judge.refuse_missing(table, columns)
        judge.refuse_infinite(table, columns)
        for column, kind in zip(columns, self.kinds, strict=True):
            judge.refuse_kind(table, column, kind)
        return np.stack([column.values for column in columns], axis=1)

    def target(self, table: Table) -> np.ndarray:
        """Return the target y, (n,): float64 for regression, else the index of the class, int64.

        Raises
        ------
        UserError
            When the column is not there, or a cell is missing, infinite, no number, or a label
            the model does not know.
        """
        column = find(table, self.target_name)
        judge.refuse_missing(table, [column])
        if self.task == "regression":
            _refuse_words(table, column)
            judge.refuse_text(table, [column])
            judge.refuse_infinite(table, [column])
            judge.refuse_large(table, column)
            judge.refuse_kind(table, column, "number")
            return column.values
        labels, codes = written_labels(table, column, type(self.classes[0]))
        place = {label: index for index, label in enumerate(self.classes)}
        index = np.array([place.get(label, -1) for label in labels], np.int64)[codes]
        if np.any(index < 0):
            row = int(np.argmax(index < 0))
            known = listing(quote(str(c)) for c in self.classes)
            raise UserError(
                f"{table.place(row, self.target_name)}: {quote(column.cells[row])} "
                f"is no class of the model, which knows {known}.",
                "Mend the label, or leave out the rows of other classes.",
            )
        return index

    def unused(self, table: Table) -> list[str]:
        """Return a note that names the columns of a table which are no features of the model."""
        extra = [name for name in table.names if name not in self.feature_names]
        return [f"{table.source}: columns not used: {listing(map(quote, extra))}."] if extra else []


def fit_spec(table: Table, target: str, task: str | None = None) -> tuple[TableSpec, list[str]]:
    """Return how a table is encoded for fitting, and notes on what is odd about it.

    All columns but the target are features.

    Parameters
    ----------
    table
        The rows to fit.
    target
        The name of the column to predict.
    task
        `regression` or `classification`; None takes regression for a column of numbers, and
        classification for one of text or booleans.

    Raises
    ------
    UserError
        When the table cannot be used as it is; the message says which cell or column is why.
    """
    if task not in (None, "regression", "classification"):
        raise UserError(
            f"The task is regression or classification, not {quote(task)}.", "Choose one of them."
        )
    if len(table) < MIN_ROWS:
        raise UserError(
            f"{table.source}: at least {MIN_ROWS} rows are needed to fit, {len(table)} found "
            "below the names.",
            "Give more rows.",
        )
    column = find(table, target)
    judge.refuse_missing(table, [column])
    task = task or choose_task(table, column)
    features = [table.column(name) for name in table.names if name != target]
    if not features:
        raise UserError(
            f"{table.source}: {quote(target)} is the only column, with none to predict it from.",
            "Give at least one feature column.",
        )
    judge.refuse_text(table, features)
    classes = tuple(find_classes(table, column)) if task == "classification" else ()
    names, kinds = zip(*((f.name, f.kind) for f in features), strict=True)
    spec = TableSpec(names, kinds, target, task, classes)
    x, y = spec.features(table), spec.target(table)
    return spec, judge.feature_notes(features, x) + judge.target_notes(column, classes, x, y)


def _refuse_words(table: Table, column: Column) -> None:
    """Refuse a target for regression in which no cell is a number."""
    if column.kind == "text" and np.isnan(column.values).all():
        raise UserError(
            f"{table.source}: the target {quote(column.name)} is text, with "
            f"{quote(column.cells[0])} in its first row; regression needs numbers.",
            "Choose the task classification, or another target.",
        )


def find(table: Table, name: str) -> Column:
    """Return a column by name, or refuse with the names there are, the most alike first."""
    if name in table.names:
        return table.column(name)

    def alike(other: str) -> float:
        return difflib.SequenceMatcher(None, name.lower()[:99], other.lower()[:99]).ratio()

    if all(re.search(NUMBER, other) for other in table.names):
        fix = "The first line holds numbers: put a line with the names of the columns before it."
    else:
        fix = "Name one of the columns as the target."
    columns = listing(map(quote, sorted(table.names, key=alike, reverse=True)))
    raise UserError(f"{table.source}: no column {quote(name)}; there are {columns}.", fix)


def choose_task(table: Table, column: Column) -> str:
    """Return the task for a target: classification for text and booleans, else regression.

    Text that is numbers for the most part is refused: it is a slip, not a set of classes.
    """
    if column.kind == "text" and np.any(~np.isnan(column.values)):
        judge.refuse_text(table, [column])
    return "regression" if column.kind == "number" else "classification"


def find_classes(table: Table, column: Column) -> list[Label]:
    """Return the sorted labels of a target, or refuse when these make no classification."""
    if column.kind == "number":
        kind = int if column.whole() else float
    else:
        words = set(column.cells.unique()) if column.kind == "boolean" else {""}
        kind = bool if words <= {"True", "False"} else str
    labels = sorted(set(written_labels(table, column, kind)[0]))
    where = f"{table.source}, column {quote(column.name)}"
    if len(labels) < 2:
        raise UserError(
            f"{where}: every row is of the class {quote(str(labels[0]))}.",
            "Give rows of at least two classes.",
        )
    if len(labels) > max(20, len(table) // 2):
        raise UserError(
            f"{where}: {len(labels):,} classes in {len(table):,} rows look like an identifier, "
            "or a target for regression.",
            "Choose another target, or the task regression.",
        )
    return labels


def written_labels(table: Table, column: Column, kind: type) -> tuple[Sequence[Label], np.ndarray]:
    """Return the labels in a column, one for each way of writing, and which one each row has.

    Numbers are compared by value, so that 1 and 1.0 are one label; other text as written.
    """
    if kind in (int, float):
        judge.refuse_infinite(table, [column])
    texts = column.cells.unique().sort()
    codes = column.cells.rank("dense").to_numpy() - 1
    return [as_label(text, kind) for text in texts], codes


def as_label(text: str, kind: type) -> Label:
    """Return a label of the given type, or the text itself when it is none."""
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind is str or not re.search(NUMBER, text):
        return text
    if kind is int and re.search(INTEGER, text):
        return int(text)
    return float(text)
