"""What likelihoods share: their protocol, and the maps from free outputs to positive numbers.

Every likelihood is a record with `outputs(targets)` (how many outputs the network needs),
`log_prob(f, y) -> (n,)`, `fisher(f) -> (n, k, k)` (expected), `sample(key, f)` and, by `task`,
`moments(f)` for numbers or `log_probs(f)` for classes. Noise is in the unit of the target.

Some members more are optional. `probs(f)` gives class probabilities quicker than by logarithms.
`distribution` names the law of a numeric target and `parameters(f)` gives its parameters; without
them a prediction is Gaussian with the moments. `units` says what may be done to a target's unit:
``"affine"`` (shift and scale, the default), ``"scale"`` or ``"fixed"``. `support` says in words
what a target may be, and `holds(y)` whether it is. `positive` names hyper-parameters that must be
above 0, as `scale` must.
"""

from typing import Any, ClassVar, Protocol

import jax
import jax.numpy as jnp
import numpy as np

LEAST_NOISE = 1e-3
"""Least noise sd that defaults allow: a thousandth of a standardised target's sd."""


class Likelihood(Protocol):
    """The distribution of a target given the outputs of a network.

    `linear_mean` says that f is the mean and the noise does not depend on it, so that a Gaussian
    over f gives a Gaussian over the target.
    """

    task: ClassVar[str]
    linear_mean: ClassVar[bool]

    def outputs(self, targets: int) -> int:
        """Return the number of network outputs for so many target columns, or classes."""
        ...

    def log_prob(self, f: jax.Array, y: jax.Array) -> jax.Array:
        """Return the log density of each row, (n,), in nats, summed over target columns."""
        ...

    def fisher(self, f: jax.Array) -> jax.Array:
        """Return the expected Fisher information of each row's outputs, (n, k, k)."""
        ...

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        """Draw one target a row."""
        ...


def diagonal(entries: jax.Array) -> jax.Array:
    """Turn rows of diagonals (n, k) into diagonal matrices (n, k, k)."""
    return entries[..., None] * jnp.eye(entries.shape[-1], dtype=entries.dtype)[None]


def softplus_scale(raw: jax.Array, floor: Any) -> tuple[jax.Array, jax.Array]:
    """Return scales floor + softplus(raw), and their slopes in raw, each (n, k)."""
    return jnp.broadcast_to(floor, raw.shape) + jax.nn.softplus(raw), jax.nn.sigmoid(raw)


def one_target(name: str, targets: int) -> None:
    """Refuse several target columns."""
    if targets != 1:
        raise ValueError(
            f"{name} expects one target column; got {targets}. Fit a model for each column."
        )


def units_of(likelihood: Any) -> str:
    """Return what may be done to the unit of a likelihood's target; see the module."""
    return getattr(likelihood, "units", "affine")


def misfit(likelihood: Any, y: Any) -> int | None:
    """Return the first row of targets (n, k) that a likelihood does not take; None without one."""
    holds = getattr(likelihood, "holds", None)
    wrong = np.zeros(len(y), bool) if holds is None else ~np.asarray(holds(np.asarray(y)))
    return int(wrong.argmax()) if wrong.any() else None


def refuse_misfit(likelihood: Any, y: Any) -> None:
    """Refuse targets (n, k) that a likelihood does not take, with the first such row."""
    y = np.asarray(y).reshape(len(y), -1)
    likelihood.outputs(y.shape[1])
    row = misfit(likelihood, y)
    if row is not None:
        cells = ", ".join(f"{cell:g}" for cell in y[row])
        raise ValueError(
            f"{type(likelihood).__name__} expects {likelihood.support}; row {row} (counted from "
            f"0) of y has {cells}. Correct or drop the row, or use another likelihood."
        )
