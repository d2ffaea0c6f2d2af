"""Data: rows with weights that remember how many there are in all; batches of them; streams."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import replace, static, struct


@struct
class Data:
    """Inputs and targets, all of them or a part that remembers the whole.

    Parameters
    ----------
    x
        Inputs, (n, ...).
    y
        Targets: (n, k) numbers, or (n,) class indices.
    weight
        Weight of each row, (n,): 2 counts a row twice, 0 leaves it out.
    size
        Summed weight N of the whole data that these rows stand for.
    rows
        Number of rows n of the whole, whatever their weights.
    validation
        Rows that are not fitted but watched for early stopping, or None.
    """

    x: Any
    y: Any
    weight: Any
    size: Any
    rows: Any
    validation: "Data | None" = None

    def take(self, rows: jax.Array) -> "Data":
        """Return some rows as a part of the same whole.

        Numbers below 0 are padding of weight 0: -1 - i stands for row i.
        """
        padding = rows < 0
        rows = jnp.where(padding, -1 - rows, rows)
        weight = jnp.where(padding, 0, self.weight[rows])
        return replace(self, x=self.x[rows], y=self.y[rows], weight=weight)


@struct
class Batch:
    """What one step sees: a part of the data, where it came from, and the end of an epoch.

    Parameters
    ----------
    part
        The rows of this step, remembering N.
    rows
        Their numbers in `whole`, (b,), below 0 for padding; None when the part is the whole.
    whole
        All rows in memory (for a stream: those of the present chunk).
    epoch_end
        True when this step ends a pass over the data.
    """

    part: Data
    rows: Any
    whole: Data
    epoch_end: Any


@struct
class Stream:
    """Data too large for memory: a function that opens one pass of batches.

    Parameters
    ----------
    batches
        Called once an epoch; yields (x, y) or (x, y, weight) as NumPy arrays of any number of
        rows. It must yield the same rows at every call.
    rows
        Number of rows of one pass, those of weight 0 left out.
    batch_size
        Rows of a step: what is yielded is filled into batches of so many.
    validation
        Rows in memory that are watched for early stopping, or None.
    size
        Summed weight N of one pass; None where the rows are not weighted.
    """

    batches: Callable[[], Iterator[tuple[np.ndarray, ...]]] = static()
    rows: int = static()
    batch_size: int = static()
    validation: Data | None = None
    size: float | None = static(default=None)

    @property
    def total(self) -> float:
        """Summed weight N of one pass."""
        return float(self.rows if self.size is None else self.size)

    @property
    def per_epoch(self) -> int:
        """Number of batches of one pass."""
        return math.ceil(self.rows / self.batch_size)


def as_data(x: Any, y: Any, *, weight: Any = None, validation: Data | None = None) -> Data:
    """Return inputs and targets as checked `Data` in host memory.

    Parameters
    ----------
    x
        Inputs, (n, ...), finite.
    y
        Numbers (n,) or (n, k), finite; or class indices (n,) of an integer or boolean type.
    weight
        Weights of the rows, (n,), finite and not negative; None for 1 each. Rows of weight 0 are
        dropped.
    validation
        Data to watch for early stopping.

    Raises
    ------
    ValueError
        When shapes disagree, a value is not finite, or no row is left.
    """
    x, y = as_inputs(x), np.asarray(y)
    weight = np.ones(len(x)) if weight is None else np.asarray(weight, dtype=float)
    if len(y) != len(x) or weight.shape != (len(x),):
        raise ValueError(
            f"x, y and weight must have the same number of rows; got {len(x)}, {len(y)} and "
            f"{weight.shape}."
        )
    if np.issubdtype(y.dtype, np.floating):
        y = y[:, None] if y.ndim == 1 else y
    else:
        _check_whole(y=y)
        y = y.astype(np.int32)
    _check_finite(y=y, weight=weight)
    if np.any(weight < 0) or not np.any(weight > 0):
        raise ValueError("weight must not be negative, and at least one row must count.")
    kept = weight > 0
    if not kept.all():
        x, y, weight = x[kept], y[kept], weight[kept]
    return Data(x, y, weight, weight.sum(), float(len(x)), validation)


def as_inputs(x: Any) -> np.ndarray:
    """Return inputs as a checked array, (n, ...): finite, and integers of at most 32 bits."""
    x = np.asarray(x)
    if x.ndim < 2:
        raise ValueError(f"x must have shape (n, d); got {x.shape}. Use x[:, None] for one input.")
    _check_finite(x=x)
    if not np.issubdtype(x.dtype, np.floating):
        _check_whole(x=x)
    return x


def _check_whole(**arrays: np.ndarray) -> None:
    """Refuse what is neither an integer nor a boolean, and what 32 bits would wrap around."""
    bounds = np.iinfo(np.int32)
    for name, array in arrays.items():
        if not (np.issubdtype(array.dtype, np.integer) or array.dtype == bool):
            raise ValueError(
                f"{name} must hold numbers, integers or booleans; got {array.dtype}. Convert it, "
                f"as in {name}.astype(float)."
            )
        if array.size and (array.min() < bounds.min or array.max() > bounds.max):
            raise ValueError(
                f"{name} must hold integers of at most 32 bits; got {array.min()} to "
                f"{array.max()}. Convert it, as in {name}.astype(float)."
            )


def _check_finite(**arrays: np.ndarray) -> None:
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise ValueError(
                f"{name} must be finite; row {row} (counted from 0) is not. "
                "Drop the row or fill the value in."
            )
