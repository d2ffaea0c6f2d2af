"""Rows for the command, and what is said of them."""

from posterium.cli.table import training
from posterium.tables.encode import fit_spec
from posterium.tables.read import read_table


def test_a_level_in_rows_held_out_only_is_named_and_one_that_is_fitted_is_not(write):
    levels = [*"ab" * 20, "odd"]
    table = read_table(
        write(["c,y", *(f"{level},{(7 * i) % 13}" for i, level in enumerate(levels))])
    )
    spec, notes = fit_spec(table, "y")
    said = {}
    for seed in range(40):
        rows = training(table, spec, notes, 0.25, seed)
        only = [note for note in rows.notes if "only in rows held out" in note]
        said.setdefault(bool(rows.held[-1]), []).append(only)
    assert all(only == [] for only in said[False])
    assert all(len(only) == 1 and '"c" ("odd")' in only[0] for only in said[True])
