"""Trends in what the steps of a fit recorded."""

import numpy as np


def late_rise(
    values: np.ndarray, settled: np.ndarray | None = None, *, blocks: int = 10
) -> tuple[float, float]:
    """Return by how much a noisy series rose between the halves of its last quarter.

    Parameters
    ----------
    values
        The series, one value a step.
    settled
        Steps whose values mean the same, a boolean each; only the unbroken run of them at the end
        is compared. None for all.
    blocks
        Blocks a half, whose means give the error: their correlation falls as they grow.

    Returns
    -------
    rise, error
        Difference of the halves' means, and its standard error. (0, 0) where there are fewer
        steps than blocks.
    """
    count = len(values) if settled is None else int(np.sum(np.cumsum(~settled[::-1]) == 0))
    half = min(count // 2, len(values) // 8) // blocks * blocks
    if not half:
        return 0.0, 0.0
    late = values[-2 * half :].astype(np.float64).reshape(2, blocks, -1).mean(axis=2)
    error = np.sqrt(np.sum(late.var(axis=1, ddof=1)) / blocks)
    return float(late[1].mean() - late[0].mean()), float(error)


def drift(values: np.ndarray) -> tuple[float, float]:
    """Return how far a series (t, ...) of several quantities moved between its halves.

    Returns
    -------
    drift, spread
        Difference of the halves' means, and standard deviation within a half, each as a root mean
        square over the quantities. Their ratio is 3.5 for a straight line, about 2 for a random
        walk, and nearly 0 for independent values. (0, 0) for fewer than four values.
    """
    half = len(values) // 2
    if half < 2:
        return 0.0, 0.0
    first, second = (np.asarray(part, float) for part in (values[:half], values[-half:]))
    moved = second.mean(axis=0) - first.mean(axis=0)
    within = [part.var(axis=0, ddof=1) for part in (first, second)]
    return float(np.sqrt(np.mean(moved**2))), float(np.sqrt(np.mean(within)))
