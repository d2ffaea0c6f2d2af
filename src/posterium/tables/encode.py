"""Tables to arrays: which column is what, decided once, stored with the model, applied by name."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from posterium._struct import replace, static, struct
from posterium.model.likelihoods.base import misfit
from posterium.tables import judge, notes
from posterium.tables.columns import Column
from posterium.tables.errors import UserError, listing, quote
from posterium.tables.features import Features, check_rules, fit_features
from posterium.tables.judge import MIN_ROWS, find
from posterium.tables.labels import Label, class_indices, find_classes, refuse_unordered
from posterium.tables.table import Table

__all__ = ["MIN_ROWS", "Label", "TableSpec", "fit_spec"]

TASKS = ("regression", "classification")


@struct
class TableSpec:
    """How the columns of a table become the arrays of a model; part of its file.

    Parameters
    ----------
    features
        How columns become inputs.
    target_name
        The column to predict.
    task
        `regression` or `classification`.
    classes
        The labels, sorted, all of one type: int, float, str or bool; () for regression.
    event_name
        The column that says whether the event at the target, a time, was seen; None without one.
    """

    features: Features = static()
    target_name: str = static()
    task: str = static()
    classes: tuple[Label, ...] = static(default=())
    event_name: str | None = static(default=None)

    def target(self, table: Table) -> np.ndarray:
        """Return the target y, (n,): float64 for regression, else the index of the class, int64.

        With an event, times and events, (n, 2).

        Raises
        ------
        UserError
            When the column is not there, or a cell is missing, infinite, no number, or a label
            the model does not know.
        """
        column = find(table, self.target_name, "Add the column of the target.")
        judge.refuse_types(table, [column])
        judge.refuse_missing(table, [column])
        if self.classes:
            return class_indices(table, column, self.classes)
        _refuse_words(table, column)
        judge.refuse_text(table, [column])
        judge.refuse_infinite(table, [column])
        judge.refuse_large(table, column)
        judge.refuse_kind(table, column, "number")
        if self.event_name is None:
            return column.values
        return np.column_stack([column.values, _events(table, self.event_name)])

    def refuse_misfit(self, table: Table, likelihood: Any) -> None:
        """Refuse targets that a likelihood does not take, with the first such cell."""
        if self.classes:
            refuse_unordered(likelihood, self.classes)
            return
        row = misfit(likelihood, self.target(table).reshape(len(table), -1))
        if row is not None:
            cell = table.column(self.target_name).cell(row)
            raise UserError(
                f"{table.place(row, self.target_name)}: {quote(cell)} found; this likelihood "
                f"expects {likelihood.support}.",
                "Correct the cell, remove its row, or choose another likelihood.",
            )

    def known(self, table: Table) -> np.ndarray:
        """Return where the target, and the event, are not missing, (n,)."""
        target = find(table, self.target_name, "Add the column of the target.")
        if self.event_name is None:
            return ~target.missing
        event = find(table, self.event_name, "Add the column of the event.")
        return ~target.missing & ~event.missing

    def complete(self, table: Table) -> np.ndarray:
        """Return the rows that the rule on missing cells keeps, (n,).

        Under `drop` those with all features and the target, under `impute` those with the target,
        under `refuse` all: `target` and `features.encode` refuse what is missing.
        """
        if self.features.missing == "refuse":
            return np.ones(len(table), bool)
        return self.known(table) & self.features.complete(table)

    def refit(self, table: Table) -> "TableSpec":
        """Return the same encoding with ranges, fills and shares from the rows of a table.

        Kinds, levels and classes stay, so the arrays keep their shape: with it a model is fitted
        to some rows of a table and scored on others without a look at those.
        """
        return replace(self, features=self.features.refit(table))

    def unused(self, table: Table) -> list[str]:
        """Return a note that names the columns of a table which are no features of the model."""
        extra = [name for name in table.names if name not in self.features.sources]
        return [f"{table.source}: columns not used: {listing(map(quote, extra))}."] if extra else []


def fit_spec(
    table: Table,
    target: str,
    task: str | None = None,
    *,
    missing: str = "refuse",
    unseen: str = "refuse",
    categorical: Collection[str] = (),
    drop: Collection[str] = (),
    event: str | None = None,
) -> tuple[TableSpec, list[str]]:
    """Return how a table is encoded for fitting, and notes on what is odd about it.

    All columns but the target, the event and those of `drop` are features.

    Parameters
    ----------
    table
        The rows to fit.
    target
        The name of the column to predict.
    task
        `regression` or `classification`; None takes regression for a column of numbers, and
        classification for one of text or booleans.
    missing, unseen, categorical
        As in `fit_features`. Under `drop` and `impute`, rows without a target are left out; the
        caller does so by `table.take(spec.complete(table))`.
    drop
        Columns to leave out.
    event
        The name of the column that says whether the event at the target, a time, was seen (1,
        true) or cut off (0, false).

    Raises
    ------
    UserError
        When the table cannot be used as it is; the message says which cell or column is why.
    """
    _check_choices(table, target, task, categorical, drop)
    _check_event(table, target, task, event, (*categorical, *drop))
    check_rules(missing, unseen)
    judge.refuse_few(table)
    column = table.column(target)
    judge.refuse_types(table, [column])
    judge.refuse_empty(table, [column])
    names = [name for name in table.names if name not in (target, event, *drop)]
    if not names:
        raise UserError(
            f"{table.source}: {quote(target)} is the only column, with none to predict it from.",
            "Give at least one feature column.",
        )
    if missing == "refuse":
        judge.refuse_missing(table, [column])
    else:
        table = table.take(~column.missing)
        judge.refuse_few(table, dropped=int(column.missing.sum()))
        column = table.column(target)
    task = task or _choose_task(table, column)
    features, found = fit_features(
        table, names, missing=missing, unseen=unseen, categorical=categorical
    )
    table = table.take(features.complete(table))
    column = table.column(target)
    classes = find_classes(table, column) if task == "classification" else ()
    spec = TableSpec(features, target, task, classes, event)
    table = table.take(spec.complete(table))
    columns, y = [table.column(name) for name in names], spec.target(table)
    y = y if event is None else y[:, 0]
    return spec, found + notes.target_notes(table.column(target), classes, columns, y)


def _check_choices(
    table: Table,
    target: str,
    task: str | None,
    categorical: Collection[str],
    drop: Collection[str],
) -> None:
    """Refuse a task that there is not, and names that are no columns or are asked twice."""
    if task is not None and task not in TASKS:
        raise UserError(
            f"The task is regression or classification, not {quote(task)}.", "Choose one of them."
        )
    find(table, target, "Name one of the columns as the target.")
    for name in drop:
        find(table, name, _each(name, table, "to drop", table.terms.drop))
    for name in categorical:
        find(table, name, _each(name, table, "as categorical", table.terms.categorical))
    if target in drop:
        raise UserError(
            f"The target {quote(target)} is among the columns to drop.", "Leave it out there."
        )
    if target in categorical:
        raise UserError(
            f"The target {quote(target)} is among the categorical columns, which are features.",
            "For a target of classes ask for the task classification.",
        )
    if both := [quote(name) for name in categorical if name in drop]:
        raise UserError(f"Categorical and to drop at once: {listing(both)}.", "Choose one.")


def _events(table: Table, name: str) -> np.ndarray:
    """Return whether each row's event was seen, 1 or 0, (n,)."""
    column = find(table, name, "Add the column of the event.")
    judge.refuse_types(table, [column])
    judge.refuse_missing(table, [column])
    judge.refuse_text(table, [column])
    judge.refuse_kind(table, column, "boolean")
    return column.values


def _check_event(
    table: Table, target: str, task: str | None, event: str | None, used: Collection[str]
) -> None:
    """Refuse an event that is no column of its own, or goes with classes."""
    if event is None:
        return
    find(table, event, "Name one of the columns as the event.")
    if event == target or event in used:
        raise UserError(
            f"The event {quote(event)} is also the target, categorical or to drop.",
            "Name the column that says 1 where the event was seen and 0 where it was cut off.",
        )
    if task == "classification":
        raise UserError(
            "An event goes with a time, which is the target of a regression.",
            "Leave the task out, or the event.",
        )


def _refuse_words(table: Table, column: Column) -> None:
    """Refuse a target for regression in which no cell is a number."""
    if column.kind == "text" and np.isnan(column.values).all():
        raise UserError(
            f"{table.source}: the target {quote(column.name)} is text, with "
            f"{quote(column.cell(0))} in its first row; regression needs numbers.",
            "Choose the task classification, or another target.",
        )


def _choose_task(table: Table, column: Column) -> str:
    """Return the task for a target: classification for text and booleans, else regression.

    Text that is numbers for the most part is refused: it is a slip, not a set of classes.
    """
    if column.kind == "text" and np.any(~np.isnan(column.values)):
        judge.refuse_text(table, [column])
    return "regression" if column.kind == "number" else "classification"


def _each(given: str, table: Table, use: str, words: Callable[[Sequence[str]], str]) -> str:
    """Return what to do about a name that is no column, perhaps several with commas between."""
    parts = [part.strip() for part in given.split(",")]
    if len(parts) > 1 and all(part in table.names for part in parts):
        return f"Give each column by itself: {words(parts)}."
    return f"Name columns of the table {use}."
