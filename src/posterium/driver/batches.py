"""Which rows each step sees: full data, shuffled minibatches, or the batches of a stream.

The order depends on the key and the step only, never on how steps are grouped into chunks. A short
last batch is padded with other rows at weight 0, so that statistics over a batch, as batch norm
takes, are those of as many real rows as in any other.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any, Protocol

import jax
import numpy as np

from posterium._struct import replace, struct
from posterium.driver.protocol import NO_BATCHES
from posterium.model.data import Batch, Data, Stream


@struct
class Plan:
    """The batches of one chunk.

    Parameters
    ----------
    whole
        The rows that `rows` points into.
    rows
        Row numbers (capacity, b), below 0 for padding; None when every step sees the whole.
    epoch_end
        True for steps that end a pass, (capacity,).
    """

    whole: Data
    rows: Any
    epoch_end: Any

    def batch(self, step: Any) -> Batch:
        """Return the batch of one step of the chunk."""
        rows = None if self.rows is None else self.rows[step]
        part = self.whole if rows is None else self.whole.take(rows)
        return Batch(part, rows, self.whole, self.epoch_end[step])


class Source(Protocol):
    """Where batches come from."""

    first: Data
    batch: int
    per_epoch: int

    def plan(self, start: int, count: int, capacity: int) -> Plan:
        """Return the batches of steps `start` to `start + count`, padded to the capacity."""
        ...


def _epoch_ends(start: int, capacity: int, per_epoch: int) -> np.ndarray:
    return (np.arange(start, start + capacity) + 1) % per_epoch == 0


class FullData:
    """Every step sees all rows."""

    def __init__(self, data: Data) -> None:
        self.first, self.batch, self.per_epoch = data, 0, 1

    def plan(self, start: int, count: int, capacity: int) -> Plan:
        return Plan(self.first, None, np.ones(capacity, bool))


class NoRows:
    """Steps see no data; one row stands in, so that their program suits any number of rows."""

    def __init__(self, data: Data) -> None:
        self.first, self.batch, self.per_epoch = data, 0, 1

    def plan(self, start: int, count: int, capacity: int) -> Plan:
        data = self.first
        row = Data(data.x[:1], data.y[:1], data.weight[:1], data.size, data.rows)
        return Plan(row, None, np.ones(capacity, bool))


class Shuffled:
    """Minibatches of a fresh permutation of the rows in every epoch."""

    def __init__(self, key: jax.Array, data: Data, batch_size: int) -> None:
        self.seed = [int(word) for word in np.asarray(jax.random.key_data(key)).ravel()]
        self.n = len(data.x)
        self.first, self.batch = data, batch_size
        self.per_epoch = math.ceil(self.n / batch_size)
        self._epoch: tuple[int, np.ndarray] | None = None

    def _rows_of(self, epoch: int) -> np.ndarray:
        """Return the rows of one epoch, (per_epoch, b), the short last batch padded."""
        if self._epoch is None or self._epoch[0] != epoch:
            order = np.random.default_rng([*self.seed, epoch]).permutation(self.n)
            padding = -1 - np.resize(order, self.per_epoch * self.batch - self.n)
            padded = np.concatenate([order, padding]).astype(np.int32)
            self._epoch = epoch, padded.reshape(self.per_epoch, self.batch)
        return self._epoch[1]

    def plan(self, start: int, count: int, capacity: int) -> Plan:
        rows = np.full((capacity, self.batch), -1, np.int32)
        at = 0
        while at < count:
            epoch, within = divmod(start + at, self.per_epoch)
            part = self._rows_of(epoch)[within : within + count - at]
            rows[at : at + len(part)] = part
            at += len(part)
        return Plan(self.first, rows, _epoch_ends(start, capacity, self.per_epoch))


class Streamed:
    """The rows of a stream in order, pass after pass, in full batches.

    Rows of weight 0 are left out before batches are filled, as if the stream had none.
    """

    def __init__(self, stream: Stream, dtype: Any) -> None:
        self.stream, self.dtype, self.batch = stream, dtype, stream.batch_size
        self.per_epoch = stream.per_epoch
        self._next: tuple[int, Iterator[Data]] = (0, iter(()))
        self.first = next(self._open(0))

    def _open(self, step: int) -> Iterator[Data]:
        """Return the padded batches from one step on, skipping those before it."""
        passes = (self._pass() for _ in itertools.count())
        batches = itertools.chain.from_iterable(passes)
        return itertools.islice(batches, step % self.per_epoch, None)

    def _pass(self) -> Iterator[Data]:
        """Return the batches of one pass; the last is given out when the pass was seen to end."""
        rows, total = 0, 0.0
        held: tuple[np.ndarray, ...] | None = None
        before: tuple[np.ndarray, ...] | None = None
        for part in map(_counting, self.stream.batches()):
            rows, total = rows + len(part[2]), total + part[2].sum()
            if rows > self.stream.rows:
                raise self._unexpected(f"pass of {rows} rows or more")
            held = (
                part if held is None else tuple(map(np.concatenate, zip(held, part, strict=True)))
            )
            while len(held[2]) > self.batch:
                before = tuple(array[: self.batch] for array in held)
                yield self._padded(before, before)
                held = tuple(array[self.batch :] for array in held)
        if held is None or rows != self.stream.rows:
            raise self._unexpected(f"pass of {rows} rows")
        if not np.isclose(total, self.stream.total):
            raise self._unexpected(f"summed weight of {total:g} where N is {self.stream.total:g}")
        yield self._padded(held, before or held)

    def _unexpected(self, found: str) -> ValueError:
        return ValueError(
            f"The stream must yield {self.stream.rows} rows a pass, those of weight 0 left out; it "
            f"yielded a {found}. Correct `rows`, `size` or the stream."
        )

    def _padded(self, rows: tuple[np.ndarray, ...], others: tuple[np.ndarray, ...]) -> Data:
        """Return rows as a batch, a short one padded with others at weight 0."""
        short = self.batch - len(rows[0])

        def pad(array: np.ndarray, other: np.ndarray) -> np.ndarray:
            array = np.concatenate([array, np.resize(other, (short, *other.shape[1:]))])
            is_float = np.issubdtype(array.dtype, np.floating)
            return array.astype(self.dtype) if is_float else array

        x, y, weight = map(pad, rows, (*others[:2], np.zeros(1)))
        size = np.asarray(self.stream.total, self.dtype)
        count = np.asarray(self.stream.rows, self.dtype)
        return Data(x, y, weight, size, count, self.stream.validation)

    def plan(self, start: int, count: int, capacity: int) -> Plan:
        if self._next[0] != start or start == 0:
            self._next = start, self._open(start)
        parts = list(itertools.islice(self._next[1], count))
        self._next = start + count, self._next[1]
        parts += [parts[-1]] * (capacity - count)
        x, y, weight = (
            np.concatenate([getattr(p, f) for p in parts]) for f in ("x", "y", "weight")
        )
        rows = np.arange(capacity * self.batch, dtype=np.int32).reshape(capacity, self.batch)
        whole = replace(self.first, x=x, y=y, weight=weight)
        return Plan(whole, rows, _epoch_ends(start, capacity, self.per_epoch))


def _counting(rows: tuple[Any, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y and weight of what a stream yields, without the rows of weight 0."""
    x, y, *rest = (np.asarray(array) for array in rows)
    weight = np.asarray(rest[0] if rest else np.ones(len(x)), dtype=float)
    if not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError("The weights that a stream yields must be finite and not negative.")
    if not np.issubdtype(y.dtype, np.floating):
        y = y.astype(np.int32)
    elif y.ndim == 1:
        y = y[:, None]
    counts = weight > 0
    return (x, y, weight) if counts.all() else (x[counts], y[counts], weight[counts])


def source(key: jax.Array, data: Data | Stream, batch_size: int | None, dtype: Any) -> Source:
    """Return where the batches of a phase come from.

    A batch size of None, or of at least the number of rows, means all rows at every step; a
    stream keeps its own batches.
    """
    if isinstance(data, Stream):
        streamed = Streamed(data, dtype)
        return NoRows(streamed.first) if batch_size == NO_BATCHES else streamed
    if batch_size == NO_BATCHES:
        return NoRows(data)
    if batch_size is None or batch_size >= len(data.x):
        return FullData(data)
    return Shuffled(key, data, batch_size)
