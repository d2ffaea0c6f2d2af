"""Labels of a classification: found in a column, and turned into indices."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from posterium.tables import judge
from posterium.tables.columns import EXACT, Column
from posterium.tables.errors import UserError, listing, quote
from posterium.tables.table import Table

Label = int | float | str | bool


def find_classes(table: Table, column: Column) -> tuple[Label, ...]:
    """Return the sorted labels of a target, or refuse when these make no classification."""
    if column.kind == "number":
        judge.refuse_infinite(table, [column])
    labels = tuple(sorted(set(_labels(column, _label_type(column))[0])))
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


def class_indices(table: Table, column: Column, classes: Sequence[Label]) -> np.ndarray:
    """Return which class each row is of, (n,) in int64, or refuse labels that are none."""
    labels, codes = _labels(column, type(classes[0]))
    place = {label: index for index, label in enumerate(classes)}
    index = np.array([place.get(label, -1) for label in labels], np.int64)[codes]
    if np.any(index < 0):
        row = int(np.argmax(index < 0))
        known = listing(quote(str(c)) for c in classes)
        raise UserError(
            f"{table.place(row, column.name)}: {quote(column.cell(row))} "
            f"is no class of the model, which knows {known}.",
            "Mend the label, or leave out the rows of other classes.",
        )
    return index


def refuse_unordered(likelihood: Any, classes: Sequence[Label]) -> None:
    """Refuse labels of text for a likelihood that takes their order for the classes' own."""
    if getattr(likelihood, "ordered", False) and any(isinstance(label, str) for label in classes):
        found = listing(quote(str(label)) for label in classes)
        raise UserError(
            f"Ordered classes need labels that are numbers, in their order; these are {found}.",
            "Number the classes from the lowest to the highest, or use another likelihood.",
        )


def _label_type(column: Column) -> type:
    """Return the type in which labels are given back: that of the table where it has types."""
    if column.kind == "boolean":
        spelled = column.cells is None or set(column.texts[0]) <= {"True", "False"}
        return bool if spelled else str
    if column.kind == "text" or np.abs(column.values).max() >= EXACT:
        return str
    return int if column.whole else float


def _labels(column: Column, kind: type) -> tuple[list[Label], np.ndarray]:
    """Return the labels in a column, and which one each row has.

    Numbers are compared by value, so that 1 and 1.0 are one label; text as it is written.
    """
    if kind in (int, float) and column.kind == "number":
        values, codes = np.unique(column.values, return_inverse=True)
        return [kind(v) if v == kind(v) else v for v in values.tolist()], codes
    texts, codes = column.texts
    if kind is bool:
        words = {"true": True, "false": False}
        return [words.get(text.lower(), text) for text in texts], codes
    return list(texts), codes
