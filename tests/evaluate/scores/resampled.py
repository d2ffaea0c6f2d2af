"""The bootstrap: what a standard error over rows is an estimate of."""

import numpy as np


def spread(score, arrays, times=1000, seed=9):
    """Return the sd of a score over data sets whose rows are drawn with replacement."""
    rng = np.random.default_rng(seed)
    n = len(arrays[0])
    picks = rng.integers(0, n, (times, n))
    return np.std([score(*(array[pick] for array in arrays)).value for pick in picks], ddof=1)


def agree(score, arrays, times=1000, slack=0.06):
    """Hold a standard error to the bootstrap's; `slack` is for what is of second order in 1/n."""
    expected = spread(score, arrays, times)
    assert abs(score(*arrays).se / expected - 1) < 4 / np.sqrt(2 * times) + slack
