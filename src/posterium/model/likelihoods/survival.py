r"""Times until an event, some of them cut off before it (right-censored): Weibull.

.. math:: P(T > t) = \exp(-(t / \lambda)^\kappa), \qquad \lambda = \mathrm{unit} \cdot e^f

An accelerated-failure-time model, and one of proportional hazards too: the hazard is multiplied by
exp(-kappa f). A row whose event was seen counts by its density, one that was cut off by the
probability of a longer time.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from posterium._struct import struct
from posterium.model.hyper import learn, value
from posterium.model.likelihoods.base import diagonal
from posterium.model.priors.scales import HalfNormal

LARGEST_LOG = 50.0
"""Logarithms of (time / scale)^shape beyond it are taken as it, so that nothing overflows."""


@struct
class Weibull:
    """Times with a Weibull distribution; y has two columns, the time and the event.

    The event is 1 where it came at that time, and 0 where all that is known is that the time is
    longer (the row was cut off: right-censored).

    Parameters
    ----------
    shape
        The kappa above: the hazard grows with time above 1 and falls below. A number, or
        `learn(...)`. The default is learned from 1 with floor 0.05, under a half-normal density of
        scale 5.
    unit
        What a network output of 0 predicts as scale, in the time's unit.

    Notes
    -----
    The expected Fisher information is that of a row whose event is seen, since when a row would
    have been cut off is not known; for rows that are cut off Laplace's posterior is somewhat narrow
    by it, and ``curvature="hessian"`` is exact.
    """

    shape: Any = None
    unit: Any = 1.0
    task: ClassVar[str] = "regression"
    linear_mean: ClassVar[bool] = False
    distribution: ClassVar[str] = "weibull"
    units: ClassVar[str] = "scale"
    censored: ClassVar[bool] = True
    support: ClassVar[str] = "a time above 0, and 0 or 1 for the event"
    positive: ClassVar[tuple[str, ...]] = ("shape", "unit")

    def __post_init__(self) -> None:
        if self.shape is None:
            free = learn(1.0, floor=0.05, prior=HalfNormal(5.0))
            object.__setattr__(self, "shape", free)

    def holds(self, y: np.ndarray) -> np.ndarray:
        """Say which rows have a time above 0 and an event of 0 or 1, (n,)."""
        return (y[:, 0] > 0) & ((y[:, 1] == 0) | (y[:, 1] == 1))

    def outputs(self, targets: int) -> int:
        if targets != 2:
            raise ValueError(
                f"Weibull expects two target columns, the time and the event (1 seen, 0 cut off); "
                f"got {targets}. Give 1 as the event of every row where none was cut off."
            )
        return 1

    def parameters(self, f: jax.Array) -> tuple[jax.Array, ...]:
        """Return scale and shape of the time, (n, 1) each."""
        shape = jnp.broadcast_to(value(self.shape), f.shape).astype(f.dtype)
        return jnp.exp(jnp.clip(f, -LARGEST_LOG, LARGEST_LOG) + jnp.log(self.unit)), shape

    def log_prob(self, f: jax.Array, y: jax.Array) -> jax.Array:
        _, shape = self.parameters(f)
        log_time = jnp.log(y[:, :1])
        away = jnp.clip(shape * (log_time - f - jnp.log(self.unit)), -jnp.inf, LARGEST_LOG)
        return (y[:, 1:] * (jnp.log(shape) - log_time + away) - jnp.exp(away))[:, 0]

    def moments(self, f: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return mean and variance of the time, each (n, 1)."""
        scale, shape = self.parameters(f)
        first, second = (jnp.exp(gammaln(1 + r / shape)) for r in (1, 2))
        return scale * first, scale**2 * (second - first**2)

    def fisher(self, f: jax.Array) -> jax.Array:
        return diagonal(self.parameters(f)[1] ** 2)

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        """Draw times whose events are seen, (n, 2): a time, and 1."""
        scale, shape = self.parameters(f)
        time = scale * jax.random.exponential(key, f.shape, f.dtype) ** (1 / shape)
        return jnp.concatenate([time, jnp.ones_like(time)], axis=-1)
