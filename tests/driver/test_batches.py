import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bits import same
from tests.driver.problems import DATA, KEY, MODEL, X, Y

from posterium import MAP, Exact, Gaussian, Linear, Model, Normal, Stream, as_data, fit
from posterium.driver.batches import FullData, Shuffled, Streamed, source
from posterium.driver.protocol import NO_BATCHES

LINEAR = Model(Linear(), Normal(2.0, "none"), Gaussian(0.3))
WEIGHT = np.arange(1, len(X) + 1) / 4
THINNED = WEIGHT * (np.arange(len(X)) % 10 > 2)
"""Weights of which nine are 0, those of the last three rows among them."""


def stream(*, batch=5, rows=None, weight=None, size=None, said=None):
    """Return a stream of the rows given, by default all, that says how many there are."""
    rows = np.arange(len(X)) if rows is None else rows
    columns = [X, Y] if weight is None else [X, Y, weight]

    def batches():
        for start in range(0, len(rows), batch):
            yield tuple(column[rows[start : start + batch]] for column in columns)

    return Stream(batches, said or len(X), batch, size=size)


@given(st.integers(1, 30), st.integers(0, 5))
def test_an_epoch_holds_every_row_once_and_padding_only_at_its_end(batch_size, epoch):
    shuffled = Shuffled(jax.random.key(1), DATA, batch_size)
    n = shuffled.per_epoch
    plan = shuffled.plan(epoch * n, n, n)
    rows = plan.rows.reshape(-1)
    assert sorted(rows[: len(X)]) == list(range(len(X)))
    padding = -1 - rows[len(X) :]
    assert (padding >= 0).all()
    if n > 1:
        assert len({*padding, *plan.rows[-1]} - {*rows[len(X) :]}) == batch_size
    assert plan.epoch_end.tolist() == [False] * (n - 1) + [True]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_the_order_of_rows_does_not_depend_on_how_steps_are_grouped(counts):
    whole = Shuffled(KEY, DATA, 5).plan(0, sum(counts), sum(counts))
    shuffled, at = Shuffled(KEY, DATA, 5), 0
    for count in counts:
        plan = shuffled.plan(at, count, 12)
        assert np.array_equal(plan.rows[:count], whole.rows[at : at + count])
        assert np.array_equal(plan.epoch_end[:count], whole.epoch_end[at : at + count])
        assert (plan.rows[count:] < 0).all()
        at += count


def test_epochs_and_keys_shuffle_differently():
    first = Shuffled(KEY, DATA, 5)
    assert not np.array_equal(first.plan(0, 5, 5).rows, first.plan(5, 5, 5).rows)
    other = Shuffled(jax.random.key(4), DATA, 5)
    assert not np.array_equal(first.plan(0, 5, 5).rows, other.plan(0, 5, 5).rows)


@pytest.mark.parametrize("batch_size", [None, 23, 100])
def test_a_batch_of_at_least_all_rows_is_the_data_as_they_are(batch_size):
    whole = source(KEY, DATA, batch_size, np.float32)
    assert isinstance(whole, FullData)
    assert same(whole.plan(3, 1, 1).batch(0).part, DATA)


def test_taking_rows_keeps_the_size_of_the_whole_and_gives_padding_no_weight():
    part = as_data(X, Y, weight=WEIGHT).take(np.array([3, 0, -5]))
    assert np.array_equal(part.x, X[[3, 0, 4]])
    assert np.allclose(part.weight, [1.0, 0.25, 0.0])
    assert part.size == WEIGHT.sum()


def test_rows_of_weight_zero_are_dropped():
    weight = np.ones(len(X))
    weight[[2, 9]] = 0
    kept = as_data(X, Y, weight=weight)
    assert same(kept, as_data(np.delete(X, [2, 9], 0), np.delete(Y, [2, 9])))


@given(st.lists(st.integers(1, 7), min_size=1, max_size=4))
def test_a_stream_gives_its_rows_in_order_pass_after_pass(counts):
    streamed, at = Streamed(stream(), np.float64), 0
    for count in counts:
        plan = streamed.plan(at, count, 7)
        for i in range(count):
            step = (at + i) % 5
            batch = plan.batch(i)
            rows = slice(5 * step, 5 * step + 5)
            here = len(X[rows])
            assert np.array_equal(batch.part.x[:here], X[rows])
            assert batch.part.weight.tolist() == [1.0] * here + [0.0] * (5 - here)
            assert batch.epoch_end == (step == 4)
        at += count


@pytest.mark.parametrize("start", [1, 4, 5, 13])
def test_a_stream_opened_in_the_middle_goes_on_where_it_should(start):
    opened = Streamed(stream(), np.float64).plan(start, 3, 3)
    through = Streamed(stream(), np.float64).plan(0, start + 3, start + 3)
    assert same(opened.batch(2).part, through.batch(start + 2).part)


@pytest.mark.parametrize("batch", [1, 5, 23])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_the_exact_posterior_of_a_stream_is_that_of_the_rows_in_memory(batch, weight):
    size = None if weight is None else weight.sum()
    streamed = fit(KEY, LINEAR, stream(batch=batch, weight=weight, size=size), Exact())
    held = fit(KEY, LINEAR, as_data(X, Y, weight=weight), Exact())
    one, other = streamed.posterior, held.posterior
    assert np.allclose(one.mean.params["coefficients"], other.mean.params["coefficients"], 1e-12)
    assert np.allclose(one.covariance.dense(), other.covariance.dense(), 1e-12)
    assert abs(streamed.log_evidence - held.log_evidence) < 1e-10


@pytest.mark.parametrize("yielded", [1, 2, 5, 7, 23])
@pytest.mark.parametrize("weight", [None, THINNED], ids=["plain", "with zeros"])
def test_rows_are_filled_into_batches_however_they_come_and_without_those_of_weight_0(
    yielded, weight
):
    kept = np.arange(len(X)) if weight is None else np.flatnonzero(weight)
    size = None if weight is None else weight.sum()
    coming = Stream(stream(batch=yielded, weight=weight).batches, len(kept), 5, size=size)
    steady = stream(rows=kept, weight=weight, said=len(kept), size=size)
    one, other = (Streamed(s, np.float64).plan(0, 9, 9) for s in (coming, steady))
    assert same(one, other)
    assert one.whole.x[: len(kept)].tolist() == X[kept].tolist()


def test_rows_of_weight_0_in_a_stream_change_no_fit():
    kept = np.flatnonzero(THINNED)
    coming = Stream(stream(weight=THINNED).batches, len(kept), 5, size=THINNED.sum())
    steady = stream(rows=kept, weight=THINNED, said=len(kept), size=THINNED.sum())
    one, other = (fit(KEY, MODEL, s, MAP(steps=9)) for s in (coming, steady))
    assert same(one.posterior, other.posterior)
    exact = fit(KEY, LINEAR, coming, Exact()).posterior.mean.params["coefficients"]
    held = fit(KEY, LINEAR, as_data(X, Y, weight=THINNED), Exact())
    assert np.allclose(exact, held.posterior.mean.params["coefficients"], 1e-12)


def test_negative_weights_of_a_stream_are_refused():
    with pytest.raises(ValueError, match="weights that a stream yields must be finite"):
        fit(KEY, LINEAR, stream(weight=-WEIGHT, size=1.0), Exact())


def test_a_descent_on_a_stream_of_one_batch_is_that_on_the_rows_in_memory():
    streamed = fit(KEY, MODEL, stream(batch=23), MAP(steps=40), precision="float64")
    held = fit(KEY, MODEL, DATA, MAP(steps=40), precision="float64")
    one, other = (found.info["descent"]["objective"] for found in (streamed, held))
    assert np.allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (stream(rows=np.arange(20)), "pass of 20 rows"),
        (stream(rows=np.arange(21)), "pass of 21 rows"),
        (stream(said=20), "pass of 23 rows or more"),
        (stream(said=30), "pass of 23 rows"),
        (stream(weight=WEIGHT), "summed weight of 69 where N is 23"),
        (stream(weight=THINNED, size=THINNED.sum()), "pass of 14 rows"),
        (Stream(lambda: iter(()), 23, 5), "pass of 0 rows"),
    ],
    ids=["too few", "one too many", "too many", "fewer than said", "weights", "zeros", "none"],
)
def test_a_stream_that_is_not_as_it_says_is_refused(broken, said):
    with pytest.raises(ValueError, match=f"The stream must yield .*{said}"):
        fit(KEY, LINEAR, broken, Exact())


@pytest.mark.parametrize("method", [MAP(polish="newton"), MAP(validation=0.2)])
def test_map_refuses_on_a_stream_what_needs_all_rows(method):
    with pytest.raises(ValueError, match="A stream expects MAP without a polish"):
        fit(KEY, MODEL, stream(), method)


def test_a_stream_is_watched_on_its_own_validation_rows():
    watched = Stream(stream().batches, 23, 5, validation=DATA)
    found = fit(KEY, MODEL, watched, MAP(steps=50, validation=0.2))
    held_out = found.info["descent"]["held_out"]
    assert np.isfinite(held_out[4:]).all()
    assert not np.isfinite(held_out[:4]).any()


def test_a_stream_may_give_whole_numbers_as_weights_and_booleans_as_classes():
    counts = np.arange(1, len(X) + 1)
    first = Streamed(stream(weight=counts, size=float(counts.sum())), np.float32).first
    assert first.weight.dtype == np.float32
    labels = Stream(lambda: iter([(X, X[:, 0] > 0)]), len(X), len(X))
    assert Streamed(labels, np.float32).first.y.dtype == np.int32


def test_steps_that_see_no_rows_have_one_shape_for_any_number_of_rows():
    plans = [
        source(jax.random.key(0), as_data(np.ones((n, 2)), np.ones(n)), NO_BATCHES, np.float32)
        for n in (5, 9)
    ]
    shapes = [jax.tree.map(np.shape, found.plan(0, 3, 4)) for found in plans]
    assert shapes[0] == shapes[1]
    assert [len(found.first.x) for found in plans] == [5, 9]
