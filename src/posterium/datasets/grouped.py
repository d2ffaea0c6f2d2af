"""Grouped data: several small sets that have something in common."""

import numpy as np

from posterium.datasets.reference import Pair

NOISE_SD = 0.2
"""Of both coordinates, in radii of the half circles."""


def grouped_moons(
    groups: int = 8, rows: int = 12, held_out: int = 100, turn: float = 0.6, seed: int = 0
) -> tuple[Pair, Pair]:
    """Draw two moons for each group, turned by an angle of the group's own (R3).

    Parameters
    ----------
    groups
        How many groups.
    rows, held_out
        Rows of each group, to fit and to score.
    turn
        The sd of the angles, in radians: at 0 the groups are one.
    seed
        Of the angles, the points and their noise.

    Returns
    -------
    tuple
        ``(x, y)`` to fit, (n, 3) and (n,), then the other; the last column of x is the number of
        the group.
    """
    rng = np.random.default_rng(seed)
    angles = turn * rng.standard_normal(groups)

    def draw(count: int) -> Pair:
        parts = [_moons(rng, count, angle, group) for group, angle in enumerate(angles)]
        x, y = zip(*parts, strict=True)
        return np.concatenate(x), np.concatenate(y)

    return draw(rows), draw(held_out)


def _moons(rng: np.random.Generator, rows: int, angle: float, group: int) -> Pair:
    """Return one group's rows: half circles about as large as one sd, turned about their middle."""
    labels = np.arange(rows) % 2
    t = np.pi * rng.random(rows)
    upper = np.column_stack([np.cos(t) - 0.5, np.sin(t) - 0.25])
    points = np.where(labels[:, None] == 0, upper, -upper)
    points = 1.5 * (points + NOISE_SD * rng.standard_normal((rows, 2)))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.column_stack([points @ turn, np.full(rows, float(group))]), labels
