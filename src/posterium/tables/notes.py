"""What is odd about a table, and what was made of it, in a sentence each; nothing is refused."""

from collections.abc import Iterable, Sequence

import numpy as np

from posterium.tables.columns import EXACT, Column
from posterium.tables.encoders import CategoricalColumn, Encoder
from posterium.tables.errors import listing, quote
from posterium.tables.judge import MANY_ROWS
from posterium.tables.scaling import CONSTANT
from posterium.tables.table import Table

FEW_VALUES = 10
FIRST_ROWS = 1000
"""Whether a column stands for the classes is tried on this many rows before all of them."""
FLAT = "Constant columns, which tell nothing"
ALIKE = 1e-12
"""Columns whose correlation is this near to 1 or -1 are the same up to scale."""


def feature_notes(
    table: Table, encoders: Sequence[Encoder], columns: Sequence[Column]
) -> list[str]:
    """Return what is odd about the features, each oddity with the columns it is in."""
    found: dict[str, list[str]] = {}
    for encoder, column in zip(encoders, columns, strict=True):
        for oddity, name in _oddities(encoder, column):
            found.setdefault(oddity, []).append(name)
    notes = [f"{oddity}: {listing(names)}." for oddity, names in found.items()]
    pairs = [f"{quote(a)} and {quote(b)}" for a, b in alike_pairs(encoders, columns)]
    if pairs:
        notes.append(f"Columns that are the same up to scale (collinear): {listing(pairs)}.")
    notes += filled_notes(table, zip(encoders, columns, strict=True))
    width = sum(len(encoder.names) for encoder in encoders)
    return notes + (
        [f"More columns ({width}) than rows ({len(table)})."] if width > len(table) else []
    )


def _oddities(encoder: Encoder, column: Column) -> list[tuple[str, str]]:
    """Return what is odd about one feature, and how it is listed."""
    name, values = quote(column.name), column.values[~column.missing]
    if isinstance(encoder, CategoricalColumn):
        if len(encoder.levels) == 1 and not encoder.rare:
            return [(FLAT, name)]
        rare = f", {len(encoder.rare)} rare ones as one" if encoder.rare else ""
        count = len(encoder.levels) + len(encoder.rare)
        return [("Read as categories", f"{name} ({count} levels{rare})")]
    largest = np.abs(values).max()
    if column.whole and largest >= EXACT:
        return [("Integers too large to be exact in float64, likely identifiers", name)]
    if values.min() == values.max():
        return [(FLAT, name)]
    if encoder.kind == "boolean":
        text = column.cells is not None and column.kind == "boolean"
        return [("Read as 1 (true, yes) and 0 (false, no)", name)] if text else []
    found = []
    if np.std(values / largest) <= CONSTANT:
        found.append(("Nearly constant columns, treated as constant", name))
    if column.whole and len(values) >= MANY_ROWS and np.unique(values).size == len(column.values):
        found.append(("A different integer in every row, likely identifiers", name))
    return found


def alike_pairs(encoders: Sequence[Encoder], columns: Sequence[Column]) -> list[tuple[str, str]]:
    """Return pairs of columns of numbers with correlation 1 or -1.

    Such columns have the same length along any direction once standardised; so one random
    direction orders them, and only neighbours in that order are compared. Three such columns
    give two pairs.
    """
    kept, lengths = [], []
    for encoder, column in zip(encoders, columns, strict=True):
        if isinstance(encoder, CategoricalColumn) or column.missing.any():
            continue
        unit = _unit(column.values)
        if unit is not None:
            direction = np.random.default_rng(0).standard_normal(len(unit))
            kept.append(column)
            lengths.append(abs(unit @ direction))
    order = np.argsort(lengths)
    near = np.diff(np.asarray(lengths)[order]) < 1e-9 if kept else []
    pairs = [(kept[order[i]], kept[order[i + 1]]) for i in np.flatnonzero(near)]
    return [(a.name, b.name) for a, b in pairs if same(a.values, b.values)]


def _unit(values: np.ndarray) -> np.ndarray | None:
    """Return values about their mean, of length 1; None where they are constant."""
    largest = np.abs(values).max(initial=0.0)
    if not 0 < largest < np.inf:
        return None
    centred = values / largest
    centred = centred - centred.mean()
    length = np.sqrt(centred @ centred)
    return centred / length if length > CONSTANT * np.sqrt(len(values)) else None


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Say whether two columns have correlation 1 or -1 to 12 digits."""
    u, v = _unit(a), _unit(b)
    if len(a) < 3 or u is None or v is None:
        return False
    return bool(abs(u @ v) > 1 - ALIKE)


def filled_notes(table: Table, pairs: Iterable[tuple[Encoder, Column]]) -> list[str]:
    """Return how many cells are filled in each column."""
    counts = [f"{quote(c.name)} ({c.missing.sum():,})" for _, c in pairs if c.missing.any()]
    return [f"{table.source}: missing cells filled in {listing(counts)}."] if counts else []


def unseen_notes(table: Table, pairs: Iterable[tuple[Encoder, Column]]) -> list[str]:
    """Return how many cells hold a level that was not fitted, in each column."""
    found = []
    for encoder, column in pairs:
        if isinstance(encoder, CategoricalColumn) and (count := (encoder.places(column) < 0).sum()):
            found.append(f"{quote(column.name)} ({count:,})")
    if not found:
        return []
    return [f"{table.source}: levels that were not fitted, taken as other: {listing(found)}."]


def unfitted_notes(encoders: Iterable[Encoder]) -> list[str]:
    """Return the levels that are in no row fitted, though in the table: in rows held out."""
    found = []
    for encoder in encoders:
        if isinstance(encoder, CategoricalColumn):
            shares = zip(encoder.levels, encoder.shares, strict=False)
            absent = [quote(level) for level, share in shares if not share]
            found += [f"{quote(encoder.name)} ({listing(absent)})"] if absent else []
    return [f"Levels in no row fitted, only in rows held out: {listing(found)}."] if found else []


def target_notes(
    column: Column, classes: tuple, features: Sequence[Column], y: np.ndarray
) -> list[str]:
    """Return what is odd about the target y (n,), and which features give it away."""
    name = quote(column.name)
    notes = []
    if classes:
        single = [quote(str(classes[i])) for i in np.flatnonzero(np.bincount(y) == 1)]
        if single:
            notes.append(f"Classes of {name} with one row only: {listing(single)}.")
    else:
        distinct = np.unique(y).size
        if distinct == 1:
            return [f"The target {name} is constant."]
        if distinct <= FEW_VALUES and len(y) >= MANY_ROWS:
            notes.append(
                f"The target {name} has {distinct} different values: taken for regression; "
                "ask for the task classification (--task classification) if they are classes."
            )
    tells = _same_classes if classes else same_as_target
    leaks = [quote(feature.name) for feature in features if tells(feature, y)]
    if leaks:
        notes.append(
            f"Equal to the target {name} up to scale or naming, likely a leak: {listing(leaks)}."
        )
    return notes


def same_as_target(feature: Column, y: np.ndarray) -> bool:
    """Say whether a column of numbers equals a numeric target up to scale."""
    return not feature.missing.any() and feature.kind != "text" and same(feature.values, y)


def _same_classes(feature: Column, y: np.ndarray) -> bool:
    """Say whether the values of a column stand for the classes, one for one."""
    if len(y) < MANY_ROWS or feature.missing.any():
        return False
    first = np.arange(len(y)) < FIRST_ROWS
    parts = ((feature.take(first), y[first]), (feature, y))
    return all(_one_to_one(_codes(part), classes) for part, classes in parts)


def _codes(column: Column) -> np.ndarray:
    return column.levels[1] if column.kind == "text" else column.values


def _one_to_one(a: np.ndarray, b: np.ndarray) -> bool:
    """Say whether equal elements of a mean equal elements of b, and the other way round."""
    count = np.unique(a).size
    return count == np.unique(b).size == np.unique(np.stack([a, b]), axis=1).shape[1]
