r"""Laplace noise and quantile regression: densities that fall off with the plain distance.

.. math:: \log p(y \mid m) = \log\frac{\tau(1-\tau)}{\sigma} - \frac{1}{\sigma}\rho_\tau(y - m),
    \qquad \rho_\tau(u) = u\,(\tau - 1[u < 0])

is the asymmetric Laplace density (koenker1999): its mode in m is the tau-quantile, and m is the
tau-quantile of the distribution itself. With tau = 1/2 it is Laplace noise of scale b = 2 sigma.
The slope has a jump at m, so the Hessian says nothing; the expected Fisher information does.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from posterium._struct import static, struct
from posterium.model.hyper import learn, value
from posterium.model.likelihoods.base import LEAST_NOISE, diagonal, one_target, softplus_scale


def laplace_log_prob(y: Any, location: Any, scale: Any) -> jax.Array:
    """Return the Laplace log density in nats, summed over the last axis."""
    return jnp.sum(-jnp.abs(y - location) / scale - jnp.log(2 * scale), axis=-1)


def _halves(scale: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return sigma and tau of an asymmetric Laplace distribution that is a Laplace one."""
    return scale / 2, jnp.full_like(scale, 0.5)


@struct
class LaplaceNoise:
    """Laplace noise of one scale for all rows: its mode is the least absolute error.

    The network gives the median. Several targets are independent given f.

    Parameters
    ----------
    scale
        Mean absolute deviation in target units, sd / sqrt(2): a number, or `learn(...)`; one, or
        one a target column. The default is learned from 0.5 with floor 1e-3, for a standardised
        target.
    """

    scale: Any = None
    task: ClassVar[str] = "regression"
    linear_mean: ClassVar[bool] = False
    distribution: ClassVar[str] = "asymmetric_laplace"

    def __post_init__(self) -> None:
        if self.scale is None:
            object.__setattr__(self, "scale", learn(0.5, floor=LEAST_NOISE))

    def outputs(self, targets: int) -> int:
        return targets

    def _spread(self, f: jax.Array) -> jax.Array:
        return jnp.broadcast_to(value(self.scale), f.shape).astype(f.dtype)

    def parameters(self, f: jax.Array) -> tuple[jax.Array, ...]:
        """Return location, scale and level of an asymmetric Laplace distribution, (n, k) each."""
        return f, *_halves(self._spread(f))

    def log_prob(self, f: jax.Array, y: jax.Array) -> jax.Array:
        return laplace_log_prob(y, f, self._spread(f))

    def moments(self, f: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return mean and noise variance of the target, each (n, k)."""
        return f, 2 * self._spread(f) ** 2

    def fisher(self, f: jax.Array) -> jax.Array:
        return diagonal(1 / self._spread(f) ** 2)

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        return f + self._spread(f) * jax.random.laplace(key, f.shape, f.dtype)


@struct
class HeteroscedasticLaplace:
    """Laplace noise whose scale the network predicts: f = (medians, raw scales).

    The scale of a row is floor + softplus(raw), in target units; `floor` is one number, or one a
    target column. Several targets are independent given f; the network has 2 outputs a target.
    """

    floor: Any = LEAST_NOISE
    task: ClassVar[str] = "regression"
    linear_mean: ClassVar[bool] = False
    distribution: ClassVar[str] = "asymmetric_laplace"

    def outputs(self, targets: int) -> int:
        return 2 * targets

    def _split(self, f: jax.Array) -> tuple[jax.Array, jax.Array]:
        location, raw = jnp.split(f, 2, axis=-1)
        return location, softplus_scale(raw, self.floor)[0]

    def parameters(self, f: jax.Array) -> tuple[jax.Array, ...]:
        """Return location, scale and level of an asymmetric Laplace distribution, (n, k) each."""
        location, scale = self._split(f)
        return location, *_halves(scale)

    def log_prob(self, f: jax.Array, y: jax.Array) -> jax.Array:
        return laplace_log_prob(y, *self._split(f))

    def moments(self, f: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return mean and noise variance of the target, each (n, k)."""
        location, scale = self._split(f)
        return location, 2 * scale**2

    def fisher(self, f: jax.Array) -> jax.Array:
        _, raw = jnp.split(f, 2, axis=-1)
        scale, slope = softplus_scale(raw, self.floor)
        return diagonal(jnp.concatenate([1 / scale**2, (slope / scale) ** 2], axis=-1))

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        location, scale = self._split(f)
        return location + scale * jax.random.laplace(key, location.shape, f.dtype)


@struct
class Quantile:
    """Quantiles of the target, at one level or at several that never cross.

    The first output is the lowest quantile, each further one the raw distance to the one above
    (a softplus makes it positive). The log density is that of an asymmetric Laplace distribution,
    minus the pinball loss over the scale up to a constant, averaged over the levels, so that a row
    counts once: a working likelihood, whose spread of the posterior is only as good as it.

    A prediction is the distribution that has these quantiles: even between neighbours, and with the
    exponential tails of the outer levels beyond. At one level that is the asymmetric Laplace
    distribution itself. One target column.

    Parameters
    ----------
    levels
        Levels inside (0, 1), increasing.
    scale
        Scale in target units, the mean pinball loss: a number, or `learn(...)`. The default is
        learned from 0.2 with floor 1e-3, for a standardised target.
    """

    levels: tuple[float, ...] = static(default=(0.05, 0.25, 0.5, 0.75, 0.95))
    scale: Any = None
    task: ClassVar[str] = "regression"
    linear_mean: ClassVar[bool] = False
    distribution: ClassVar[str] = "quantiles"

    def __post_init__(self) -> None:
        levels = tuple(float(level) for level in np.atleast_1d(self.levels))
        if not levels or min(levels) <= 0 or max(levels) >= 1 or (np.diff(levels) <= 0).any():
            raise ValueError(f"levels must be inside (0, 1) and increase; got {self.levels}.")
        object.__setattr__(self, "levels", levels)
        if self.scale is None:
            object.__setattr__(self, "scale", learn(0.2, floor=LEAST_NOISE))

    def outputs(self, targets: int) -> int:
        one_target("Quantile", targets)
        return len(self.levels)

    def quantiles(self, f: jax.Array) -> jax.Array:
        """Return the quantiles at the levels, (n, l), increasing."""
        steps = jnp.concatenate([f[..., :1], jax.nn.softplus(f[..., 1:])], axis=-1)
        return jnp.cumsum(steps, axis=-1)

    def parameters(self, f: jax.Array) -> tuple[jax.Array, ...]:
        """Return the quantiles, the scale of the tails, and the levels, (n, l) each."""
        scale = jnp.broadcast_to(value(self.scale), f.shape).astype(f.dtype)
        return self.quantiles(f), scale, jnp.broadcast_to(self._levels(f), f.shape)

    def _levels(self, f: jax.Array) -> jax.Array:
        return jnp.asarray(self.levels, f.dtype)[None]

    def log_prob(self, f: jax.Array, y: jax.Array) -> jax.Array:
        at, scale, level = self.parameters(f)
        loss = jnp.maximum(level * (y - at), (level - 1) * (y - at))
        return jnp.mean(jnp.log(level * (1 - level) / scale) - loss / scale, axis=-1)

    def moments(self, f: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return mean and variance of the predicted distribution, each (n, 1)."""
        at, scale, level = self.parameters(f)
        low, high = scale[:, :1] / (1 - level[:, :1]), scale[:, :1] / level[:, -1:]
        below, above, share = level[:, :1], 1 - level[:, -1:], jnp.diff(level, axis=-1)
        left, right = at[:, :-1], at[:, 1:]
        mean = below * (at[:, :1] - low) + above * (at[:, -1:] + high)
        mean = mean + jnp.sum(share * (left + right) / 2, axis=-1, keepdims=True)
        spread = below * ((at[:, :1] - low - mean) ** 2 + low**2)
        spread = spread + above * ((at[:, -1:] + high - mean) ** 2 + high**2)
        inner = ((left + right) / 2 - mean) ** 2 + (right - left) ** 2 / 12
        return mean, spread + jnp.sum(share * inner, axis=-1, keepdims=True)

    def fisher(self, f: jax.Array) -> jax.Array:
        """Return the mean over levels of the information about each quantile, in the outputs."""
        _, scale, level = self.parameters(f)
        each = level * (1 - level) / scale**2 / len(self.levels)
        slope = jax.vmap(jax.jacfwd(lambda row: self.quantiles(row[None])[0]))(f)
        return jnp.einsum("nl,nli,nlj->nij", each, slope, slope)

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        """Draw from the predicted distribution, (n, 1), by its quantile function."""
        at, scale, level = self.parameters(f)
        u = jax.random.uniform(key, (len(f), 1), f.dtype, jnp.finfo(f.dtype).tiny)
        inner = jax.vmap(jnp.interp)(u[:, 0], level, at)[:, None]
        below = at[:, :1] + scale[:, :1] / (1 - level[:, :1]) * jnp.log(u / level[:, :1])
        above = at[:, -1:] - scale[:, :1] / level[:, -1:] * jnp.log((1 - u) / (1 - level[:, -1:]))
        return jnp.where(u < level[:, :1], below, jnp.where(u > level[:, -1:], above, inner))
