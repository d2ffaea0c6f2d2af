"""Which rows are held out."""

import numpy as np

from posterium.tables.encode import MIN_ROWS
from posterium.tables.errors import UserError, listing, quote


def held_out(
    y: np.ndarray, labels: tuple, fraction: float, seed: int, source: str = "the table"
) -> tuple[np.ndarray, list]:
    """Return where a row is held out, (n,), and notes.

    At least one row is held out when the fraction is above 0. For classes the share is the same in
    each, as far as whole rows go: rows are put in random order within their class, and taken at
    equal distances. The row of a class that has only one stays with those to fit.

    Parameters
    ----------
    y
        Targets (n,), for classes their indices.
    labels
        The classes; () for regression.
    fraction
        Share of the rows, from 0 to below 1.
    seed
        Seed of the choice.
    source
        What the rows are from, for messages.
    """
    count, n = max(1, round(fraction * len(y))), len(y)
    held, notes = np.zeros(n, bool), []
    if fraction == 0:
        return held, notes
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    if labels:
        order = order[np.argsort(y[order], kind="stable")]
        members = np.bincount(y, minlength=len(labels))
        single = members == 1
        if single.any():
            names = listing(quote(str(labels[i])) for i in np.flatnonzero(single))
            notes.append(
                f"Held out in proportion to the classes, but for classes of one row: {names}."
            )
        order = order[~single[y[order]]]
    if n - count < MIN_ROWS or count > len(order):
        kept = "" if len(order) == n else f", {n - len(order)} of them the only one of their class,"
        raise UserError(
            f"{source}: {n} rows{kept} are too few to hold {count} of them out.",
            "Give more rows, a smaller --test-fraction, or --test-fraction 0.",
        )
    places = (np.arange(count) + rng.random()) * len(order) / count
    held[order[places.astype(int)]] = True
    return held, notes
