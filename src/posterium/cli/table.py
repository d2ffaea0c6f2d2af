"""Rows for the command: how a table is read, which rows are used, and what they become."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from posterium._struct import replace
from posterium.cli.files import Saved
from posterium.cli.split import held_out
from posterium.tables.encode import MIN_ROWS, TableSpec
from posterium.tables.errors import UserError
from posterium.tables.features import check_rules
from posterium.tables.notes import unfitted_notes
from posterium.tables.read import read_table
from posterium.tables.table import Table

FAR = 1.0
"""Rows further than this beyond the training range, in standard deviations, are noted."""


@dataclass(frozen=True)
class Training:
    """The rows of a fit, n of them complete.

    Parameters
    ----------
    spec
        How they are encoded, with ranges and fills from the rows that are not held out.
    whole
        The same with these from all rows.
    table
        The complete rows.
    rows
        Their numbers in the file, from 1, (n,).
    held
        Which are held out, (n,).
    notes
        What is odd about them, in words.
    """

    spec: TableSpec
    whole: TableSpec
    table: Table
    rows: np.ndarray
    held: np.ndarray
    notes: tuple[str, ...]

    def arrays(self, spec: TableSpec, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs and targets of some of the rows, given as a mask (n,)."""
        part = self.table.take(rows)
        return spec.features.encode(part), spec.target(part)


def training(
    table: Table, spec: TableSpec, notes: list[str], fraction: float, seed: int
) -> Training:
    """Return the rows to fit and to hold out.

    Which rows are held out is decided before those with missing cells are dropped, so that the
    others fall into the same parts whether these are dropped or filled.
    """
    complete = spec.complete(table)
    held, more = _held_out(table, spec, fraction, seed)
    used, held = table.take(complete), held[complete]
    if np.sum(~held) < MIN_ROWS or (fraction > 0 and not held.any()):
        raise UserError(
            f"{table.source}: of {len(table)} rows, {len(used)} without missing cells are too few "
            f"to fit at least {MIN_ROWS} and hold out others.",
            "Give more rows, another --test-fraction, or --missing impute.",
        )
    fitted = spec.refit(used.take(~held))
    rows = np.flatnonzero(complete) + 1
    unfitted = unfitted_notes(fitted.features.columns)
    said = (*table.notes, *notes, *_dropped(table, complete), *more, *unfitted)
    return Training(fitted, spec, used, rows, held, said)


def _held_out(
    table: Table, spec: TableSpec, fraction: float, seed: int
) -> tuple[np.ndarray, list[str]]:
    """Return where a row is held out; those without a class are not."""
    held = np.zeros(len(table), bool)
    if not spec.classes:
        return held_out(held, (), fraction, seed, table.source)
    labelled = ~table.column(spec.target_name).missing
    y = spec.target(table.take(labelled))
    held[labelled], notes = held_out(y, spec.classes, fraction, seed, table.source)
    return held, notes


@dataclass(frozen=True)
class Rows:
    """The rows of a table for a saved model, m of n complete.

    Parameters
    ----------
    spec
        How they are encoded.
    table
        The complete rows.
    complete
        Which rows of the file these are, (n,).
    x
        Their inputs, (m, d).
    notes
        What is odd about them, in words.
    """

    spec: TableSpec
    table: Table
    complete: np.ndarray
    x: np.ndarray
    notes: tuple[str, ...]

    def outside(self) -> np.ndarray:
        """Return how far each row lies beyond the training range, (m,), in standard deviations."""
        return self.spec.features.outside(self.table)


def rows_of(
    data: str,
    saved: Saved,
    reading: Mapping[str, Any],
    missing: str | None = None,
    unseen: str | None = None,
    *,
    target: bool = False,
) -> Rows:
    """Return the rows of a table for a saved model.

    Parameters
    ----------
    data
        The file.
    saved
        The model; what is not given here is done as it was for the table fitted.
    reading
        Options for reading that were given.
    missing, unseen
        What to do about missing cells and about levels not seen in fitting, when given.
    target
        Whether rows need a target: those without are then not complete.
    """
    given = {"missing": missing, "unseen": unseen}
    rules = {name: value for name, value in given.items() if value is not None}
    spec = replace(saved.table, features=replace(saved.table.features, **rules))
    check_rules(spec.features.missing, spec.features.unseen)
    reading = {**saved.record.get("reading", {}), **reading}
    table = read_table(data, target=spec.features.sources[0], **reading)
    complete = spec.complete(table) if target else spec.features.complete(table)
    used = table.take(complete)
    if target and not len(used):
        raise UserError(
            f"{table.source}: {len(table)} data rows, none that can be scored.",
            "Give rows with a target.",
        )
    x = spec.features.encode(used)
    extra = () if target else spec.unused(table)
    fate = "are not used" if target else "get no prediction"
    notes = (*table.notes, *extra, *_dropped(table, complete, fate), *spec.features.remarks(used))
    return Rows(spec, used, complete, x, notes)


def _dropped(table: Table, complete: np.ndarray, fate: str = "are not used") -> tuple[str, ...]:
    """Return a note on rows with missing cells and their fate, where there are such."""
    count = int(np.sum(~complete))
    said = f"{table.source}: {count:,} of {len(table):,} rows have missing cells and {fate}."
    return (said,) if count else ()


def far_note(distance: np.ndarray) -> list[str]:
    """Return a note on rows far beyond the training range, given their distances (n,)."""
    far = distance > FAR
    if not far.any():
        return []
    return [
        f"Rows more than {FAR:g} sd beyond the range of the rows fitted: {far.sum():,} of "
        f"{far.size:,}, the furthest by {distance.max():.3g} sd (column outside)."
    ]
