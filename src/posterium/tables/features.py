"""Features: which columns of a table a model takes and how they become its inputs."""

import math
from collections.abc import Collection, Sequence

import numpy as np

from posterium._struct import replace, static, struct
from posterium.tables import judge, notes
from posterium.tables.columns import Column
from posterium.tables.encoders import BooleanColumn, CategoricalColumn, Encoder, NumberColumn
from posterium.tables.errors import UserError, listing, quote
from posterium.tables.table import Table

MOST_LEVELS = 50
"""A column of text with more levels than this is no category unless it is said to be."""
MOST_COLUMNS, MOST_FORCED = 1000, 10_000
"""The most columns, and levels, of a category that is said to be one."""
RARE = 0.005
"""A level in less than this part of the rows is rare."""

MISSING_RULES = ("refuse", "drop", "impute")
UNSEEN_RULES = ("refuse", "other")


@struct
class Features:
    """How columns of a table become the inputs of a model; part of its file.

    Columns are found by name, so their order in a table does not matter.

    Parameters
    ----------
    columns
        A record for each column of the table that is used.
    missing
        What is done about missing cells: `refuse`, `drop` (their rows) or `impute`.
    unseen
        What is done about levels that were not fitted: `refuse`, or `other`: they count as one of
        the rare levels, and without such, each level is marked by its share of the rows fitted.
    """

    columns: tuple[Encoder, ...] = static()
    missing: str = static(default="refuse")
    unseen: str = static(default="refuse")

    @property
    def names(self) -> tuple[str, ...]:
        """The d columns of the inputs, such as "age", "age is missing" and "colour = red"."""
        return tuple(name for encoder in self.columns for name in encoder.names)

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns of the table that are used."""
        return tuple(encoder.name for encoder in self.columns)

    def encode(self, table: Table) -> np.ndarray:
        """Return the inputs x, (n, d) in float64.

        Raises
        ------
        UserError
            When a column is missing, or a cell is infinite, of another kind than those fitted, a
            level not fitted while `unseen` is `refuse`, or missing unless `missing` is `impute`.
        """
        columns = self._find(table)
        self._check(table, columns)
        x = np.empty((len(table), len(self.names)))
        start = 0
        for encoder, column in zip(self.columns, columns, strict=True):
            stop = start + len(encoder.names)
            x[:, start:stop] = encoder.encode(column)
            start = stop
        return x

    def complete(self, table: Table) -> np.ndarray:
        """Return the rows that `missing` keeps, (n,): under `drop` those without missing cells."""
        kept = np.ones(len(table), bool)
        for column in self._find(table) if self.missing == "drop" else ():
            kept &= ~column.missing
        return kept

    def outside(self, table: Table) -> np.ndarray:
        """Return how far each row lies beyond the numbers fitted, (n,).

        The distance is that of the column where it is largest, from the nearest end of the range
        fitted, in standard deviations of that column in the rows fitted; 0 is inside.
        """
        far = np.zeros(len(table))
        for encoder, column in zip(self.columns, self._find(table), strict=True):
            if isinstance(encoder, NumberColumn):
                far = np.maximum(far, encoder.outside(column))
        return far

    def refit(self, table: Table) -> "Features":
        """Return the same encoding with ranges, fills and shares from the rows of a table."""
        pairs = zip(self.columns, self._find(table), strict=True)
        return replace(self, columns=tuple(encoder.fit(column) for encoder, column in pairs))

    def remarks(self, table: Table) -> list[str]:
        """Return what `encode` does to a table beyond copying numbers: cells filled, levels new."""
        pairs = list(zip(self.columns, self._find(table), strict=True))
        return notes.filled_notes(table, pairs) + notes.unseen_notes(table, pairs)

    def _find(self, table: Table) -> list[Column]:
        """Return the columns used, or refuse a table that lacks some."""
        absent = [name for name in self.sources if name not in table.names]
        if absent:
            spare = [name for name in table.names if name not in self.sources]
            raise UserError(
                f"{table.source}: {len(absent)} of the model's {len(self.columns)} features "
                f"{'are' if len(absent) > 1 else 'is'} not among the columns: "
                f"{listing(map(quote, absent))}.",
                judge.absent_fix(absent, spare, fills=self.missing == "impute"),
            )
        return [table.column(name) for name in self.sources]

    def _check(self, table: Table, columns: Sequence[Column]) -> None:
        """Refuse cells that cannot be encoded."""
        pairs = list(zip(self.columns, columns, strict=True))
        judge.refuse_types(table, columns)
        judge.refuse_text(table, [c for e, c in pairs if not isinstance(e, CategoricalColumn)])
        if self.missing != "impute":
            judge.refuse_missing(table, columns)
        for encoder, column in pairs:
            if not isinstance(encoder, CategoricalColumn):
                judge.refuse_infinite(table, [column])
                judge.refuse_kind(table, column, encoder.kind)
            elif self.unseen == "refuse":
                judge.refuse_unseen(table, column, encoder)


def check_rules(missing: str, unseen: str) -> None:
    """Refuse rules on missing cells and unseen levels that there are not."""
    for option, value, known in (
        ("missing", missing, MISSING_RULES),
        ("unseen", unseen, UNSEEN_RULES),
    ):
        if value not in known:
            raise UserError(
                f"{option} is one of {', '.join(known)}; got {quote(str(value))}.",
                "Choose one of them.",
            )


def fit_features(
    table: Table,
    names: Sequence[str],
    *,
    missing: str = "refuse",
    unseen: str = "refuse",
    categorical: Collection[str] = (),
) -> tuple[Features, list[str]]:
    """Return how columns of a table are encoded, and notes on what is odd about them.

    Numbers and booleans are taken as they are. Text of at most 50 levels, a column that the table
    says is categorical and one of `categorical` become a column of 0 and 1 for each level; levels
    in fewer than 2 rows or 0.5 % of them share one column, when there are two such levels or more.

    Parameters
    ----------
    table
        The rows to fit.
    names
        The columns to use.
    missing
        What to do about missing cells. `refuse` them; `drop` their rows; or `impute`: the median
        for numbers, the most frequent value for booleans, with one more column that marks the
        gaps; for categories a level of their own. Cells missing later in a column that had no
        gaps are filled (categories: by the most frequent level) and not marked.
    unseen
        What to do about levels that come up later, see `Features`.
    categorical
        Columns that are categories whatever they hold.

    Raises
    ------
    UserError
        When a column cannot be used as it is; the message says which and why.
    """
    check_rules(missing, unseen)
    for name in categorical:
        judge.find(table, name, "Name columns of the table as categorical.")
    columns = [table.column(name) for name in names]
    judge.refuse_types(table, columns)
    chosen = [name for name in names if name in categorical or table.column(name).declared]
    judge.refuse_text(table, [c for c in columns if c.name not in chosen], most=MOST_LEVELS)
    if missing == "refuse":
        judge.refuse_missing(table, columns)
    judge.refuse_empty(table, columns)
    if missing == "drop":
        kept = ~np.any([column.missing for column in columns], axis=0)
        table = table.take(kept)
        judge.refuse_few(table, dropped=int(np.sum(~kept)))
        columns = [table.column(name) for name in names]
    impute = missing == "impute"
    encoders = tuple(_encoder(table, c, c.name in chosen, impute) for c in columns)
    features = Features(encoders, missing, unseen)
    features._check(table, columns)
    features = features.refit(table)
    return features, notes.feature_notes(table, features.columns, columns)


def _encoder(table: Table, column: Column, chosen: bool, impute: bool) -> Encoder:
    """Return the record for a column, of its kind and levels, its numbers still to be fitted."""
    gaps = impute and bool(column.missing.any())
    if column.kind == "number" and not chosen:
        return NumberColumn(column.name, gaps)
    if column.kind == "boolean" and not chosen:
        return BooleanColumn(column.name, gaps)
    levels, codes = column.levels
    counts = np.bincount(codes[codes >= 0])
    rare = counts < max(2, math.ceil(RARE * counts.sum()))
    if rare.sum() < 2 or rare.all():
        rare[:] = False
    if np.sum(~rare) > MOST_COLUMNS or len(levels) > MOST_FORCED:
        raise UserError(
            f"{table.source}: {len(levels):,} levels in the categorical column "
            f"{quote(column.name)}; at most {MOST_COLUMNS:,} are taken, and {MOST_FORCED:,} with "
            "rare ones.",
            f"Group them, or leave the column out: {table.terms.drop([column.name])}.",
        )
    common, uncommon = (
        tuple(level for level, few in zip(levels, rare, strict=True) if few == side)
        for side in (False, True)
    )
    return CategoricalColumn(column.name, gaps, common, uncommon)
