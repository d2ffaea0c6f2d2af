"""The held-out rows: how many, which, and in proportion to the classes."""

import numpy as np
import pytest

from posterium.cli.split import held_out
from posterium.tables.errors import UserError


@pytest.mark.parametrize(("n", "fraction", "count"), [(100, 0.1, 10), (7, 0.1, 1), (10, 0.55, 6)])
def test_the_share_is_held_out_and_never_nothing(n, fraction, count):
    held, notes = held_out(np.arange(n) / n, (), fraction, 0)
    assert (held.shape, held.sum(), notes) == ((n,), count, [])


def test_a_share_of_0_holds_nothing_out():
    assert not held_out(np.zeros(5), (), 0.0, 0)[0].any()


def test_the_seed_decides_which_rows():
    y = np.zeros(50)
    one, same, other = (held_out(y, (), 0.2, seed)[0] for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


@pytest.mark.parametrize("labels", [(), ("few", "many")])
def test_every_row_has_the_same_chance(labels):
    n, count, times = 30, 6, 2000
    y = (np.arange(n) >= 4).astype(int) if labels else np.arange(n) / n
    often = sum(held_out(y, labels, count / n, seed)[0].astype(int) for seed in range(times))
    share = count / n
    error = np.sqrt(share * (1 - share) / times)
    assert np.abs(often / times - share).max() < 4.5 * error


def test_classes_are_held_out_in_proportion():
    y = np.repeat([0, 1, 2], [70, 20, 10])
    for seed in range(20):
        held, _ = held_out(y, ("a", "b", "c"), 0.2, seed)
        assert np.abs(np.bincount(y[held], minlength=3) - [14, 4, 2]).max() <= 1
        assert held.sum() == 20


def test_the_only_row_of_a_class_is_fitted_and_that_is_said():
    y = np.array([2] + [0, 1] * 10)
    for seed in range(20):
        held, notes = held_out(y, ("a", "b", "=c"), 0.5, seed)
        assert not held[0]
        assert '"=c"' in notes[0]


@pytest.mark.parametrize(
    ("y", "labels", "fraction"),
    [(np.zeros(2), (), 0.1), (np.zeros(10), (), 0.95), (np.arange(9), tuple(range(9)), 0.1)],
)
def test_too_few_rows_are_refused(y, labels, fraction):
    with pytest.raises(UserError, match="too few"):
        held_out(y, labels, fraction, 0)
